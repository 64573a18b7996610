"""Threads of one concern's own: whoever waits there, for a database say, holds up nobody but those who ask the same."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Threads:
    def __init__(self, most: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(most, name)

    def run(self, work: Callable[..., Result], *given: Any) -> "asyncio.Future[Result]":
        """What `work` gives, when there is a thread for it. Who leaves meanwhile does not end it."""
        asked = asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        asked.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody may be left to hear of it
        return asked

    async def end(self) -> None:
        """Once what has begun is done."""
        await asyncio.to_thread(self._threads.shutdown)


class Late(Generic[Result]):
    """What is opened in a thread when it is first needed; if that fails, when it is needed again."""

    def __init__(self, threads: Threads, work: Callable[..., Result], *given: Any) -> None:
        self._open = partial(threads.run, work, *given)
        self._opening: asyncio.Future[Result] | None = None

    def begin(self) -> "asyncio.Future[Result]":
        """Opens it before it is needed. Who asks meanwhile waits for the same."""
        if self._opening is None or (self._opening.done() and self.opened is None):
            self._opening = self._open()
        return self._opening

    async def get(self) -> Result:
        """Raises what `work` raises."""
        return await asyncio.shield(self.begin())

    @property
    def opened(self) -> Result | None:
        one = self._opening
        return one.result() if one and one.done() and not one.cancelled() and not one.exception() else None
