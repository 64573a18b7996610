"""nginx in front: what comes through to a service, what does not, and who is asked once more."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from app.settings import Settings
from tests.deploy.nginx import FILES, free_ports, needs_nginx, running


class Answering(BaseHTTPRequestHandler):
    """Says what it has been asked; the first time that it is told to break, it hangs up instead of an answer."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
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
    assert answer.json()["headers"]["X-Forwarded-Proto"] == "https"
    assert "max-age" in answer.headers["strict-transport-security"]


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
    assert files["routes.conf"].count("client_max_body_size") == 3
