"""Places are for whoever moves: one that hardly does gives way, if somebody else needs it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app.errors import OverloadedError, UnauthorizedError
from app.places import Place, Places


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def holding(places: Places, count: int) -> AsyncIterator[tuple[list[Place], list["asyncio.Task[str]"]]]:
    held: list[Place] = []

    async def hold() -> str:
        try:
            with places.take(f"client {len(held)}") as place:
                held.append(place)
                await asyncio.sleep(60)
        except OverloadedError:
            return "gave way"
        return ""

    tasks = [asyncio.create_task(hold()) for _ in range(count)]
    await asyncio.sleep(0)
    yield held, tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert places.left == places._count


def scene(act: Callable[[Places, Clock, list[Place], list["asyncio.Task[str]"]], None], ends: list[int]) -> None:
    async def play() -> None:
        clock = Clock()
        places = Places(2, 10.0, clock)
        async with holding(places, 2) as (held, tasks):
            act(places, clock, held, tasks)
            await asyncio.sleep(0.01)
            assert [number for number, task in enumerate(tasks) if task.done()] == ends
            assert all(tasks[number].result() == "gave way" for number in ends)

    asyncio.run(play())


def refused(places: Places) -> None:
    with pytest.raises(OverloadedError), places.take("another"):
        pass


def test_whoever_moves_least_gives_way() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        clock.now = 20.0
        held[0].note(9_000)
        held[1].note(8_000)
        with places.take("another"):
            assert places.left == 0

    scene(act, [1])


def test_nobody_gives_way_who_moves_or_has_only_begun() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        refused(places)
        clock.now = 20.0
        for place in held:
            place.note(210_000)
        refused(places)

    scene(act, [])


def test_what_moved_long_ago_does_not_count_for_ever() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        held[0].note(10**6)
        for second in range(0, 2_000, 10):
            clock.now = float(second)
            held[0].note(1)
            held[1].note(100_000)
        with places.take("another"):
            pass

    scene(act, [0])


def test_work_of_the_service_is_no_fault_of_the_client() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        held[1].note(10**8)
        with held[0].at_work():
            clock.now = 1_000.0
            held[1].note(10**8)
            refused(places)
        refused(places)

    scene(act, [])


def test_one_client_has_half_of_the_places_at_most() -> None:
    async def play() -> None:
        clock = Clock()
        places = Places(4, 10.0, clock)
        with places.take("a") as first, places.take("a"):
            with pytest.raises(OverloadedError), places.take("a"):
                pass
            with places.take("b"), places.take("c"):
                assert places.left == 0
            clock.now = 20.0
            first.note(10**6)
        assert places.left == 4

    asyncio.run(play())


def test_client_that_may_not_ask_any_more_is_turned_out_whatever_moves_there() -> None:
    async def play() -> None:
        places, ended = Places(4, 10.0), list[str]()

        async def hold(name: str) -> None:
            try:
                with places.take(name) as place:
                    while True:
                        place.note(10**6)
                        await asyncio.sleep(0.001)
            except UnauthorizedError:
                ended.append(name)

        tasks = [asyncio.create_task(hold(name)) for name in ("a", "b", "b", "c")]
        await asyncio.sleep(0.01)
        places.keep(["a", "c", "d"])
        assert places.left == 2
        await asyncio.wait(tasks[1:3])
        assert ended == ["b", "b"]
        for task in tasks:
            task.cancel()

    asyncio.run(play())


def test_clients_own_slowest_gives_way_to_its_next() -> None:
    async def play() -> None:
        clock, places = Clock(), Places(4, 10.0, Clock())
        places._clock = clock
        ended = list[str]()

        async def hold(name: str) -> None:
            try:
                with places.take("a"):
                    await asyncio.sleep(60)
            except OverloadedError:
                ended.append(name)

        tasks = [asyncio.create_task(hold(name)) for name in ("first", "second")]
        await asyncio.sleep(0)
        clock.now = 20.0
        with places.take("a"):
            await asyncio.sleep(0.01)
            assert ended == ["first"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())
