"""Places are for whoever moves: one that hardly does gives way, if somebody else needs it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app.errors import OverloadedError
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
            with places.take() as place:
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
    with pytest.raises(OverloadedError), places.take():
        pass


def test_whoever_moves_least_gives_way() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        clock.now = 20.0
        held[0].note(100)
        held[1].note(90)
        with places.take():
            assert places.left == 0

    scene(act, [1])


def test_nobody_gives_way_who_moves_or_has_only_begun() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        refused(places)
        clock.now = 20.0
        for place in held:
            place.note(2_100)
        refused(places)

    scene(act, [])


def test_what_moved_long_ago_does_not_count_for_ever() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        held[0].note(10**6)
        for second in range(0, 2_000, 10):
            clock.now = float(second)
            held[0].note(1)
            held[1].note(10_000)
        with places.take():
            pass

    scene(act, [0])


def test_work_of_the_service_is_no_fault_of_the_client() -> None:
    def act(places: Places, clock: Clock, held: list[Place], _: object) -> None:
        held[1].note(10**6)
        with held[0].at_work():
            clock.now = 1_000.0
            held[1].note(10**6)
            refused(places)
        refused(places)

    scene(act, [])
