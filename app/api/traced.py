"""The layer around the edge that tells each request to a tracer; there is none unless traces are wanted."""

from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.edge import ASKED, ID
from app.api.errors import STAGES
from app.metrics import NO_TASK, OTHER
from app.stages import TimedStages

if TYPE_CHECKING:
    from app.tracing import Attributes, Trace, Tracing

_METHODS: Final = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}


class Traced:
    """ASGI middleware. Tells what OpenTelemetry's conventions for HTTP name, but nothing that a client has written:
    its path, its query, its headers and its text stay here.
    """

    def __init__(self, app: ASGIApp, tracing: "Tracing") -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, failure = 0, ""

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        trace = self._tracing.begin(_parent(scope))
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            failure = type(error).__name__
            raise
        finally:
            if trace.is_kept:
                _tell(trace, scope, status, failure)
            trace.end()


def _parent(scope: Scope) -> str:
    """`traceparent`, if there is one and no second. `tracestate` may hold anything, and nobody here reads it."""
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _tell(trace: "Trace", scope: Scope, status: int, failure: str) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    route = getattr(scope.get("route"), "path_format", "")
    about: Attributes = {}
    if (task := scope.get(ASKED, (NO_TASK, OTHER))[0]) != NO_TASK:
        about["sentopic.task"] = task
    stages = scope.get(STAGES)
    if isinstance(stages, TimedStages):
        if stages.model:
            about |= {"sentopic.model": stages.model, "sentopic.windows": stages.windows}
        trace.add_stages(stages.spans, about)
    told: Attributes = {
        "http.request.method": method,
        "url.scheme": scope.get("scheme", "http"),
        "sentopic.request_id": scope[ID],
    }
    if route:
        told["http.route"] = route
    if status:
        told["http.response.status_code"] = status
    failed = bool(failure) or status >= 500
    if failed:
        told["error.type"] = failure or str(status)
    name = method.replace("_OTHER", "HTTP")
    trace.describe(f"{name} {route}" if route else name, told | about, failed=failed)
