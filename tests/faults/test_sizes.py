"""Bodies beyond the limit are refused whether they say their size or not, and nothing of them stays."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from app.settings import SHIPPED
from tests.faults.conftest import Running, read_all

LIMIT = 1_000_000
REFUSALS = 100
MOST_GROWTH_MB = 6
HEAD = b"POST /predict/topic HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which only Linux has")


@pytest.fixture(scope="module")
def service(start_once: Any) -> Any:
    return start_once("--bundle", str(SHIPPED / "topic" / "gru"), max_body_bytes=LIMIT, max_text_chars=2 * LIMIT)


def declared(size: int) -> bytes:
    return HEAD + b"content-length: %d\r\nconnection: close\r\n\r\n" % size + body(size)


def chunked(size: int) -> bytes:
    return HEAD + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body(size))


def body(size: int) -> bytes:
    """A text of spaces: if it is read, it is refused for that."""
    return b'{"text": "' + b" " * (size - 12) + b'"}'


def ask(service: Running, request: bytes) -> bytes:
    """The status. Who refuses early may close before all has been sent."""
    with service.connect() as line:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(request)
        return read_all(line)[9:12]


@pytest.mark.parametrize("form", [declared, chunked])
def test_body_at_the_limit_is_read_and_one_byte_more_is_refused(service: Any, form: Any) -> None:
    assert [ask(service, form(LIMIT + more)) for more in (-1, 0, 1)] == [b"422", b"422", b"413"]


@pytest.mark.parametrize("form", [declared, chunked])
def test_hundred_refused_bodies_take_no_memory(service: Any, form: Any) -> None:
    request = form(5 * LIMIT)
    for _ in range(5):
        ask(service, request)
    before = service.memory_mb
    assert {ask(service, request) for _ in range(REFUSALS)} <= {b"413", b""}
    assert service.memory_mb - before < MOST_GROWTH_MB
