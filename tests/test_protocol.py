"""One connection's clock, without a network: the transport is a fake that says what its client has not read."""

import asyncio
import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from app import protocol
from app.protocol import BoundedProtocol, ConnectionLimits, bounded
from app.scope import ON_DEPARTURE
from tests.line import Line

KEEP_ALIVE_S = 1_000


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def connection(line: Line) -> Iterator[BoundedProtocol]:
    """With 10 s for each answer."""

    loop = asyncio.new_event_loop()
    yield connect(line, ServerState(), loop)
    loop.close()


def connect(line: Line, state: ServerState, loop: asyncio.AbstractEventLoop, most: int = 10) -> BoundedProtocol:
    """One that has been answered, at 0 s."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None: ...

    config = uvicorn.Config(app, log_config=None, lifespan="off")
    made = bounded(ConnectionLimits(10, KEEP_ALIVE_S, 1_000, most))(config, state, {}, loop)
    made.connection_made(line)
    made._asking_since = None
    return made


def turn(connection: BoundedProtocol) -> None:
    """The event loop's next one."""
    connection.loop.run_until_complete(asyncio.sleep(0))


def send(connection: BoundedProtocol, data: bytes) -> None:
    connection.transport.write(data)
    turn(connection)


def test_what_is_held_is_sent_to_a_client_that_has_said_its_last(connection: BoundedProtocol, line: Line) -> None:
    connection.transport.write(b"header")
    connection.eof_received()
    line.close()  # as a transport does by itself then
    turn(connection)
    assert line.sent == [b"header"]


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
        connection.cycle = SimpleNamespace(response_complete=False)  # type: ignore[assignment]
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


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_one_that_has_been_idle_for_longest_makes_room(loop: asyncio.AbstractEventLoop) -> None:
    state, lines = ServerState(), [Line() for _ in range(4)]
    for line, answered_at in zip(lines, (7, 3, 5), strict=False):
        connect(line, state, loop, most=3)._answered_at = answered_at
    connect(lines[3], state, loop, most=3)
    assert [line.aborted for line in lines] == [False, True, False, False]


def test_one_whose_answer_is_not_sent_yet_makes_no_room(loop: asyncio.AbstractEventLoop) -> None:
    state, line, newcomer = ServerState(), Line(), Line()
    first = connect(line, state, loop, most=1)
    first.transport.write(b"answer")
    second = connect(newcomer, state, loop, most=1)
    assert (line.aborted, newcomer.aborted) == (False, True)
    second.connection_lost(None)
    turn(first)
    assert line.sent == [b"answer"]
    connect(Line(), state, loop, most=1)
    assert line.aborted


def test_idle_connection_is_closed_once_it_has_been_so_for_long(connection: BoundedProtocol, line: Line) -> None:
    connection.sweep(KEEP_ALIVE_S)
    assert not line.closed
    connection.sweep(KEEP_ALIVE_S + 1)
    assert (line.closed, line.aborted) == (True, False)


@pytest.mark.parametrize("is_asking", [True, False])
def test_connection_that_asks_or_waits_is_not_idle(connection: BoundedProtocol, line: Line, is_asking: bool) -> None:
    if is_asking:
        connection._asking_since = KEEP_ALIVE_S
    else:
        connection.cycle = SimpleNamespace(response_complete=False)  # type: ignore[assignment]
    connection.sweep(KEEP_ALIVE_S + 1)
    assert not line.is_closing()


def test_connection_whose_answer_is_being_read_is_not_idle(connection: BoundedProtocol, line: Line) -> None:
    send(connection, b"answer")
    connection.sweep(KEEP_ALIVE_S + 1)
    assert not line.is_closing()


@pytest.mark.parametrize("leave", [lambda it: it.eof_received(), lambda it: it.connection_lost(OSError())])
@pytest.mark.parametrize("is_answered", [True, False])
def test_whoever_is_at_work_is_told_that_its_client_leaves(
    connection: BoundedProtocol, leave: Any, is_answered: bool
) -> None:
    told = list[str]()
    cycle = SimpleNamespace(response_complete=is_answered, disconnected=False, message_event=asyncio.Event())
    cycle.scope = {ON_DEPARTURE: lambda: told.append("left")}
    connection.cycle = connection._at_work = cycle  # type: ignore[assignment]
    leave(connection)
    assert told == ([] if is_answered else ["left"])
    assert cycle.disconnected is not is_answered


HEADER = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n"


@pytest.fixture
def asked(line: Line) -> Iterator[BoundedProtocol]:
    """One that nobody answers: tasks stand where they were begun."""
    loop = asyncio.new_event_loop()
    connection = connect(line, ServerState(), loop)
    with contextlib.closing(loop):
        yield connection
        for task in connection.tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*connection.tasks, return_exceptions=True))


def test_large_body_is_read_on_behind_its_end_so_that_leaving_is_seen(asked: BoundedProtocol, line: Line) -> None:
    size = HIGH_WATER_LIMIT + 2
    asked.data_received(HEADER % size)
    asked.data_received(bytes(size - 1))
    assert not line.is_read
    asked.data_received(b"-")
    assert line.is_read


def test_nothing_is_read_while_a_request_waits_behind_another(asked: BoundedProtocol, line: Line) -> None:
    asked.data_received(HEADER % 1 + b"-")
    assert line.is_read
    asked.data_received(HEADER % 1 + b"-")
    assert not line.is_read


def test_the_one_at_work_is_told_though_others_wait_behind_it(asked: BoundedProtocol) -> None:
    told = list[str]()
    asked.data_received(HEADER % 1 + b"-")
    asked.cycle.scope[ON_DEPARTURE] = lambda: told.append("left")  # type: ignore[typeddict-unknown-key]
    asked.data_received(HEADER % 1 + b"-")
    asked.connection_lost(OSError())
    assert told == ["left"]


def test_answer_before_the_end_of_its_request_leaves_as_much_time_for_the_next(
    asked: BoundedProtocol, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.data_received(HEADER % 1)
    asked.cycle.response_complete = True
    asked.on_response_complete()
    end = asked._answered_at + 5
    monkeypatch.setattr(protocol.time, "monotonic", lambda: end)
    asked.data_received(b"-")
    asked.sweep(end + KEEP_ALIVE_S)
    assert not line.is_closing()
    asked.sweep(end + KEEP_ALIVE_S + 1)
    assert line.closed
