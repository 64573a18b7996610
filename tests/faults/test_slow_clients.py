"""Clients that are silent, or send or read slowly, are cut off in time; nobody else notices them."""

import json
import signal
import socket
import statistics
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.nginx import needs_nginx, running
from tests.faults.attempts import Figures, hold
from tests.faults.conftest import read_all

PATIENCE_S = 1.0
BODY = b'{"text": "wheat and corn"}'
JSON = {"content-type": "application/json"}
HEAD = b"POST /predict/topic HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"


def drip(line: socket.socket, pieces: bytes, seconds: float) -> float:
    """Sends a byte after the other until the other side has enough; when that was, in seconds from now."""
    started = time.monotonic()
    line.settimeout(0.1)
    for place in range(int(seconds / 0.1)):
        try:
            line.send(pieces[place % len(pieces) :][:1])
            if not line.recv(1_000):
                return time.monotonic() - started
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - started
    raise AssertionError(f"still open after {seconds} s")


@pytest.fixture(scope="module")
def service(start_once: Any) -> Any:
    return start_once()


@pytest.fixture(scope="module")
def impatient(start_once: Any) -> Any:
    return start_once(client_timeout_s=PATIENCE_S, keep_alive_s=1)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (b"POST /predict/topic HTT", b""),
        (b"POST /predict/topic HTTP/1.1\r\n", b"x-a: b\r\n"),
        (HEAD + b"content-length: 26\r\n\r\n", b""),
        (HEAD + b"content-length: 1000000\r\n\r\n", b" "),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["silent", "empty lines", "half a line", "header without end", "no body", "slow body", "body without end"],
)
@pytest.mark.parametrize("before", [0, 1], ids=["first request", "second request"])
def test_request_that_does_not_come_to_its_end_is_cut_off(
    impatient: Any, first: bytes, then: bytes, before: int
) -> None:
    with impatient.connect() as line:
        for _ in range(before):
            line.sendall(HEAD + b"content-length: 26\r\n\r\n" + BODY)
            assert b" 200 " in line.recv(65_536)
        line.sendall(first)
        assert drip(line, then or b"", 5) < PATIENCE_S + 2.5 if then else wait_for_end(line) < PATIENCE_S + 2.5


@needs_nginx
@pytest.mark.parametrize(
    ("framing", "piece"),
    [(b"content-length: 10000\r\n\r\n", b" "), (b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n")],
    ids=["slow body", "body without end"],
)
def test_body_that_does_not_come_to_its_end_is_cut_off_behind_nginx(
    impatient: Any, framing: bytes, piece: bytes, tmp_path: Path
) -> None:
    """nginx's own bound is from one byte to the next."""
    port = int(impatient.url.rpartition(":")[2])
    with running(tmp_path, [port]) as front, socket.create_connection(("127.0.0.1", front), 8) as line:
        started, answer = time.monotonic(), b""
        line.sendall(HEAD + framing)
        while b"request_timeout" not in answer:
            line.sendall(piece)
            line.settimeout(0.1)
            with suppress(TimeoutError):
                answer += line.recv(65_536)
            assert time.monotonic() - started < PATIENCE_S + 2.5
        assert b" 408 " in answer


def wait_for_end(line: socket.socket) -> float:
    started = time.monotonic()
    line.settimeout(8)
    while line.recv(65_536):
        pass
    return time.monotonic() - started


def test_refused_body_without_end_is_cut_off(start: Any) -> None:
    """Its answer has been given long ago, but it goes on."""
    service = start(client_timeout_s=PATIENCE_S, max_body_bytes=1_000)
    with service.connect() as line:
        line.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"800\r\n" + b" " * 2_048 + b"\r\n")
        assert b" 413 " in line.recv(65_536)
        assert drip(line, b"1\r\n \r\n", 5) < PATIENCE_S + 2.5


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"0\r\n", b"a1: b\r\n" * 10_000), (b"0\r\nx: ", b"a" * 80_000), (b"5;", b"a" * 80_000)],
    ids=["trailers", "one trailer", "chunk extension"],
)
@pytest.mark.parametrize("path", [b"GET /health/live", b"POST /predict/topic"], ids=["answered", "not yet answered"])
def test_what_frames_a_body_without_end_is_cut_off_and_takes_no_memory(
    service: Any, path: bytes, first: bytes, then: bytes
) -> None:
    before = service.memory_mb
    with service.connect() as line:
        line.sendall(HEAD.replace(b"POST /predict/topic", path) + b"transfer-encoding: chunked\r\n\r\n" + first)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_again_and_again(line, then, 50e6)
    assert service.memory_mb < before + 20


