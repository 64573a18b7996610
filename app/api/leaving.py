"""What may take long gives way when the service ends, or takes up new models."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from app.errors import LeavingError, SentopicError
from app.scope import LEAVING

PATIENCE_S: Final = 60.0
"""How long it may go on then."""

_LOOK_S: Final = 2.0


@asynccontextmanager
async def patient_until_left(scope: Mapping[str, Any], patience_s: float = PATIENCE_S) -> AsyncIterator[None]:
    """Ends what is done in it, a while after the application has begun to leave. Raises LeavingError."""
    leaving: asyncio.Event | None = scope.get(LEAVING)
    try:
        async with asyncio.timeout(None) as limit:
            watching = asyncio.create_task(_watch(leaving, limit, patience_s)) if leaving else None
            try:
                yield
            finally:
                if watching:
                    watching.cancel()
    except TimeoutError:
        if limit.expired():
            raise LeavingError from None
        raise


@asynccontextmanager
async def while_there(is_there: Callable[[], Awaitable[bool]], gone: SentopicError) -> AsyncIterator[None]:
    """Ends what is done in it, some seconds after `is_there` says no. Raises `gone`."""

    async def watch(limit: asyncio.Timeout) -> None:
        while await is_there():
            await asyncio.sleep(_LOOK_S)
        limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as limit:
            watching = asyncio.create_task(watch(limit))
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if limit.expired():
            raise gone from None
        raise


async def _watch(leaving: asyncio.Event, limit: asyncio.Timeout, patience_s: float) -> None:
    await leaving.wait()
    limit.reschedule(asyncio.get_running_loop().time() + patience_s)
