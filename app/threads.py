"""Threads of one concern's own: whoever waits there, for a database say, holds up nobody but those who ask the same."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

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
