"""The routes: each task under its own name, then what describes the service."""

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ValidationError

from app.api import errors, schemas
from app.api.body import describe_fault, read_json
from app.classifier import Catalog, Classifier
from app.errors import BatchTooLargeError, InvalidRequestError, SentopicError
from app.settings import Settings

_PREDICT_ERRORS = (400, 404, 413, 415, 422, 503, 504)


def build_router(catalog: Catalog, settings: Settings) -> APIRouter:
    router = APIRouter()
    for task in catalog.tasks:
        _add_task(router, task, catalog, settings)
    _add_descriptions(router, catalog, settings)
    return router


def _add_task(router: APIRouter, task: str, catalog: Catalog, settings: Settings) -> None:
    manifest = catalog.find(task).manifest
    answer_schema, batch_schema = schemas.for_task(task, [label.name for label in manifest.labels])
    examples = [golden.text for golden in manifest.golden]

    async def predict(request: Request) -> Response:
        asked = await read_json(request, schemas.PredictRequest, settings.max_body_bytes)
        classifier = catalog.find(task, asked.model)
        answer = await classifier.classify(asked.text, settings.deadline_s)
        return _json(schemas.answer_out(classifier.manifest, answer, asked.top_k, _new_id()))

    async def predict_batch(request: Request) -> Response:
        asked = await read_json(request, schemas.BatchRequest, settings.max_body_bytes)
        if len(asked.texts) > settings.max_batch_texts:
            raise BatchTooLargeError(settings.max_batch_texts)
        return _json(await _answer_batch(catalog.find(task, asked.model), asked, settings.deadline_s))

    models = list(catalog.models(task))
    common: dict[str, Any] = {
        "methods": ["POST"],
        "tags": ["predict"],
        "responses": errors.documented(*_PREDICT_ERRORS),
    }
    texts = {f"text {number}": {"text": text} for number, text in enumerate(examples, start=1)}
    router.add_api_route(
        f"/predict/{task}",
        predict,
        operation_id=f"predict_{task}",
        summary=f"Classify one text: {task}",
        response_model=answer_schema,
        openapi_extra=_documented_body(schemas.PredictRequest, models, texts),
        **common,
    )
    router.add_api_route(
        f"/predict/{task}/batch",
        predict_batch,
        operation_id=f"predict_{task}_batch",
        summary=f"Classify many texts: {task}",
        response_model=batch_schema,
        openapi_extra=_documented_body(schemas.BatchRequest, models, {"texts": {"texts": examples}}),
        **common,
    )


async def _answer_batch(classifier: Classifier, asked: schemas.BatchRequest, deadline_s: float) -> BaseModel:
    """One result a text, in order: an answer, or what is wrong with that text alone."""
    request_id, manifest = _new_id(), classifier.manifest
    results: list[schemas.AnswerOut | schemas.FailureOut] = []
    faults = [_check_item(text) for text in asked.texts]
    good = [text for text, fault in zip(asked.texts, faults, strict=True) if fault is None]
    answers = iter(await classifier.classify_many(good, deadline_s))
    for place, fault in enumerate(faults):
        answer = fault or next(answers)
        if isinstance(answer, SentopicError):
            results.append(schemas.FailureOut.model_construct(error=errors.describe(answer)))
        else:
            results.append(schemas.answer_out(manifest, answer, asked.top_k, f"{request_id}-{place}"))
    return schemas.BatchOut.model_construct(task=manifest.task, model=manifest.model, results=results, id=request_id)


def _check_item(text: Any) -> InvalidRequestError | None:
    try:
        schemas.PredictRequest(text=text)
    except ValidationError as error:
        return InvalidRequestError([describe_fault(error.errors(include_url=False, include_input=False)[0])])
    return None


def _add_descriptions(router: APIRouter, catalog: Catalog, settings: Settings) -> None:
    limits = schemas.LimitsOut.model_validate(settings, from_attributes=True)

    @router.get("/tasks", tags=["describe"], summary="Every task, with its labels, models and limits")
    async def list_tasks() -> schemas.TasksOut:
        return schemas.TasksOut(tasks=[_describe(catalog, task, limits) for task in catalog.tasks])

    @router.get("/tasks/{task}", tags=["describe"], summary="One task", responses=errors.documented(404))
    async def describe_task(task: str) -> schemas.TaskOut:
        return _describe(catalog, task, limits)

    @router.get("/health/live", tags=["health"], summary="The process answers")
    async def check_alive() -> schemas.HealthOut:
        return schemas.HealthOut(status="alive")

    @router.get(
        "/health/ready",
        tags=["health"],
        summary="Every bundle is verified, warmed up and has reproduced its golden texts",
    )
    async def check_ready() -> schemas.HealthOut:
        return schemas.HealthOut(status="ready")

    @router.get("/", include_in_schema=False)
    async def go_to_docs() -> Response:
        return RedirectResponse("docs")

    @router.post("/predict/{task}", include_in_schema=False)
    @router.post("/predict/{task}/batch", include_in_schema=False)
    async def refuse_unknown_task(task: str) -> None:
        catalog.find(task)


def _describe(catalog: Catalog, task: str, limits: schemas.LimitsOut) -> schemas.TaskOut:
    models = catalog.models(task)
    default = catalog.find(task)
    return schemas.TaskOut(
        name=task,
        labels=[schemas.LabelOut(**label.model_dump()) for label in default.manifest.labels],
        models=[_describe_model(classifier, default=classifier is default) for classifier in models.values()],
        limits=limits,
    )


def _describe_model(classifier: Classifier, *, default: bool) -> schemas.ModelOut:
    manifest = classifier.manifest
    return schemas.ModelOut(
        name=manifest.model,
        default=default,
        engine=classifier.engine.name,
        precision=classifier.engine.precision,
        recipe=str(manifest.recipe.get("name", "")),
        parameters=manifest.parameters,
        num_words=manifest.text.num_words,
        maxlen=manifest.text.maxlen,
        windows=manifest.text.windows,
        temperature=manifest.calibration.temperature,
        uncertain_below=manifest.calibration.uncertain_below,
        metrics=manifest.metrics,
    )


def _documented_body(model: type[BaseModel], models: list[str], examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The request body for the OpenAPI document; the routes read it themselves, bounded and strict."""
    schema = model.model_json_schema()
    schema["properties"]["model"]["anyOf"][0]["enum"] = models
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _json(answer: BaseModel) -> Response:
    return Response(
        answer.model_dump_json(exclude_none=True), media_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _new_id() -> str:
    return secrets.token_hex(8)