def send_again_and_again(line: socket.socket, piece: bytes, most: float) -> None:
    sent = 0
    while sent < most:
        sent += line.send(piece)


def test_trailers_are_read_and_nobody_heeds_them(service: Any) -> None:
    head = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"1a\r\n" + BODY + b"\r\n0\r\nx-a: b\r\n"
    assert service.status(head + body + b"content-type: text/plain\r\n\r\n") == b"200"
    plain = head.replace(b"application/json", b"text/plain")
    assert service.status(plain + body + b"content-type: application/json\r\n\r\n") == b"415"


def test_answer_that_is_not_read_is_cut_off(start: Any) -> None:
    service = start(client_timeout_s=PATIENCE_S)
    with service.connect() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        started = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            ask_for_ever(line)
        assert time.monotonic() - started < 15


def ask_for_ever(line: socket.socket) -> None:
    while True:
        line.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n" * 10)
        time.sleep(0.05)


def test_connections_beyond_the_limit_cost_idle_ones_their_place_and_nobody_an_answer(
    start: Any,
) -> None:
    service = start(max_connections=20)
    idle = [service.connect() for _ in range(60)]
    try:
        for _ in range(30):
            assert httpx.post(f"{service.url}/predict/topic", content=BODY, headers=JSON).status_code == 200
        open_ones = 0
        for line in idle:
            line.settimeout(0.01)
            try:
                open_ones += line.recv(1) != b""
            except TimeoutError:
                open_ones += 1
            except OSError:
                pass
        assert open_ones <= 20
    finally:
        for line in idle:
            line.close()


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGINT, 1)])
def test_stop_waits_for_no_client_longer_than_anybody_does(start: Any, number: int, workers: int) -> None:
    """Neither for half a body nor for one that does not read its answer; whoever does what it should is answered."""
    service = start(client_timeout_s=1.5, keep_alive_s=0.1, workers=workers)
    with service.connect() as half, service.connect() as unread, service.connect() as late:
        half.sendall(HEAD + b"content-length: 100\r\n\r\n ")
        late.sendall(HEAD + b"content-length: 26\r\n\r\n" + BODY[:10])
        ask_for_much(unread)
        time.sleep(0.3)
        service.process.send_signal(number)
        started = time.monotonic()
        time.sleep(0.5)
        late.sendall(BODY[10:])
        assert b" 200 " in late.recv(65_536)
        assert b" 408 " in read_all(half)
        assert service.process.wait(10) == 0
        assert time.monotonic() - started < 5


def ask_for_much(line: socket.socket) -> None:
    """Answers of megabytes, more than the system holds for the two of them."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    body = json.dumps({"texts": ["wheat and corn"] * 1_000, "top_k": 10_000}).encode()
    head = HEAD.replace(b"topic", b"topic/batch")
    line.sendall((head + b"content-length: %d\r\n\r\n" % len(body) + body) * 3)


@pytest.mark.faults
def test_2000_slow_sockets_harm_nobody_and_are_gone_within_15_s(start: Any) -> None:
    service = start()
    kinds = (b"", b"POST /predict/topic HTTP/1.1\r\nhost: a\r\n", HEAD + b"content-length: 1000\r\n\r\n ")

    def ask(client: httpx.Client, until: float) -> list[float]:
        waits = []
        while time.monotonic() < until:
            started = time.monotonic()
            assert client.post("/predict/topic", content=BODY, headers=JSON).status_code == 200
            waits.append(time.monotonic() - started)
            time.sleep(0.02)
        return waits

    def attempt() -> Figures:
        with httpx.Client(base_url=service.url, timeout=5) as client, ExitStack() as stack:
            before = ask(client, time.monotonic() + 4)
            lines = []
            for number in range(2_000):
                line = stack.enter_context(service.connect())
                line.sendall(kinds[number % 3])
                lines.append(line)
            opened = time.monotonic()
            waits = ask(client, opened + 13)
            for line in lines:
                line.settimeout(2)
                while line.recv(1_000):
                    pass
            closed = time.monotonic() - opened
        print(f"\n2,000 slow sockets: {len(waits)} answers meanwhile, the slowest in {max(waits) * 1e3:.0f} ms")
        return {
            "seconds until all are closed": (closed, 15),
            "median of other answers, of that before": (statistics.median(waits) / statistics.median(before), 2),
            "seconds of the slowest of them": (max(waits), 0.5),
        }

    hold(attempt)
