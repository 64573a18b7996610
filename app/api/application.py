"""FastAPI with the service's own layers as its outermost ones: what it has around them, theirs do already."""

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class Application(FastAPI):
    """Without FastAPI's layers for defects, telemetry and the size of bodies: `Edge` answers the first, `Traced` tells
    spans, and whoever reads a body bounds it. Each layer is on a request's way in, on its way out, and in memory while
    the request waits.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = AsyncExitStackMiddleware(self.router)
        app = ExceptionMiddleware(app, handlers=self.exception_handlers)
        for layer, given, options in reversed(self.user_middleware):
            app = layer(app, *given, **options)
        return app
