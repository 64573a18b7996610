"""The short way to a route is answered as the long one is, whatever is asked there."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.api import errors
from app.api.direct import DirectRoute, Shortcut, WholeRoute
from app.errors import OverloadedError, SentopicError


def make_app(*, short: bool) -> FastAPI:
    """With `/whole`, which tells what it has seen, and fails if it is asked to."""
    app = FastAPI(redirect_slashes=False)
    errors.install(app)

    async def tell(request: Request) -> Response:
        failure = (await request.body()).decode()
        if failure:
            raise {"busy": OverloadedError(7), "defect": ValueError(), "own defect": SentopicError()}[failure]
        told = f"{request.method} {request.url.path} {request.url.query} {request.scope['route'].path_format}"
        return Response(told, 202, {"x-told": "yes"})

    app.router.add_api_route("/{other}", tell, methods=["GET"])
    app.router.add_api_route("/whole", tell, methods=["POST"], route_class_override=WholeRoute)
    app.router.add_api_route("/direct", tell, methods=["POST"], route_class_override=DirectRoute)
    if short:
        app.add_middleware(Shortcut, routes=app.router.routes)
    return app


async def ask(app: FastAPI, method: str, path: str, body: str, **options: Any) -> tuple[Any, ...]:
    transport = httpx.ASGITransport(app, **options)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        try:
            found = await client.request(method, path, content=body)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            return (type(error),)
    return found.status_code, found.content, sorted(found.headers.items())


@pytest.mark.parametrize("body", ["", "busy", "defect", "own defect"])
@pytest.mark.parametrize(
    "options", [{}, {"root_path": "/behind"}, {"root_path": "/whole"}], ids=["", "behind", "behind its own path"]
)
@pytest.mark.parametrize(
    "path",
    ["/whole", "/whole?a=b", "/whole/", "//whole", "/%77hole", "/whole%0A", "/behind/whole", "/direct", "/Whole"],
)
@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "OPTIONS"])
def test_the_short_way_gives_what_the_long_one_gives(
    method: str, path: str, options: dict[str, Any], body: str
) -> None:
    async def scene() -> list[tuple[Any, ...]]:
        return [await ask(make_app(short=short), method, path, body, **options) for short in (False, True)]

    long, short = asyncio.run(scene())
    assert short == long


def test_a_whole_route_is_reached_without_what_fastapi_has_on_the_way() -> None:
    app = make_app(short=True)
    seen: list[str] = []
    app.add_exception_handler(OverloadedError, lambda *_: seen.append("long"))  # which the short way does not ask
    status, _, headers = asyncio.run(ask(app, "POST", "/whole", "busy"))
    assert (status, dict(headers)["retry-after"], seen) == (503, "7", [])
