"""What comes in an event loop is read in a thread, no faster and no slower than it comes."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import LeavingError
from app.inflow import MAX_HELD_BYTES, Inflow


def in_thread(work: Callable[[], Any]) -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().run_in_executor(None, work)


def test_thread_reads_all_that_comes_in_its_order() -> None:
    async def scene() -> None:
        inflow = Inflow()

        def read_all() -> bytes:
            found = bytearray()
            while piece := inflow.read(1_000):
                found += piece
            return bytes(found)

        reading = in_thread(read_all)
        sent = [bytes([number]) * 40_000 for number in range(20)]
        for piece in sent:
            await inflow.put(piece)
        inflow.end()
        assert await reading == b"".join(sent)

    asyncio.run(scene())


def test_who_brings_more_than_is_read_must_wait() -> None:
    async def scene() -> None:
        inflow = Inflow()
        await inflow.put(bytes(MAX_HELD_BYTES))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inflow.put(b"more"), 0.05)
        assert await in_thread(lambda: inflow.read(10)) == bytes(10)
        await asyncio.wait_for(inflow.put(b"more"), 5)

    asyncio.run(scene())


def test_waiting_thread_hears_of_data_of_the_end_and_of_errors() -> None:
    async def scene() -> None:
        inflow = Inflow()
        reading = in_thread(lambda: inflow.read(10))
        await asyncio.sleep(0.02)
        await inflow.put(b"a")
        assert await reading == b"a"
        reading = in_thread(lambda: inflow.read(10))
        await asyncio.sleep(0.02)
        inflow.end(LeavingError())
        with pytest.raises(LeavingError):
            await reading
        other = Inflow()
        other.end()
        assert await in_thread(lambda: other.read(10)) == b""

    asyncio.run(scene())


def test_it_is_idle_while_nothing_comes() -> None:
    async def scene() -> None:
        inflow = Inflow()
        started = time.monotonic()
        assert await in_thread(inflow.is_idle)
        assert time.monotonic() - started < 1
        await inflow.put(b"a")
        assert not inflow.is_idle()
        inflow.read(5)
        inflow.end()
        assert not inflow.is_idle()

    asyncio.run(scene())
    assert threading.active_count() < 20
