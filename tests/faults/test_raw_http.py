"""Requests that two servers could read in two ways are refused with one answer, and the connection closes."""

import json
import re
import socket
from typing import Any

import pytest

from tests.faults.conftest import read_all

POST = b"POST /predict/topic HTTP/1.1\r\n"
HOST = b"host: a\r\n"
JSON = b"content-type: application/json\r\n"
BODY = b'{"text": "oil"}'
HIDDEN = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n"

NO_CHUNKS = b"0\r\n\r\n"


def post(headers: bytes, body: bytes = BODY) -> bytes:
    """A request with another one behind it, that must never be answered."""
    return POST + HOST + JSON + headers + b"\r\n\r\n" + body + HIDDEN


AMBIGUOUS = {
    "length and chunks": post(b"content-length: 6\r\ntransfer-encoding: chunked", NO_CHUNKS),
    "chunks and length": post(b"transfer-encoding: chunked\r\ncontent-length: 6", NO_CHUNKS),
    "two lengths": post(b"content-length: 15\r\ncontent-length: 16"),
    "negative length": post(b"content-length: -15"),
    "length with a sign": post(b"content-length: +15"),
    "length in hexadecimal": post(b"content-length: 0xf"),
    "length beyond 64 bits": post(b"content-length: 18446744073709551631"),
    "list of lengths": post(b"content-length: 15, 15"),
    "unknown coding": post(b"transfer-encoding: chunked, identity", NO_CHUNKS),
    "two codings": post(b"transfer-encoding: gzip, chunked", NO_CHUNKS),
    "chunked twice": post(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked", NO_CHUNKS),
    "hidden coding": post(b"transfer-encoding: \x0bchunked", NO_CHUNKS),
    "bare line feeds": post(b"content-length: 15").replace(b"\r\n", b"\n"),
    "space before a colon": post(b"content-length : 15"),
    "folded header": post(b"x-a: b\r\n c\r\ncontent-length: 15"),
    "no host": post(b"content-length: 15").replace(HOST, b"", 1),
    "two hosts": post(b"host: b\r\ncontent-length: 15"),
    "bad chunk size": post(b"transfer-encoding: chunked", b"xyz\r\n"),
    "negative chunk size": post(b"transfer-encoding: chunked", b"-1\r\n"),
    "chunk size beyond 64 bits": post(b"transfer-encoding: chunked", b"1000000000000000f\r\n"),
    "null in a header": post(b"x-a: b\x00c\r\ncontent-length: 15"),
    "no method": b" /predict/topic HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
    "version 3": b"GET / HTTP/3.0\r\n" + HOST + b"\r\n" + HIDDEN,
}


@pytest.fixture(scope="module")
def service(start_once: Any) -> Any:
    return start_once(max_header_bytes=4_096, client_timeout_s=1)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_request_gets_one_400_and_no_second_answer(service: Any, name: str) -> None:
    assert service.status(AMBIGUOUS[name]) == b"400"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (AMBIGUOUS["another protocol"], 400, "bad_request"),
        (AMBIGUOUS["bad chunk size"], 400, "bad_request"),
        (POST + b"x-a: " + b"b" * 9_000, 431, "header_too_large"),
        (POST + HOST + JSON + b"content-length: 15\r\n\r\n{", 408, "request_timeout"),
        (POST + HOST, 408, "request_timeout"),
    ],
    ids=["header", "body", "size", "half a body", "half a header"],
)
def test_refusal_is_a_problem_like_any_other_and_is_counted_once(
    service: Any, sent: bytes, status: int, code: str
) -> None:
    before = answers(service)
    with service.connect() as line:
        line.sendall(sent)
        header, _, body = read_all(line).partition(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 %d " % status)
    for name in (b"content-security-policy", b"cache-control", b"x-content-type-options", b"x-request-id"):
        assert b"\r\n" + name + b": " in header
    assert b"\r\ncontent-type: application/problem+json" in header
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert answers(service) - before == 2  # with the one that asked before


def answers(service: Any) -> float:
    with service.connect() as line:
        line.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return sum(map(float, re.findall(rb"\nsentopic_request_seconds_count\S* (\S+)", read_all(line))))


def test_plain_requests_one_after_the_other_are_answered(service: Any) -> None:
    asked = POST + HOST + JSON + b"content-length: 15\r\n\r\n" + BODY
    assert (
        service.status(asked + asked + HIDDEN.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")) == b"200 200 200"
    )
    chunked = (
        POST + HOST + JSON + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\nf\r\n" + BODY + b"\r\n0\r\n\r\n"
    )
    for coding in (b": chunked", b": Chunked", b":\tCHUNKED "):
        assert service.status(chunked.replace(b": chunked", coding)) == b"200"


@pytest.mark.parametrize(
    "offer",
    [
        b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\n",
    ],
    ids=["h2c", "websocket"],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_offer_of_another_protocol_is_ignored_and_the_request_read_whole(service: Any, offer: bytes, size: int) -> None:
    plain = POST + HOST + JSON + offer + b"content-length: 15\r\n\r\n" + BODY
    chunked = POST + HOST + JSON + offer + b"transfer-encoding: chunked\r\n\r\nf\r\n" + BODY + b"\r\n0\r\n\r\n"
    end = HIDDEN.replace(b"\r\n\r\n", b"\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n")
    asked = plain + chunked + plain + end
    with service.connect() as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(asked), size):
            line.sendall(asked[place : place + size])
        assert re.findall(rb"HTTP/1.1 (\d+)", read_all(line)) == [b"200"] * 4


def test_thousands_of_offers_at_once_are_ignored_one_after_the_other(service: Any) -> None:
    asked = HIDDEN.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
    end = HIDDEN.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    assert service.status(asked * 2_000 + end).split() == [b"200"] * 2_001


def test_offer_hides_nothing_that_is_refused_without_it(service: Any) -> None:
    offer = b"connection: upgrade\r\nupgrade: h2c\r\n"
    for name in ("length and chunks", "two lengths", "two hosts", "bad chunk size"):
        assert service.status(AMBIGUOUS[name].replace(HOST, HOST + offer, 1)) == b"400", name
    assert service.status(b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN) == b"400"


def test_http_1_0_needs_no_host(service: Any) -> None:
    assert service.status(b"GET /health/live HTTP/1.0\r\n\r\n") == b"200"


@pytest.mark.parametrize("pieces", [1, 40])
def test_header_at_the_limit_is_read_and_one_over_it_refused(service: Any, pieces: int) -> None:
    def asked(size: int) -> bytes:
        head = b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        left = size - len(b"/health/live") - sum(len(b"hosta") + 4 for _ in [0]) - len(b"connectionclose") - 4
        each = left // pieces
        sizes = [each] * (pieces - 1) + [left - each * (pieces - 1)]
        return head + b"".join(b"x-a: " + b"b" * (one - 7) + b"\r\n" for one in sizes) + b"\r\n"

    assert service.status(asked(4_096)) == b"200"
    assert service.status(asked(4_097)) == b"431"


@pytest.mark.parametrize(
    "line", [b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nx-a: " + b"b" * 9_000]
)
def test_header_that_never_ends_is_refused_when_it_is_too_long(service: Any, line: bytes) -> None:
    assert service.status(line) == b"431"
