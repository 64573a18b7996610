"""Notices that a client has gone, and ends the work for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request

from app.errors import ClientLeftError

WATCH_AFTER_S: Final = 0.05
"""After this or up to twice this. Most answers come sooner, and to watch a client costs as much as a part of one."""

Result = TypeVar("Result")


class Departures:
    """Watches the clients of requests that take long. One timer serves them all, since most answers come before it."""

    def __init__(self) -> None:
        self._come: dict[_Visit, None] = {}
        self._seen: dict[_Visit, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def work_for(self, request: Request, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` gives. If the client leaves, ends it and raises ClientLeftError. The body must have been read."""
        visit = _Visit(request)
        self._come[visit] = None
        if self._timer is None:
            self._timer = visit.loop.call_later(WATCH_AFTER_S, self._look)
        try:
            return await work
        except asyncio.CancelledError:
            if not visit.left:
                raise
            visit.handler.uncancel()
            raise ClientLeftError from None
        finally:
            self._come.pop(visit, None)
            self._seen.pop(visit, None)
            if visit.watch is not None:
                visit.watch.cancel()

    def _look(self) -> None:
        """Watches whoever was here at the last look too, and looks again if there was anybody."""
        late, self._seen, self._come, self._timer = self._seen, self._come, {}, None
        for visit in late:
            visit.watch = visit.loop.create_task(visit.wait_for_leaving())
        if self._seen:
            self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._look)


class _Visit:
    """A request whose answer is awaited, by the task that handles it."""

    __slots__ = ("handler", "left", "loop", "request", "watch")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.loop = asyncio.get_running_loop()
        self.handler: asyncio.Task[Any] = asyncio.current_task(self.loop)  # type: ignore[assignment] # in a coroutine
        self.left = False
        self.watch: asyncio.Task[None] | None = None

    async def wait_for_leaving(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self.handler.cancel()
