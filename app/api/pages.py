"""The pages that people see, from files that lie beside the code. They know the service by its HTTP routes alone."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

WEB: Final = Path(__file__).resolve().parent.parent / "web"
PAGES: Final = {"/": "index.html", "/models": "models.html", "/bulk": "bulk.html"}

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)
"""With trusted types, none of which is allowed: then no script can read a text as HTML, not by mistake either."""


class _File(NamedTuple):
    content: bytes
    headers: dict[str, str]


def install(app: FastAPI) -> None:
    for path, name in PAGES.items():
        _add_page(app, path, name)

    app.add_route("/web/{name}", _show_part, ["GET"], include_in_schema=False)


def _add_page(app: FastAPI, path: str, name: str) -> None:
    file = _read(WEB / name)

    async def show_page(request: Request) -> Response:
        return _answer(request, file)

    app.add_route(path, show_page, ["GET"], include_in_schema=False)


async def _show_part(request: Request) -> Response:
    """One of the styles, scripts and pictures that lie there, by its name: no path leads anywhere else."""
    file = _read_parts().get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    return _answer(request, file)


def _answer(request: Request, file: _File) -> Response:
    """Browsers keep files, and ask each time whether they are the same still: no update is ever half there."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if file.headers["ETag"] in known:
        return Response(status_code=304, headers=file.headers)
    return Response(file.content, headers=file.headers)


@cache
def _read_parts() -> dict[str, _File]:
    return {path.name: _read(path) for path in WEB.iterdir() if path.suffix in _MEDIA_TYPES.keys() - {".html"}}


@cache
def _read(path: Path) -> _File:
    content = path.read_bytes()
    headers = {
        "Content-Type": _MEDIA_TYPES[path.suffix],
        "Cache-Control": "no-cache",
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
    }
    return _File(content, headers)
