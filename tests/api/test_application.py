"""What FastAPI has around the service's layers is gone; what it was for is not."""

import asyncio
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.application import Application


class Noted:
    """A layer that notes what passes."""

    def __init__(self, app: ASGIApp, name: str, notes: list[str]) -> None:
        self.app, self._name, self._notes = app, name, notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._notes.append(self._name)
        await self.app(scope, receive, send)


def ask(app: Application, path: str) -> httpx.Response:
    async def scene() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(scene())


def test_layers_are_passed_from_the_last_added_to_the_first_and_none_of_starlettes_stands_before_them() -> None:
    app, notes = Application(), list[str]()
    app.add_middleware(Noted, name="first", notes=notes)
    app.add_middleware(Noted, name="last", notes=notes)
    app.add_route("/", lambda _: PlainTextResponse("good"))
    assert ask(app, "/").text == "good"
    assert notes == ["last", "first"]
    layer: Any = app.middleware_stack
    assert isinstance(layer, Noted)
    while layer := getattr(layer, "app", None):
        assert not isinstance(layer, ServerErrorMiddleware)


def test_errors_with_a_handler_are_answered_and_others_reach_the_outermost_layer() -> None:
    app = Application()

    @app.exception_handler(KeyError)
    async def handle(*_: object) -> PlainTextResponse:
        return PlainTextResponse("handled", 418)

    @app.get("/handled")
    async def fail() -> None:
        raise KeyError

    @app.get("/defect")
    async def break_down() -> None:
        raise ValueError("a defect")

    assert (ask(app, "/handled").status_code, ask(app, "/missing").status_code) == (418, 404)
    with pytest.raises(ValueError, match="a defect"):
        ask(app, "/defect")


def test_servers_take_it_for_what_it_is() -> None:
    """uvicorn and Ray look whether it is a coroutine function."""
    config = uvicorn.Config(Application())
    config.load()
    assert config.interface == "asgi3"
