"""One connection's clock, without a network: the transport is a fake that says what its client has not read."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.protocol import BoundedProtocol, ConnectionLimits, bounded


class Line:
    """Holds what is written until the client reads it."""

    def __init__(self) -> None:
        self.unread = 0
        self.sent: list[bytes] = []
        """Packets."""
        self.aborted = self.closed = False

    def write(self, data: bytes) -> None:
        self.unread += len(data)
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted or self.closed

    def get_extra_info(self, _: str) -> None:
        return None


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def connection(line: Line) -> Iterator[BoundedProtocol]:
    """With 10 s for each answer."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    loop = asyncio.new_event_loop()
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    made = bounded(ConnectionLimits(10, 5, 1_000, 10))(config, ServerState(), {}, loop)
    made.connection_made(line)
    made._asking_since = None
    yield made
    loop.close()


def turn(connection: BoundedProtocol) -> None:
    """The event loop's next one."""
    connection.loop.run_until_complete(asyncio.sleep(0))


def send(connection: BoundedProtocol, data: bytes) -> None:
    connection.transport.write(data)
    turn(connection)


def test_header_and_body_are_one_packet(connection: BoundedProtocol, line: Line) -> None:
    for _ in range(2):
        connection.transport.write(b"header ")
        connection.transport.write(b"body")
        turn(connection)
    assert line.sent == [b"header body"] * 2


def test_header_goes_alone_where_its_body_is_not_there_yet(connection: BoundedProtocol, line: Line) -> None:
    connection.transport.write(b"header ")
    assert connection.transport.get_write_buffer_size() == 7
    turn(connection)
    connection.transport.write(b"body")
    turn(connection)
    assert line.sent == [b"header ", b"body"]


def test_many_pieces_that_are_written_at_once_go_in_order_and_none_is_kept_long(
    connection: BoundedProtocol, line: Line
) -> None:
    for piece in (b"a", b"b", b"c", b"d", b"e"):
        connection.transport.write(piece)
    assert line.sent == [b"ab", b"cd"]
    turn(connection)
    assert line.sent == [b"ab", b"cd", b"e"]


def test_what_is_held_is_sent_before_a_connection_closes(connection: BoundedProtocol, line: Line) -> None:
    connection.transport.write(b"header")
    connection.transport.close()
    turn(connection)
    assert (line.sent, line.closed) == ([b"header"], True)


def test_what_is_held_is_sent_to_a_client_that_has_said_its_last(connection: BoundedProtocol, line: Line) -> None:
    connection.transport.write(b"header")
    connection.eof_received()
    line.close()  # as a transport does by itself then
    turn(connection)
    assert line.sent == [b"header"]


def test_a_body_of_nothing_is_no_packet(connection: BoundedProtocol, line: Line) -> None:
    """A transport may wait for ever to be rid of it."""
    for piece in (b"", b"header", b"", b"body"):
        connection.transport.write(piece)
    assert line.sent == [b"headerbody"]


@pytest.mark.parametrize("gone", ["aborted", "lost"])
def test_nothing_is_sent_to_a_connection_that_is_gone(connection: BoundedProtocol, line: Line, gone: str) -> None:
    connection.transport.write(b"header")
    if gone == "aborted":
        connection.transport.abort()
    line.aborted = True
    turn(connection)
    assert not line.sent


def test_little_that_is_never_read_is_cut_off(connection: BoundedProtocol, line: Line) -> None:
    """As little as no transport complains of."""
    send(connection, b"a")
    for now in range(100, 111):
        connection.sweep(now)
    assert not line.aborted
    connection.sweep(111)
    assert line.aborted


def test_answer_that_is_read_a_little_at_a_time_is_cut_off(connection: BoundedProtocol, line: Line) -> None:
    send(connection, b"a" * 1_000)
    for now in range(100, 110):
        connection.sweep(now)
        connection.resume_writing()
        line.unread -= 50
    connection.sweep(111)
    assert line.aborted


def test_answer_that_is_written_a_little_at_a_time_has_no_more_time_for_it(
    connection: BoundedProtocol, line: Line
) -> None:
    for now in range(100, 112):
        send(connection, b"a" * 100)
        connection.sweep(now)
        line.unread = 1
    assert line.aborted


def test_answers_that_are_each_read_in_time_are_not_cut_off(connection: BoundedProtocol, line: Line) -> None:
    """Something is always there to be read, but never for long the same."""
    for now in range(100, 150):
        connection.cycle = object()  # type: ignore[assignment]
        send(connection, b"a" * 100)
        connection.sweep(now)
        line.unread = min(line.unread, 150)
    assert not line.aborted


def test_what_has_been_read_is_owed_no_more(connection: BoundedProtocol, line: Line) -> None:
    send(connection, b"a" * 1_000)
    connection.sweep(100)
    line.unread = 0
    connection.sweep(109)
    send(connection, b"a" * 1_000)
    connection.sweep(112)
    assert not line.aborted
