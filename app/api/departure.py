"""Notices that a client has gone, and ends the work for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request

from app.errors import ClientLeftError

WATCH_AFTER_S: Final = 0.05
"""Most answers come sooner, and watching costs as much as a small part of one."""

Result = TypeVar("Result")


async def work_for(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives. Cancels it and raises ClientLeftError if the client leaves; the body must have been read."""
    handler, left = asyncio.current_task(), False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        if handler is not None:
            handler.cancel()

    watching = list[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()
    timer = loop.call_later(WATCH_AFTER_S, lambda: watching.append(loop.create_task(watch())))
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        if handler is not None:
            handler.uncancel()
        raise ClientLeftError from None
    finally:
        timer.cancel()
        for task in watching:
            task.cancel()
