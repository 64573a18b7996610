"""What each served bundle tells of itself: its manifest, card, figures and plots, as they were sealed and verified.

They come from whoever made the bundle. So they are handed out as files to keep, under a policy that lets them run
nothing, should a browser open one all the same.
"""

from pathlib import PurePath
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import Response

from app.api import errors
from app.classifier import Catalog
from app.errors import UnknownPaperError

_MEDIA_TYPES: Final = {".json": "application/json", ".md": "text/markdown; charset=utf-8", ".png": "image/png"}
_POLICY: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
_DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/markdown": {"schema": {"type": "string"}},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def install(app: FastAPI, catalog: Catalog) -> None:
    @app.get(
        "/tasks/{task}/{model}/{paper}",
        tags=["describe"],
        summary="A model's manifest, card, figures or plots",
        response_class=Response,
        responses=_DOCUMENTED | errors.documented(404),
    )
    async def give_paper(task: str, model: str, paper: str) -> Response:
        papers = catalog.find(task, model).papers
        if paper not in papers:
            raise UnknownPaperError(list(papers))
        headers = {
            "Content-Disposition": f'attachment; filename="{task}-{model}-{paper}"',
            "Content-Security-Policy": _POLICY,
        }
        return Response(papers[paper], media_type=_MEDIA_TYPES[PurePath(paper).suffix], headers=headers)
