"""nginx in front: what comes through to a service, what does not, and who is asked once more."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import yaml

from app.settings import Settings
from tests.deploy.nginx import FILES, free_ports, needs_nginx, running


class Answering(BaseHTTPRequestHandler):
    """Says what it has been asked; the first time that it is told to break, it hangs up instead of an answer."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # who asks has left
            self.close_connection = True
            return
        type(self).asked.append(self.path)
        if "break" in self.path and type(self).asked.count(self.path) == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        told = json.dumps({"headers": dict(self.headers), "bytes": len(body)}).encode()
        self.send_response(200)
        self.send_header("x-request-id", "the-service-s-own")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def nginx(service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """In front of the service, twice, and of one where nobody listens."""
    directory = tmp_path_factory.mktemp("nginx")
    with (
        running(directory, [*free_ports(1), service, service]) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


@needs_nginx
def test_whoever_listens_is_asked_and_told_who_asks(nginx: httpx.Client) -> None:
    for _ in range(6):
        answer = nginx.get("/tasks?secret=1", headers={"X-Forwarded-For": "203.0.113.9", "X-API-Key": "snt_1_2"})
        headers = {name.lower(): value for name, value in answer.json()["headers"].items()}
        assert headers["x-forwarded-for"] == "127.0.0.1"  # not what a client claims
        assert (headers["host"], headers["x-api-key"]) == (nginx.base_url.netloc.decode(), "snt_1_2")
        assert answer.headers["x-request-id"] == "the-service-s-own"
        assert answer.headers["server"] == "nginx"


@needs_nginx
def test_log_has_neither_query_nor_key(nginx: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    nginx.get("/tasks?q=hidden", headers={"X-API-Key": "snt_hidden"})
    log = tmp_path_factory.getbasetemp() / "nginx0" / "access.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["path"] == "/tasks"
    assert lines[-1]["request"] == "the-service-s-own"
    assert "hidden" not in json.dumps(lines)


@needs_nginx
def test_metrics_are_not_told_outside(nginx: httpx.Client) -> None:
    answer = nginx.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "/metrics" not in Answering.asked


@needs_nginx
def test_body_is_bounded_by_what_it_is_for(nginx: httpx.Client) -> None:
    large = b"x" * 1_200_000
    refused = nginx.post("/predict/topic", content=large)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["content-type"] == "application/problem+json"
    assert nginx.post("/predict/topic", content=large[:1_000_000]).json()["bytes"] == 1_000_000
    assert nginx.post("/jobs?task=topic", content=large).json()["bytes"] == len(large)
    assert nginx.post("/predict/topic/stream", content=large).json()["bytes"] == len(large)


@needs_nginx
def test_only_what_may_be_done_twice_is_asked_again(nginx: httpx.Client) -> None:
    assert nginx.post("/predict/topic?break=1", content=b"{}").status_code == 200
    assert nginx.get("/jobs/1?break=1").status_code == 200
    for path in ("/jobs?break=1", "/feedback?break=1"):
        answer = nginx.post(path, content=b"{}")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
        assert Answering.asked.count(path) == 1


@needs_nginx
def test_question_is_asked_from_the_beginning_when_nobody_is_left(service: int, tmp_path: Path) -> None:
    with running(tmp_path, [service]) as port:
        assert httpx.post(f"http://127.0.0.1:{port}/predict/topic?break=2", content=b"{}").status_code == 200
        assert httpx.post(f"http://127.0.0.1:{port}/feedback?break=2", content=b"{}").status_code == 503


def begin(stack: ExitStack, port: int, address: str, length: int, sent: int) -> socket.socket:
    """A request from an address of this machine, with as much of its body as that."""
    line = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5, (address, 0)))
    line.sendall(b"POST /predict/topic HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + b"x" * sent)
    return line


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def ask_from(port: int, address: str) -> httpx.Response:
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=5) as client:
        return client.post("/predict/topic", content=b"x" * 200_000)


@needs_nginx
@pytest.mark.parametrize(("length", "sent"), [(999_999, 990_000), (9_000, 8_000)])
def test_one_client_cannot_take_it_from_others(length: int, sent: int, service: int, tmp_path: Path) -> None:
    """A regression: bodies that never end filled memory and disk, and others got 500 or no answer."""
    with running(tmp_path, [service]) as port, ExitStack() as stack:
        for _ in range(150):
            begin(stack, port, "127.0.0.2", length, sent)
        end = time.monotonic() + 5
        while (refused := ask_from(port, "127.0.0.2")).status_code != 429 and time.monotonic() < end:
            time.sleep(0.1)
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
            429,
            "rate_limited",
            "1",
        )
        assert refused.headers["content-type"] == "application/problem+json"
        assert ask_from(port, "127.0.0.3").json()["bytes"] == 200_000
        assert files_below(tmp_path / "client_body") == files_below(tmp_path / "proxy") == []


