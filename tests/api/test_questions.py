"""Questions to the database: few at once, each in time."""

import asyncio

import pytest

from app.api.questions import Questions
from app.errors import DeadlineError, OverloadedError
from app.settings import Settings


def test_too_many_at_once_are_refused_and_give_back_their_room() -> None:
    async def scene() -> None:
        questions = Questions(Settings(max_requests=16))
        async with questions.asked(), questions.asked():
            with pytest.raises(OverloadedError):
                async with questions.asked():
                    pass
        async with questions.asked():
            pass

    asyncio.run(scene())


def test_one_that_takes_too_long_is_told_so() -> None:
    async def scene() -> None:
        questions = Questions(Settings(deadline_s=0.05))
        with pytest.raises(DeadlineError):
            async with questions.asked():
                await asyncio.sleep(60)
        with pytest.raises(TimeoutError):
            async with questions.asked():
                raise TimeoutError

    asyncio.run(scene())
