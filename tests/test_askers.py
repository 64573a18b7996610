"""Askers count good answers alone, and say what else came."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from app.askers import measure_answers
from app.errors import StartError

REQUESTS = [b"GET /%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % number for number in range(3)]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def measure(answer: Answer, seconds: float = 0.1) -> float:
    handlers = set[asyncio.Task[None]]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())  # type: ignore[arg-type] # in a coroutine
        with contextlib.suppress(ConnectionError):
            await answer(reader, writer)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        try:
            return await measure_answers(server.sockets[0].getsockname()[1], REQUESTS, 4, seconds)
        finally:
            await asyncio.gather(*handlers)


def test_each_asks_again_when_it_has_its_whole_answer() -> None:
    asked, most = list[bytes](), 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        while head := await reader.read(1_000):
            asked.append(head)
            most = max(most, head.count(b"HTTP"))
            for piece in (b"HTTP/1.1 200 OK\r\nCon", b"tent-Length: 11\r\nX: 5\r\n", b"\r\n\r\n\r\n{}", b"\r\n\r\n!"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)

    speed = asyncio.run(measure(answer, 0.3))
    assert most == 1
    assert set(asked) == set(REQUESTS)
    assert 0 < speed * 0.3 < len(asked)


def test_pauses_are_waited_for() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            await asyncio.sleep(0.4)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    assert 0 < asyncio.run(measure(answer, 0.01)) < 20


def test_batches_that_are_answered_at_once_are_counted_whole() -> None:
    """Whatever part of the next one's time has passed when the time is over."""
    waiting = list[asyncio.Future[None]]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            waiting.append(asyncio.get_running_loop().create_future())
            if len(waiting) == 4:
                asyncio.get_running_loop().call_later(0.2, release)
            await waiting[-1]
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def release() -> None:
        for future in waiting:
            future.set_result(None)
        waiting.clear()

    for seconds in (0.05, 0.15, 0.3, 0.7):
        waiting.clear()
        assert asyncio.run(measure(answer, seconds)) == pytest.approx(20, rel=0.2)


def test_service_that_is_not_there_is_told() -> None:
    with pytest.raises(StartError, match="cannot be reached"):
        asyncio.run(measure_answers(1, REQUESTS, 4, 0.1))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "'HTTP/1.1 503 Service Unavailable'"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "'HTTP/1.1 200 OK'"),
        (b"", "no more"),
    ],
)
def test_anything_but_good_answers_is_told(said: bytes, why: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(said)

    with pytest.raises(StartError, match=f"the service answered {why}$"):
        asyncio.run(measure(answer))