@needs_nginx
def test_answer_that_is_read_slowly_waits_at_the_service(tmp_path: Path) -> None:
    size, told = 30_000_000, []
    with socket.create_server(("127.0.0.1", 0)) as listener, running(tmp_path, [listener.getsockname()[1]]) as port:

        def answer() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(65_536)
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                line.settimeout(2)
                try:
                    for _ in range(size // 1_000):
                        line.sendall(b"x" * 1_000)
                        told.append(1_000)
                except TimeoutError:
                    pass

        answering = threading.Thread(target=answer)
        answering.start()
        with ExitStack() as stack:
            begin(stack, port, "127.0.0.2", 5, 5)
            answering.join(30)
            assert not answering.is_alive()
            assert sum(told) < size
            assert files_below(tmp_path / "proxy") == []


@needs_nginx
def test_slow_body_is_the_service_s_to_end(tmp_path: Path) -> None:
    """A regression: nginx kept the body until it was whole, and a byte now and then kept the request for ever."""
    refusal = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener, running(tmp_path, [listener.getsockname()[1]]) as port:
        listener.settimeout(5)
        with ExitStack() as stack:
            client = begin(stack, port, "127.0.0.2", 20_000, 100)
            line, _ = listener.accept()
            with line:
                line.settimeout(5)
                got = b""
                while not got.endswith(b"\r\n\r\n" + b"x" * 100):
                    got += line.recv(65_536)
                line.sendall(refusal)
            assert client.recv(100).startswith(b"HTTP/1.1 408 ")


MALFORMED = {
    "escape that is none": (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "NUL in the path": (b"GET /tasks/%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "above the root": (b"GET /../x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "no HTTP": (b"hello\r\n\r\n", 400, "bad_request"),
    "another HTTP": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "bad_request"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "bad_request"),
    "two lengths": (
        b"POST /feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "bad_request",
    ),
    "encoding that is none": (
        b"POST /predict/topic HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        400,
        "bad_request",
    ),
    "chunk that is none": (
        b"POST /predict/topic HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
        "bad_request",
    ),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
    "a problem's own path": (b"GET /.problem/internal HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
    "a body without an end": (
        b"POST /predict/topic HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
        413,
        "body_too_large",
    ),
    "a long path": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "header_too_large"),
    "a long header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", 431, "header_too_large"),
}


@needs_nginx
@pytest.mark.parametrize("what", MALFORMED)
def test_what_nginx_refuses_is_a_problem(what: str, nginx: httpx.Client) -> None:
    sent, status, code = MALFORMED[what]
    with socket.create_connection((nginx.base_url.host, nginx.base_url.port or 0), 5) as line:
        line.sendall(sent)
        got = b""
        while not got.endswith(b"}"):
            piece = line.recv(65_536)
            assert piece, got
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert (int(head.split()[1]), problem["status"], problem["code"]) == (status, status, code)
    assert b"Content-Type: application/problem+json" in head


@needs_nginx
def test_nobody_is_there(tmp_path: Path) -> None:
    with running(tmp_path, free_ports(2)) as port:
        answer = httpx.post(f"http://127.0.0.1:{port}/predict/topic", content=b"{}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@needs_nginx
def test_block_for_tls_works_when_its_signs_are_taken_away(service: int, tmp_path: Path) -> None:
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split()
    subprocess.run(
        [*made, "-keyout", tmp_path / "tls_key", "-out", tmp_path / "tls_certificate"], check=True, capture_output=True
    )
    with running(tmp_path, [service], tls=True) as port:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "tls_certificate"))
        trusted.check_hostname = False
        answer = httpx.get(f"https://127.0.0.1:{port}/tasks", verify=trusted)
        plain = httpx.get(f"http://127.0.0.1:{port}/tasks")
        sizes = (10, 500_000, 1_000_000, 1_200_000)
        told = {size: ask_by_http2(port, tmp_path, size) for size in sizes} if speaks_http2() else {}
    assert answer.json()["headers"]["X-Forwarded-Proto"] == "https"
    assert "max-age" in answer.headers["strict-transport-security"]
    assert (plain.status_code, plain.json()["code"]) == (400, "bad_request")
    for size, (status, version, body) in told.items():
        assert version == "2"
        if size > 1_000_000:
            assert (status, body["code"]) == ("413", "body_too_large")
        else:
            assert (status, body["bytes"]) == ("200", size)


