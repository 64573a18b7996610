"""What is opened late is opened once, by whoever needs it first."""

import asyncio
from threading import Event

import pytest

from app.threads import Late, Threads


class Store:
    """It is away until it is not."""

    away, tried = True, 0

    def open(self) -> str:
        self.tried += 1
        if self.away:
            raise ConnectionError
        return "opened"


def test_what_cannot_be_opened_is_tried_again_by_the_next_who_needs_it() -> None:
    store = Store()

    async def scene() -> None:
        threads = Threads(2, "test")
        late = Late(threads, store.open)
        assert late.opened is None
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await late.get()
            assert late.opened is None
        store.away = False
        assert [await late.get(), await late.get(), late.opened] == ["opened"] * 3
        assert store.tried == 3
        await threads.end()

    asyncio.run(scene())


def test_who_asks_while_it_is_opened_waits_for_the_same_and_may_leave() -> None:
    tried, released = list[int](), Event()

    def work() -> str:
        tried.append(1)
        released.wait(10)
        return "opened"

    async def scene() -> None:
        threads = Threads(2, "test")
        late = Late(threads, work)
        asked = [asyncio.ensure_future(late.get()) for _ in range(3)]
        await asyncio.sleep(0)
        asked[0].cancel()
        await asyncio.sleep(0)
        released.set()
        assert await asyncio.gather(*asked[1:]) == ["opened"] * 2
        assert asked[0].cancelled()
        assert len(tried) == 1
        await threads.end()

    asyncio.run(scene())


def test_what_is_begun_before_it_is_needed_is_there_then_and_fails_nobody() -> None:
    store = Store()

    async def scene() -> None:
        threads = Threads(1, "test")
        late = Late(threads, store.open)
        await asyncio.wait([late.begin()])
        store.away = False
        assert await late.get() == "opened"
        assert late.begin().done()
        assert store.tried == 2
        await threads.end()

    asyncio.run(scene())
