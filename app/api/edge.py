"""The outermost layer: what every answer has, whatever became of the request, and what is noted of it."""

import logging
import secrets
import time
from collections.abc import Iterator
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import errors
from app.metrics import NO_TASK, OTHER, Metrics
from app.protocol import REFUSED

ID: Final = "sentopic.id"
"""Where in a request's scope its id stands."""

ASKED: Final = "sentopic.asked"
"""Where in a request's scope its task and route stand, once they are known."""

_UNLESS_SET: Final = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
_NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")
_USUAL: Final = [*_UNLESS_SET.items(), _NO_SNIFFING]
_REFUSALS: Final = {
    400: ("bad_request", "Bad request", "The request is not HTTP that has one meaning."),
    408: ("request_timeout", "Request timeout", "The request did not come to its end in time."),
    431: ("header_too_large", "Header too large", "The request's header, or what frames its body, is too large."),
}
_ID_BYTES: Final = 8
_IDS_AT_ONCE: Final = 64
_log = logging.getLogger("sentopic")
_requests = logging.getLogger("sentopic.requests")


def _draw_ids() -> Iterator[str]:
    """Each is as random as if it were drawn alone; to ask the system takes longer, and lets go of Python's lock."""
    while True:
        drawn = secrets.token_hex(_ID_BYTES * _IDS_AT_ONCE)
        for start in range(0, len(drawn), 2 * _ID_BYTES):
            yield drawn[start : start + 2 * _ID_BYTES]


class Edge:
    """ASGI middleware. It answers a defect, too, with a problem, so that nothing further out has to."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics, self._ids = app, metrics, _draw_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or REFUSED in scope:
            await (self._refuse if REFUSED in scope else self._app)(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = scope[ID] = next(self._ids)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _complete(message["headers"], request_id)
            await send(message)

        self._metrics.begin_request()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            _log.error("a request failed", exc_info=error, extra={"request": request_id})
            if status:
                raise
            await errors.defect()(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - started
            status = scope[REFUSED].status if REFUSED in scope else status  # meanwhile
            task, route = scope.get(ASKED, (NO_TASK, OTHER))
            self._metrics.end_request(task, route, status, seconds)
            if _requests.isEnabledFor(logging.INFO):
                path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")  # whose line breaks are escaped
                told = {"request": request_id, "method": scope["method"], "path": path, "status": status}
                told |= {"task": task, "ms": round(seconds * 1e3, 3)}
                _requests.info("%(method)s %(path)s %(status)s %(ms)s ms %(request)s", told, extra=told)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Says why the connection takes no request that it could have answered."""
        refusal = scope[REFUSED]
        scope[ID] = next(self._ids)
        if not refusal.is_told:
            self._metrics.begin_request()
            self._metrics.end_request(NO_TASK, OTHER, refusal.status, 0.0)
        code, title, detail = _REFUSALS[refusal.status]
        problem = errors.Problem(
            type=f"urn:sentopic:problem:{code}", title=title, status=refusal.status, code=code, detail=detail
        )

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _complete(message["headers"], scope[ID])
            await send(message)

        await errors.respond(problem)(scope, receive, sending)


def _complete(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """With no more than what browsers need: each header costs a request more than its way through all of this."""
    named = (b"x-request-id", request_id.encode())
    present = {name for name, _ in headers if name in _UNLESS_SET}
    if not present:
        return [*headers, *_USUAL, named]
    return [*headers, *((name, value) for name, value in _USUAL if name not in present), named]
