"""Ends the work for a client that has gone."""

import asyncio
from types import TracebackType
from typing import Any

from fastapi import Request

from app.errors import ClientLeftError
from app.scope import ON_DEPARTURE


class Visit:
    """A context manager for what is done for a client whose request has been read to its end, by its own task.

    If the client leaves, ends that and raises ClientLeftError. Our server tells who leaves; others have to be asked,
    by a task more, which costs as much as a part of an answer.
    """

    __slots__ = ("_handler", "_left", "_request", "_watch")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._handler: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # in a coroutine
        self._left = False
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        if ON_DEPARTURE in self._request.scope:
            self._request.scope[ON_DEPARTURE] = self._leave
        else:
            self._watch = asyncio.create_task(self._wait_for_leaving())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is None:
            self._request.scope[ON_DEPARTURE] = None
        else:
            self._watch.cancel()
        if self._left and kind is asyncio.CancelledError:
            self._handler.uncancel()
            raise ClientLeftError from None

    def _leave(self) -> None:
        if not self._left:  # or what ends the work in order would be ended too
            self._left = True
            self._handler.cancel()

    async def _wait_for_leaving(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._leave()
