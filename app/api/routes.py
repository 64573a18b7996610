"""The routes: each task under its own name, then what describes the service."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from app import logs
from app.admission import Admission
from app.answers import Answer
from app.api import errors, schemas, tasks
from app.api.body import describe_fault, read_json
from app.api.departure import Visit
from app.api.direct import WholeRoute
from app.api.edge import ASKED, ID
from app.classifier import Catalog, Classifier
from app.errors import BatchTooLargeError, InvalidRequestError, RequestError
from app.metrics import Metrics
from app.settings import Settings
from app.stages import Stages

_PREDICT_ERRORS = (400, 404, 413, 415, 422, 503, 504)


def install(
    app: FastAPI, catalog: Catalog, settings: Settings, metrics: Metrics, make_stages: Callable[[], Stages] = Stages
) -> None:
    admission = Admission(settings.max_requests, settings.max_incoming_bytes)
    app.state.admission = admission
    for task, stem in tasks.name_stems(catalog.tasks).items():
        _add_task(app.router, task, stem, catalog, settings, admission, make_stages)
    _add_descriptions(app.router, catalog, settings)

    @app.get("/metrics", tags=["health"], summary="For Prometheus", response_class=PlainTextResponse)
    async def tell_metrics() -> Response:
        content, media_type = metrics.write()
        return Response(content, media_type=media_type)


def _add_task(
    router: APIRouter,
    task: str,
    stem: str,
    catalog: Catalog,
    settings: Settings,
    admission: Admission,
    make_stages: Callable[[], Stages],
) -> None:
    manifest = catalog.find(task).manifest
    own = tasks.make(task, stem, [label.name for label in manifest.labels], catalog.models(task))
    examples = [golden.text for golden in manifest.golden]

    async def predict(request: Request) -> Response:
        request.scope[ASKED] = task, "single"
        stages = request.scope[errors.STAGES] = make_stages()
        asked = await read_json(request, schemas.PredictRequest, settings, admission)
        stages.end("read")
        classifier = catalog.find(task, asked.model)
        stages.model = classifier.manifest.model
        explanation = None
        with admission.permit(classifier.batcher.retry_after_s), Visit(request):
            if asked.explain:
                answer, explanation = await classifier.explain(asked.text, settings.deadline_s, stages)
            else:
                answer = await classifier.classify(asked.text, settings.deadline_s, stages)
        content = schemas.answer_out(classifier.manifest, answer, asked.top_k, request.scope[ID])
        if explanation:
            content["explanation"] = schemas.explanation_out(classifier.manifest, explanation)
        if settings.log_texts:
            _log_texts([asked.text], [content])
        return respond(content, stages)

    async def predict_batch(request: Request) -> Response:
        request.scope[ASKED] = task, "batch"
        stages = request.scope[errors.STAGES] = make_stages()
        asked = await read_json(request, schemas.BatchRequest, settings, admission)
        if len(asked.texts) > settings.max_batch_texts:
            raise BatchTooLargeError(settings.max_batch_texts)
        faults = [_check_item(text) for text in asked.texts]
        stages.end("read")
        classifier = catalog.find(task, asked.model)
        stages.model = classifier.manifest.model
        good = [text for text, fault in zip(asked.texts, faults, strict=True) if fault is None]
        with admission.permit(classifier.batcher.retry_after_s), Visit(request):
            answers = await classifier.classify_many(good, settings.deadline_s, stages)
        content = _batch_out(classifier, faults, answers, asked.top_k, request.scope[ID])
        if settings.log_texts:
            _log_texts(asked.texts, content["results"])
        return respond(content, stages)

    common: dict[str, Any] = {
        "route_class_override": WholeRoute,
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
        response_model=own.answer,
        response_description="The most probable label, how sure that is, and what else it might be.",
        openapi_extra=document_body(own.request, texts),
        **common,
    )
    router.add_api_route(
        f"/predict/{task}/batch",
        predict_batch,
        operation_id=f"predict_{task}_batch",
        summary=f"Classify many texts: {task}",
        response_model=own.batch,
        response_description="One result a text, in order: an answer, or what is wrong with that text alone.",
        openapi_extra=document_body(own.batch_request, {"texts": {"texts": examples}}),
        **common,
    )


def _batch_out(
    classifier: Classifier,
    faults: Sequence[InvalidRequestError | None],
    answers: Sequence[Answer | RequestError],
    top_k: int,
    request_id: str,
) -> dict[str, Any]:
    """One result a text, in order: an answer, or what is wrong with that text alone."""
    manifest, found = classifier.manifest, iter(answers)
    results = list[dict[str, Any]]()
    for place, fault in enumerate(faults):
        answer = fault or next(found)
        if isinstance(answer, RequestError):
            results.append({"error": errors.describe(answer).model_dump(exclude_none=True)})
        else:
            results.append(schemas.answer_out(manifest, answer, top_k, f"{request_id}-{place}"))
    return {"task": manifest.task, "model": manifest.model, "results": results, "id": request_id}


def _log_texts(texts: Sequence[Any], contents: Sequence[dict[str, Any]]) -> None:
    for text, content in zip(texts, contents, strict=True):
        logs.tell_text(text, content)


def _check_item(text: Any) -> InvalidRequestError | None:
    try:
        schemas.PredictRequest(text=text)
    except ValidationError as error:
        return InvalidRequestError([describe_fault(error.errors(include_url=False, include_input=False)[0])])
    return None


def _add_descriptions(router: APIRouter, catalog: Catalog, settings: Settings) -> None:
    limits = schemas.LimitsOut.model_validate(settings, from_attributes=True)

    @router.get("/tasks", tags=["describe"], summary="Every task, with its labels, models and limits")
    async def list_tasks() -> schemas.TaskListOut:
        return schemas.TaskListOut(tasks=[_describe(catalog, task, limits) for task in catalog.tasks])

    @router.get("/tasks/{task}", tags=["describe"], summary="One task", responses=errors.documented(404))
    async def describe_task(task: Annotated[str, Path(examples=["topic"])]) -> schemas.TaskOut:
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
        sha256=manifest.sha256,
        recipe=str(manifest.recipe.get("name", "")),
        parameters=manifest.parameters,
        num_words=manifest.text.num_words,
        maxlen=manifest.text.maxlen,
        windows=manifest.text.windows,
        temperature=manifest.calibration.temperature,
        uncertain_below=manifest.calibration.uncertain_below,
        metrics=manifest.metrics,
        papers=list(classifier.papers),
    )


def document_body(model: type[BaseModel], examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The request body for the OpenAPI document; the routes read it themselves, bounded and strict."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def respond(content: dict[str, Any], stages: Stages) -> Response:
    body = to_json(content)
    stages.end("answer")
    return Response(body, media_type="application/json", headers={"Server-Timing": stages.server_timing()})
