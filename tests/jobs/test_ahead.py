"""Chunks that several engines have at once come back in order, and a fault behind all that could be read."""

import asyncio
from typing import Any

import numpy as np
import pytest

from app.bulk import Chunk
from app.errors import ClusterError, FileError
from app.files.lines import Position
from app.jobs.ahead import Ahead


class Slow:
    """Answers once it is asked `wanted` at once, the later the sooner it was asked."""

    def __init__(self, window: int, wanted: int | None = None) -> None:
        self.window, self.asked, self.most, self.now = window, 0, 0, 0
        self.wanted = window if wanted is None else wanted
        self.full = asyncio.Event()

    async def predict(self, ids: Any) -> Any:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            turns = 60 // self.asked
            if self.now >= self.wanted:
                self.full.set()
            await self.full.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
        finally:
            self.now -= 1
        if ids[0, 0] == 13:
            raise ClusterError("lost")
        return ids


def source(count: int, fault: Exception | None = None) -> Any:
    async def give(number: int) -> Chunk | None:
        await asyncio.sleep(0)
        if number < count:
            return Chunk([], [], np.full((1, 1), number, np.int32), Position(number, number))
        if fault:
            raise fault
        return None

    numbers = iter(range(10**9))
    return lambda: asyncio.ensure_future(give(next(numbers)))


async def collect(ahead: Ahead) -> list[int]:
    found = []
    try:
        while answered := await ahead.next():
            chunk, told = answered
            assert told is chunk.ids
            found.append(chunk.after.line)
    except FileError:
        found.append(-1)
    return found


@pytest.mark.parametrize("window", [1, 3, 50])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_chunks_come_in_order_and_no_more_at_once_than_wanted(window: int, count: int) -> None:
    engines = Slow(window, min(window, count))

    async def inside() -> None:
        assert await collect(Ahead(source(count), engines)) == list(range(count))

    asyncio.run(inside())
    assert engines.asked == count
    assert engines.most == min(window, count)


def test_a_fault_comes_behind_all_that_could_be_read() -> None:
    async def inside() -> None:
        assert await collect(Ahead(source(5, FileError("broken")), Slow(3))) == [0, 1, 2, 3, 4, -1]

    asyncio.run(inside())


def test_what_is_not_wanted_any_more_is_not_asked_on() -> None:
    engines = Slow(4)

    async def inside() -> None:
        ahead = Ahead(source(20), engines)
        with pytest.raises(ClusterError):
            await collect(ahead)
        ahead.cancel()
        await asyncio.sleep(0.05)

    asyncio.run(inside())
    assert engines.asked < 20
    assert engines.now == 0
