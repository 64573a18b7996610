"""The service with two routes more: the same request and answer, and no model in between.

`python -m benchmarks.empty --port PORT` runs it as `sentopic serve` runs the service.

`POST /empty/fastapi` is as FastAPI's documentation has it, the request's and the answer's model in the function's
signature. `POST /empty` has nothing in it that the service's own routes do not have: what is left is what the way
through FastAPI, uvicorn and JSON costs, and the limit for them.
"""

import sys
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app import cli
from app import main as service
from app.answers import Answer
from app.api import routes, schemas
from app.api.body import read_json
from app.api.direct import WholeRoute
from app.api.edge import ID
from app.settings import load_settings
from app.stages import Stages

_create_service = service.create_app


def create_app(*given: Any) -> FastAPI:
    app, settings = _create_service(*given), load_settings()
    manifest = app.state.catalog.find("sentiment").manifest
    scores = list(manifest.golden[0].scores)

    async def answer_without_a_model(request: Request) -> Response:
        asked = await read_json(request, schemas.PredictRequest, settings, app.state.admission)
        answer = Answer(scores, [0, 1], False, 0, 0, 0, [])
        return routes.respond(schemas.answer_out(manifest, answer, asked.top_k, request.scope[ID]), Stages())

    content = schemas.answer_out(manifest, Answer(scores, [0, 1], False, 0, 0, 0, []), 2, "8a487d1a49989cc3")
    constant = schemas.AnswerOut.model_validate(content)

    async def answer_as_documented(asked: schemas.PredictRequest) -> schemas.AnswerOut:  # noqa: ARG001 - FastAPI reads it
        return constant

    add = app.router.add_api_route
    add("/empty", answer_without_a_model, methods=["POST"], route_class_override=WholeRoute)
    add("/empty/fastapi", answer_as_documented, methods=["POST"], response_model_exclude_none=True)
    for _ in range(2):
        app.router.routes.insert(0, app.router.routes.pop())  # where the tasks' routes are
    return app


if __name__ == "__main__":
    service.create_app = create_app
    sys.exit(cli.main(["serve", *sys.argv[1:]]))
