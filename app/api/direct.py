"""Routes whose endpoints take the request and give the response: nothing is left for FastAPI to inject or to check."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import errors
from app.errors import SentopicError


class DirectRoute(APIRoute):
    """There is nothing to close after it either, and whatever it raises the application's own handlers answer."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.app = self._answer

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


class WholeRoute(DirectRoute):
    """One whose path is always the same, and whose response has all of its body: to send it cannot fail."""


class Shortcut:
    """ASGI middleware, the innermost: straight to a `WholeRoute`, by a look into a dictionary.

    What FastAPI has on the way there, patterns to compare the path with, a stack of what is to be closed and a layer
    that catches errors, takes a seventh of an empty request's time.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        whole = [route for route in routes if isinstance(route, WholeRoute)]
        self._app = app
        self._routes = {(method, route.path): route for route in whole for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response: Response = await route.endpoint(Request(scope, receive, send))
        except SentopicError as error:
            response = errors.answer(error, scope)
        await response(scope, receive, send)
