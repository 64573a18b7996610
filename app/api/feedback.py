"""`/feedback`: which label would have been right."""

import re
import time
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from app.api import errors, schemas
from app.api.body import read_json
from app.api.direct import DirectRoute
from app.api.edge import ASKED
from app.api.options import Options, parameter, read_options
from app.api.questions import Questions
from app.api.routes import document_body
from app.api.security import Visitors
from app.classifier import Catalog
from app.errors import InvalidRequestError, TextTooLongError, UnknownFeedbackError
from app.feedback import Book, Feedback
from app.metrics import NO_TASK
from app.scope import KEY
from app.settings import Settings

_ID: Final = r"^[0-9a-f]{16}(-[0-9]{1,6})?$"
_STRANGE_LABEL: Final[dict[str, object]] = {
    "loc": ["label"],
    "type": "unknown_label",
    "msg": "The task has no such label",
}
_EXAMPLE: Final = {"id": "8a487d1a49989cc3", "task": "sentiment", "label": "negative", "text": "Not half as bad."}
_ABOUT: Final = (
    "Kept for `sentopic-train fit --feedback`. A text is kept only if it is sent along; feedback without one cannot be "
    "learned from. Said again of the same answer, it replaces what was said before."
)


class FeedbackIn(BaseModel):
    """Which label would have been right."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    id: Annotated[
        str,
        Field(
            pattern=_ID,
            description="The answer's `id`; of a text of a batch the batch's, a hyphen, and its place from 0.",
            examples=["8a487d1a49989cc3"],
        ),
    ]
    task: Annotated[str, Field(max_length=64, description="Of the answer.", examples=["sentiment"])]
    label: Annotated[
        str, Field(max_length=200, description="The right one of the task's labels.", examples=["negative"])
    ]
    text: Annotated[
        schemas.Text | None, Field(description="What was classified, if the service may keep it to learn from it.")
    ] = None


class FeedbackOut(BaseModel):
    """What is kept."""

    id: str = Field(description="The answer's.", examples=["8a487d1a49989cc3"])
    task: str = Field(description="Of the answer.", examples=["sentiment"])
    label: str = Field(description="Which would have been right.", examples=["negative"])
    has_text: bool = Field(description="Whether the text is kept, too.")


def install(
    app: FastAPI,
    catalog: Catalog,
    book: Book | None,
    settings: Settings,
    visitors: Visitors,
    questions: Questions,
) -> None:
    """Without a book there is no such route."""
    if book is None:
        return

    async def take(request: Request) -> Response:
        request.scope[ASKED] = NO_TASK, "feedback"
        visitors.admit_host(dict(request.scope["headers"]))
        said = await read_json(request, FeedbackIn, settings, app.state.admission)
        if said.label not in {label.name for label in catalog.find(said.task).manifest.labels}:
            raise InvalidRequestError([_STRANGE_LABEL])
        request.scope[ASKED] = said.task, "feedback"
        if said.text is not None and len(said.text) > settings.max_text_chars:
            raise TextTooLongError(settings.max_text_chars)
        async with questions.asked():
            owner = str(request.scope.get(KEY, ""))
            await book.note(Feedback(owner, said.id, said.task, said.label, said.text, time.time()))
        told = FeedbackOut(id=said.id, task=said.task, label=said.label, has_text=said.text is not None)
        return Response(to_json(told), 202, media_type="application/json")

    async def withdraw(request: Request) -> Response:
        request.scope[ASKED] = NO_TASK, "feedback"
        visitors.admit_host(dict(request.scope["headers"]))
        read_options(request, Options)
        answer_id = request.path_params["id"]
        if not re.fullmatch(_ID, answer_id):
            raise UnknownFeedbackError
        async with questions.asked():
            await book.withdraw(str(request.scope.get(KEY, "")), answer_id)
        return Response(status_code=204)

    common: dict[str, Any] = {"tags": ["feedback"], "route_class_override": DirectRoute}
    app.router.add_api_route(
        "/feedback", take, methods=["POST"], operation_id="give_feedback", summary="Say which label is right",
        description=_ABOUT, response_model=FeedbackOut, status_code=202, response_description="It is kept.",
        responses=errors.documented(400, 403, 404, 413, 415, 422, 503, 504, 507),
        openapi_extra=document_body(FeedbackIn, {"a correction": _EXAMPLE}),
        **common,
    )  # fmt: skip
    app.router.add_api_route(
        "/feedback/{id}", withdraw, methods=["DELETE"], operation_id="withdraw_feedback", status_code=204,
        summary="Takes back what was said of an answer", response_description="It is gone, with its text.",
        responses=errors.documented(403, 404, 422, 503, 504),
        openapi_extra={
            "parameters": [parameter("id", {"type": "string"}, "Of the answer.", required=True, place="path")]
        },
        **common,
    )  # fmt: skip
