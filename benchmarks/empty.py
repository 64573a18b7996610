"""The service with one route more, `POST /empty`: the same request and answer, and no model in between.

What is left is what FastAPI, uvicorn and JSON cost: the limit for the service's own routes.
"""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from app.answers import Answer
from app.api import routes, schemas
from app.api.body import read_json
from app.api.edge import ID
from app.main import create_app as create_service
from app.settings import load_settings
from app.stages import Stages


def create_app() -> FastAPI:
    app, settings = create_service(), load_settings()
    manifest = app.state.catalog.find("sentiment").manifest
    scores = list(manifest.golden[0].scores)

    async def answer_without_a_model(request: Request) -> Response:
        asked = await read_json(request, schemas.PredictRequest, settings, app.state.admission)
        answer = Answer(scores, [0, 1], False, 0, 0, 0, [])
        return routes.respond(schemas.answer_out(manifest, answer, asked.top_k, request.scope[ID]), Stages())

    app.router.add_api_route(
        "/empty", answer_without_a_model, methods=["POST"], route_class_override=routes.DirectRoute
    )
    app.router.routes.insert(0, app.router.routes.pop())  # where the tasks' routes are
    return app
