"""What is written in two pieces is sent as one, and nothing is kept back."""

import asyncio
from collections.abc import Iterator

import pytest

from app.paired import PairedTransport
from tests.line import Line


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def tasks() -> set[str]:
    """One request is being answered."""
    return {"its own"}


@pytest.fixture
def transport(line: Line, loop: asyncio.AbstractEventLoop, tasks: set[str]) -> PairedTransport:
    return PairedTransport(line, loop, tasks)


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """The event loop's next one."""
    loop.run_until_complete(asyncio.sleep(0))


def test_header_and_body_are_one_packet(
    transport: PairedTransport, line: Line, loop: asyncio.AbstractEventLoop
) -> None:
    for _ in range(2):
        transport.write(b"header ")
        transport.write(b"body")
        turn(loop)
    assert line.sent == [b"header body"] * 2


def test_header_goes_alone_where_its_body_is_not_there_yet(
    transport: PairedTransport, line: Line, loop: asyncio.AbstractEventLoop
) -> None:
    transport.write(b"header ")
    assert transport.get_write_buffer_size() == 7
    turn(loop)
    transport.write(b"body")
    turn(loop)
    assert line.sent == [b"header ", b"body"]


def test_many_pieces_that_are_written_at_once_go_in_order_and_none_is_kept_long(
    transport: PairedTransport, line: Line, loop: asyncio.AbstractEventLoop
) -> None:
    for piece in (b"a", b"b", b"c", b"d", b"e"):
        transport.write(piece)
    assert line.sent == [b"ab", b"cd"]
    turn(loop)
    assert line.sent == [b"ab", b"cd", b"e"]


def test_answer_goes_at_once_if_it_is_the_only_one(transport: PairedTransport, line: Line) -> None:
    transport.write(b"header ")
    transport.write(b"body")
    assert line.sent == [b"header body"]


def test_answer_goes_with_others_at_the_end_of_the_turn(
    transport: PairedTransport, tasks: set[str], line: Line, loop: asyncio.AbstractEventLoop
) -> None:
    tasks.add("another")
    other = PairedTransport(line, loop, tasks)
    for one, pieces in ((transport, (b"header ", b"body")), (other, (b"the ", b"other"))):
        for piece in pieces:
            one.write(piece)
    assert (line.sent, transport.get_write_buffer_size()) == ([], 11)
    turn(loop)
    assert line.sent == [b"header body", b"the other"]


@pytest.mark.parametrize(("body", "waits"), [(16_380, True), (16_381, False)])
def test_large_answer_waits_for_nobody(
    transport: PairedTransport, tasks: set[str], line: Line, body: int, waits: bool
) -> None:
    tasks.add("another")
    transport.write(b"head")
    transport.write(bytes(body))
    assert len(line.sent) == (0 if waits else 1)


def test_third_piece_takes_a_pair_along(
    transport: PairedTransport, tasks: set[str], line: Line, loop: asyncio.AbstractEventLoop
) -> None:
    """What is streamed does not pile up here, where nobody sees that it does."""
    tasks.add("another")
    for piece in (b"a", b"b", b"c", b"d", b"e", b"f", b"g"):
        transport.write(piece)
    assert line.sent == [b"abc", b"def"]
    turn(loop)
    assert line.sent == [b"abc", b"def", b"g"]


def test_what_is_held_is_sent_before_a_connection_closes(
    transport: PairedTransport, line: Line, loop: asyncio.AbstractEventLoop
) -> None:
    transport.write(b"header")
    transport.close()
    turn(loop)
    assert (line.sent, line.closed) == ([b"header"], True)


def test_a_body_of_nothing_is_no_packet(transport: PairedTransport, line: Line) -> None:
    """A transport may wait for ever to be rid of it."""
    for piece in (b"", b"header", b"", b"body"):
        transport.write(piece)
    assert line.sent == [b"headerbody"]


@pytest.mark.parametrize("gone", ["aborted", "lost"])
def test_nothing_is_sent_to_a_connection_that_is_gone(
    transport: PairedTransport, line: Line, loop: asyncio.AbstractEventLoop, gone: str
) -> None:
    transport.write(b"header")
    if gone == "aborted":
        transport.abort()
    line.aborted = True
    turn(loop)
    assert not line.sent


def test_bytes_are_counted_as_they_are_written(transport: PairedTransport) -> None:
    for piece in (b"header", b"", b"body"):
        transport.write(piece)
    assert transport.written == 10


def test_whatever_else_a_transport_has_is_asked_of_it(transport: PairedTransport) -> None:
    assert transport.get_extra_info("socket") is None
    with pytest.raises(AttributeError):
        transport.no_such_thing()
