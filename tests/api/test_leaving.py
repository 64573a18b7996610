"""What takes long goes on for a while after its application has begun to leave, and no longer."""

import asyncio
from typing import Any

import pytest

from app.api.leaving import patient_until_left, while_there
from app.errors import LeavingError, UnknownJobError
from app.scope import LEAVING


async def work(scope: dict[str, Any], seconds: float) -> str:
    async with patient_until_left(scope, patience_s=0.05):
        await asyncio.sleep(seconds)
    return "done"


def test_work_ends_a_while_after_the_application_has_begun_to_leave() -> None:
    async def scene() -> None:
        leaving = asyncio.Event()
        long = asyncio.create_task(work({LEAVING: leaving}, 60))
        await asyncio.sleep(0.2)
        assert not long.done()
        leaving.set()
        short = work({LEAVING: leaving}, 0.01)
        assert await short == "done"
        with pytest.raises(LeavingError):
            await asyncio.wait_for(long, 5)

    asyncio.run(scene())


def test_nothing_else_is_taken_for_it() -> None:
    async def scene() -> None:
        assert await work({}, 0.01) == "done"
        with pytest.raises(TimeoutError):
            async with patient_until_left({LEAVING: asyncio.Event()}):
                raise TimeoutError
        task = asyncio.create_task(work({LEAVING: asyncio.Event()}, 60))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_work_ends_with_what_it_works_at() -> None:
    async def scene() -> None:
        there = True

        async def look() -> bool:
            return there

        async def read() -> None:
            async with while_there(look, UnknownJobError()):
                await asyncio.sleep(60)

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        there = False
        with pytest.raises(UnknownJobError):
            await asyncio.wait_for(reading, 5)

    asyncio.run(scene())
