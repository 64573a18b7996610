"""Streams that are slow, endless, silent or left alone take little, and are cut off only when nothing moves."""

import json
import re
import signal
import socket
import time
from typing import Any

import httpx
import pytest

PATIENCE_S = 1.5
HEAD = (
    b"POST /predict/topic/stream HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def in_progress(url: str) -> int:
    """Requests being answered, beside the one that asks."""
    found = re.search(r"^sentopic_requests_in_progress (\d+)", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    assert found
    return int(found.group(1)) - 1


def until_nothing_is_in_progress(url: str) -> None:
    end = time.monotonic() + 10
    while in_progress(url):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def service(start_once: Any) -> Any:
    return start_once("--bundle", "artifacts/topic/gru", client_timeout_s=PATIENCE_S, max_streams=4)


def test_stream_lasts_as_long_as_lines_come(service: Any) -> None:
    with service.connect() as line:
        line.sendall(HEAD)
        answers = line.makefile("rb")
        started = time.monotonic()
        count = 0
        while time.monotonic() - started < 2.5 * PATIENCE_S:
            line.sendall(chunk(b"oil prices\n"))
            while not answers.readline().startswith(b"{"):
                pass
            count += 1
            time.sleep(0.3)
        line.sendall(b"0\r\n\r\n")
        assert answers.read().endswith(b"0\r\n\r\n")
        answers.close()
    assert count > 5


def test_silent_stream_is_cut_off(service: Any) -> None:
    with service.connect() as line:
        line.sendall(HEAD + chunk(b"oil prices\n"))
        line.settimeout(PATIENCE_S + 4)
        started = time.monotonic()
        while line.recv(65_536):
            pass
        assert PATIENCE_S - 0.5 < time.monotonic() - started < PATIENCE_S + 3
    until_nothing_is_in_progress(service.url)


def test_stream_that_is_read_slowly_is_neither_cut_off_nor_grows(service: Any) -> None:
    """An endless stream whose answers are read a little at a time: little is read of it, too."""
    with service.connect() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        line.sendall(HEAD)
        line.setblocking(False)
        lines = chunk(b"oil prices rose\n" * 1_000)
        before, sent, read, pending = service.memory_mb, 0, 0, b""
        started = time.monotonic()
        while (passed := time.monotonic() - started) < 4 * PATIENCE_S:
            try:
                pending = pending or lines
                count = line.send(pending)
                sent, pending = sent + count, pending[count:]
            except BlockingIOError:
                time.sleep(0.02)
            if read < passed * 200_000:
                try:
                    found = line.recv(8_192)
                    assert found, f"cut off after {passed:.1f} s"
                    read += len(found)
                except BlockingIOError:
                    pass
        assert sent < 30_000_000
        assert read > 100_000
        assert service.memory_mb < before + 60
    until_nothing_is_in_progress(service.url)


def test_stream_whose_answers_are_not_read_is_cut_off(service: Any) -> None:
    with service.connect() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.sendall(HEAD)
        line.settimeout(30)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(line, chunk(b"oil prices rose\n" * 1_000))
    until_nothing_is_in_progress(service.url)


def test_client_that_leaves_ends_its_stream(service: Any) -> None:
    with service.connect() as line:
        line.sendall(HEAD + chunk(b"oil prices\n" * 20_000))
        line.recv(1_000)
    until_nothing_is_in_progress(service.url)


def test_more_streams_than_there_may_be_are_refused(service: Any) -> None:
    lines = [service.connect() for _ in range(2)]
    for line in lines:
        line.sendall(HEAD + chunk(b"oil prices\n"))
        line.recv(1_000)
    refused = httpx.post(f"{service.url}/predict/topic/stream", content=b"a", headers={"content-type": "text/plain"})
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
    assert httpx.post(f"{service.url}/predict/topic", json={"text": "oil"}).status_code == 200
    for line in lines:
        line.close()
    until_nothing_is_in_progress(service.url)


def test_streams_that_hardly_move_give_way_when_all_places_are_taken(service: Any) -> None:
    until_nothing_is_in_progress(service.url)
    with service.connect() as one, service.connect() as other:
        for line in (one, other):
            line.sendall(HEAD + chunk(b"oil\n"))
            assert b" 200 " in line.recv(65_536)
        headers = {"content-type": "text/plain"}
        end = time.monotonic() + 15
        while True:
            for line in (one, other):
                line.sendall(chunk(b"a"))
            came = httpx.post(f"{service.url}/predict/topic/stream", content=b"wheat\n", headers=headers)
            if came.status_code == 200:
                break
            assert came.status_code == 503
            assert time.monotonic() < end
            time.sleep(0.3)
        one.settimeout(1)
        other.settimeout(1)
        told = b""
        for line in (one, other):
            try:
                told += line.recv(65_536)
            except TimeoutError:
                continue
        assert told.count(b'"overloaded"') == 1
        assert b'"last":true' in told


def test_refused_stream_without_end_is_cut_off(service: Any) -> None:
    with service.connect() as line:
        line.sendall(HEAD.replace(b"text/plain", b"text/csv") + chunk(b"a,b\n"))
        assert b" 422 " in line.recv(65_536)
        started = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(line, chunk(b"1,2\n"), pause_s=0.2)
        assert time.monotonic() - started < PATIENCE_S + 3


def send_for_ever(line: socket.socket, data: bytes, pause_s: float = 0) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        line.sendall(data)
        time.sleep(pause_s)


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGTERM, True), (signal.SIGHUP, False)])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_service_that_leaves_says_where_to_go_on(start: Any, number: signal.Signals, workers: str, ends: bool) -> None:
    service = start("--bundle", "artifacts/topic/gru", "--workers", workers)
    with service.connect() as line:
        line.sendall(HEAD + chunk(b"oil prices\n" * 3))
        answers = line.makefile("rb")
        heard = []
        while len(heard) < 3:
            if (found := answers.readline()).startswith(b"{"):
                heard.append(json.loads(found))
        service.process.send_signal(number)
        while not (found := answers.readline()).startswith(b"{"):
            assert found
        answers.close()
    last = json.loads(found)
    assert (last["line"], last["last"], last["error"]["code"]) == (3, True, "service_leaving")
    if ends:
        assert service.process.wait(15) == 0
    else:
        assert httpx.post(f"{service.url}/predict/topic", json={"text": "oil"}).status_code == 200