def speaks_http2() -> bool:
    return shutil.which("curl") is not None and "HTTP2" in subprocess.check_output(["curl", "--version"], text=True)


def ask_by_http2(port: int, directory: Path, size: int) -> tuple[str, str, dict[str, Any]]:
    (directory / "body").write_bytes(b"x" * size)
    command = [
        "curl",
        "--silent",
        "--insecure",
        "--noproxy",
        "*",
        "--http2",
        "--write-out",
        " %{http_code} %{http_version}",
    ]
    asked = ["--data-binary", f"@{directory / 'body'}", f"https://127.0.0.1:{port}/predict/topic"]
    body, status, version = subprocess.check_output([*command, *asked], text=True, timeout=20).rsplit(" ", 2)
    return status, version, json.loads(body)


def test_numbers_fit_the_service_s_own() -> None:
    """nginx ends idle connections first, and lets the service be the one that refuses."""
    fields, files = Settings.model_fields, {path.name: path.read_text() for path in FILES.iterdir()}
    assert f"keepalive_timeout {fields['keep_alive_s'].default - 1:g}s;" in files["upstream.conf"]
    assert f"proxy_read_timeout {fields['deadline_s'].default + 5:g}s;" in files["routes.conf"]
    assert f"client_header_timeout {fields['client_timeout_s'].default:g}s;" in files["nginx.conf"]
    assert fields["max_header_bytes"].default == 2 * 8 * 1024
    assert "large_client_header_buffers 2 8k;" in files["nginx.conf"]
    assert 1.1 * fields["max_body_bytes"].default > 1024**2 > fields["max_body_bytes"].default
    assert 1.1 * fields["max_job_bytes"].default > 1000 * 1024**2 > fields["max_job_bytes"].default
    assert files["routes.conf"].count("client_max_body_size") == 4  # one of them: of the problems themselves
    # A body that goes through is refused by the service first, and one address cannot fill what it keeps of all.
    assert fields["client_timeout_s"].default < 15
    assert files["routes.conf"].count("client_body_timeout 15s;") == 3
    assert number("limit_conn addresses", "routes.conf") * 1024**2 < fields["max_incoming_bytes"].default


def number(directive: str, file: str) -> int:
    (found,) = re.findall(rf"^\s*{directive} (\d+)", (FILES / file).read_text(), re.MULTILINE)
    return int(found)


def test_container_has_the_memory_that_all_clients_together_can_take() -> None:
    """Of each 11 KB for connection and request, the header, what is read of the body, the answer's buffers."""
    compose = yaml.safe_load((FILES.parent / "compose.yaml").read_text())["services"]["nginx"]
    connections = number("worker_processes", "nginx.conf") * number("worker_connections", "nginx.conf")
    kept = 1 + 10 + 4 + 2 * 8
    worst = max(connections * (kept + 10), connections // 2 * (kept + 16 + 5 * 8)) * 1024
    for line in ("client_header_buffer_size 4k;", "large_client_header_buffers 2 8k;", "client_body_buffer_size 16k;"):
        assert line in (FILES / "nginx.conf").read_text()
    for line in ("proxy_buffers 4 8k;", "proxy_buffer_size 8k;", "proxy_max_temp_file_size 0;"):
        assert line in (FILES / "routes.conf").read_text()
    (temporary,) = (int(size) for size in re.findall(r"size=(\d+)m", compose["tmpfs"][0]))
    limits = compose["deploy"]["resources"]["limits"]
    assert int(limits["memory"].removesuffix("M")) * 1024**2 > worst + temporary * 1024**2 + 64 * 1024**2
    assert limits["pids"] > number("worker_processes", "nginx.conf") + 1
