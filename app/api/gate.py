"""What stands before Ray Serve, in its processes, so that clients meet the service that they know.

Ray Serve reads bodies as fast as they come, whether the application reads them or not; names each request and answer by
an id of its own; obeys headers that no stranger should send; and answers for a replica that is gone, or not at all.
"""

import asyncio
from typing import Any, Final

from fastapi.responses import Response
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import errors
from app.errors import BodyTooLargeError, OverloadedError

_RAYS_OWN: Final = "/-/"
"""Paths that are the proxy's."""

_ID: Final = b"x-request-id"
_UNWATCHED: Final = b"x-request-disconnect-disabled"
_NOT_FOR_STRANGERS: Final = {_ID, _UNWATCHED, b"x-request-timeout-seconds"}
_LOST: Final = errors.Problem(
    type="urn:sentopic:problem:replica_lost",
    title="Bad gateway",
    status=502,
    code="replica_lost",
    detail="The replica that had the request is gone, and others answer: try again.",
)


def stand_before(max_incoming_bytes: int, *, is_direct: bool) -> list[Middleware]:
    """In the form that Ray asks for."""
    return [Middleware(Gate, max_incoming_bytes=max_incoming_bytes, is_direct=is_direct)]


class Gate:
    """ASGI middleware.

    `is_direct`: the application runs in this process, and Ray leaves it to read its bodies if it is asked to. Otherwise
    all requests together may have sent `max_incoming_bytes` until they are answered.
    """

    def __init__(self, app: ASGIApp, max_incoming_bytes: int, *, is_direct: bool) -> None:
        self._app, self._most, self._room = app, max_incoming_bytes, max_incoming_bytes
        self._is_direct = is_direct
        self._passages: set[_Passage] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_RAYS_OWN):
            await self._app(scope, receive, send)
            return
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _NOT_FOR_STRANGERS]
        if self._is_direct:
            scope["headers"].append((_UNWATCHED, b"?1"))  # the application notices by itself who has left
        passage = _Passage(self, receive, send)
        self._passages.add(passage)
        try:
            await self._app(scope, receive if self._is_direct else passage.receive, passage.send)
        except asyncio.CancelledError:
            if not passage.is_refused:
                raise
            passage.handler.uncancel()
        finally:
            self._passages.discard(passage)
            self._room += passage.held
        if not passage.is_begun:
            await passage.substitute(self._most)(scope, receive, send)

    def make_room(self, size: int, asker: "_Passage") -> bool:
        """Whether so many bytes more may be kept. Whoever keeps most gives way, or one client could take it all."""
        while size > self._room:
            largest = max(self._passages, key=lambda one: one.held + (size if one is asker else 0))
            if largest is asker:
                return False
            self._room += largest.held
            largest.give_up()
        self._room -= size
        return True


class _Passage:
    """One request's way through, by the task that handles it."""

    def __init__(self, gate: Gate, receive: Receive, send: Send) -> None:
        self._gate, self._receive, self._send = gate, receive, send
        self.handler: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # in a coroutine
        self.held = 0
        """Bytes that it has sent."""
        self.is_begun = self.is_refused = False
        """Whether the replica has begun to answer; whether the request was too large."""
        self._status: int | None = None
        """Of Ray's answer, if it has one itself."""

    async def receive(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        if self.is_refused or not self._gate.make_room(size, self):
            self.is_refused = True
            return {"type": "http.disconnect"}  # at which Ray ends what it has begun
        self.held += size
        return message

    def give_up(self) -> None:
        self.held, self.is_refused = 0, True
        self.handler.cancel()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            ids = [value for name, value in headers if name.lower() == _ID]
            if len(ids) < 2:  # the proxy has added one, and the application had its own
                self._status = message["status"]
                return
            self.is_begun = True
            message["headers"] = [*(pair for pair in headers if pair[0].lower() != _ID), (_ID, ids[0])]
        if self.is_begun:
            await self._send(message)

    def substitute(self, most: int) -> Response:
        """For an answer that Ray gives itself, or does not give."""
        if self.is_refused:
            return errors.respond(errors.describe(BodyTooLargeError(most)))
        if self._status is None:
            return errors.respond(_LOST, {"Retry-After": "0"})
        if self._status == 408:
            return errors.respond(errors.describe_code("deadline_exceeded", "No answer in time."))
        return errors.respond(errors.describe(OverloadedError(1)), {"Retry-After": "1"})
