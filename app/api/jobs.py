"""`/jobs`: bulk files over HTTP. A file is a request's body, and its result a file again."""

import importlib.util
import json
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import ClientDisconnect

from app.admission import Admission
from app.api import errors, schemas
from app.api.body import describe_fault
from app.api.edge import ASKED
from app.api.routes import DirectRoute
from app.classifier import Catalog
from app.errors import (
    ClientLeftError,
    InvalidRequestError,
    JobNotDoneError,
    NoJobsError,
    NoParquetError,
    UnknownJobError,
    UnsupportedMediaTypeError,
)
from app.files.rows import FORMATS, Format
from app.jobs.convert import convert
from app.jobs.job import Job, Status
from app.jobs.office import Office
from app.metrics import NO_TASK
from app.scope import KEY, UNHURRIED

MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "lines": "text/plain",
}
_ENDINGS: Final[dict[Format, str]] = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "lines": "txt"}
_ID: Final = r"^[0-9a-f]{32}$"

Options = TypeVar("Options", bound=BaseModel)


class _Options(BaseModel):
    """What stands in the URL."""

    model_config = ConfigDict(extra="forbid")


class JobOptions(_Options):
    task: Annotated[str, Field(max_length=64)]
    model: schemas.ModelName = None
    format: Format | None = None
    text: Annotated[str | None, Field(min_length=1, max_length=1_000)] = None


class ResultOptions(_Options):
    format: Format | None = None


class NoOptions(_Options):
    pass


class JobOut(BaseModel):
    """A bulk file, and how far it is."""

    id: str
    task: str
    model: str
    format: Format
    status: Status
    rows: int | None = Field(description="In the file, once that is known.")
    done: int = Field(ge=0, description="Rows that have been gone through, bad ones too.")
    failed: int = Field(ge=0, description="Bad rows among them, which have an error in the result.")
    rows_per_s: float | None
    seconds_left: float | None
    created: datetime
    error: errors.Problem | None = Field(description="Why it has failed.")
    labels: dict[str, int] = Field(description="How often each has been answered.")


class JobsOut(BaseModel):
    jobs: list[JobOut] = Field(description="One's own, the newest first.")


class _Desk:
    """What the routes have in common."""

    def __init__(self, catalog: Catalog, office: Office, admission: Admission) -> None:
        self._catalog, self._office, self._admission = catalog, office, admission

    async def take(self, request: Request) -> Response:
        options = _read_options(request, JobOptions)
        classifier = self._catalog.find(options.task, options.model)
        request.scope[ASKED] = options.task, "jobs"
        headers = dict(request.scope["headers"])
        form = _choose_format(headers, options.format)
        owner = request.scope.get(KEY, "")
        job = Job(
            secrets.token_hex(16), owner, options.task, classifier.manifest.model, form, options.text,
            status="uploading", created=time.time(), size=0,
        )  # fmt: skip
        declared = headers.get(b"content-length", b"")
        with self._admission.permit(retry_after_s=1):
            _take_long(request)
            job = await self._office.receive(job, int(declared) if declared.isdigit() else None, _read_body(request))
        content = to_json(_tell(job))
        return Response(content, 202, {"Location": f"/jobs/{job.id}"}, "application/json")

    async def list(self, request: Request) -> Response:
        _begin(request)
        jobs = await self._office.list_of(request.scope.get(KEY, ""))
        return Response(to_json({"jobs": [_tell(job) for job in jobs]}), media_type="application/json")

    async def show(self, request: Request) -> Response:
        _begin(request)
        return Response(to_json(_tell(await self._find(request))), media_type="application/json")

    async def remove(self, request: Request) -> Response:
        _begin(request)
        await self._office.remove(await self._find(request))
        return Response(status_code=204)

    async def give(self, request: Request) -> Response:
        options = _begin(request, ResultOptions)
        job = await self._find(request)
        shape = job.written_as
        if job.status != "done":
            raise JobNotDoneError(job.status)
        form, path = options.format or job.format, self._office.result(job)
        if form == "parquet":
            _refuse_parquet_without_its_library()
        if not await run_in_threadpool(path.is_file):
            raise UnknownJobError
        _take_long(request)
        name = f"{job.task}-{job.id[:8]}.{_ENDINGS[form]}"
        if form == job.format or shape is None:
            return FileResponse(path, media_type=MEDIA_TYPES[form], filename=name)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        pieces = iterate_in_threadpool(convert(path, shape, form))
        return StreamingResponse(pieces, media_type=MEDIA_TYPES[form], headers=headers)

    async def _find(self, request: Request) -> Job:
        return await self._office.find(request.path_params["id"], request.scope.get(KEY, ""))


def install(app: FastAPI, catalog: Catalog, office: Office | None, admission: Admission) -> None:
    """`admission`: for files on their way. Without an office, there are no jobs."""
    if office is None:
        app.add_api_route("/jobs{rest:path}", _refuse, methods=["GET", "POST", "DELETE"], include_in_schema=False)
        return
    desk = _Desk(catalog, office, admission)
    add = app.router.add_api_route
    common: dict[str, Any] = {"tags": ["jobs"], "route_class_override": DirectRoute}
    bodies = {name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES.values()}
    add(
        "/jobs", desk.take, methods=["POST"], operation_id="create_job", summary="Hand in a file to be classified",
        response_model=JobOut, status_code=202, responses=errors.documented(404, 413, 415, 422, 503, 507),
        openapi_extra={
            "parameters": [
                _parameter("task", {"type": "string", "enum": list(catalog.tasks)}, "What to tell.", required=True),
                _parameter("model", {"type": "string", "minLength": 1, "maxLength": 64}, "Which of the task's models."),
                _parameter("format", {"type": "string", "enum": list(FORMATS)}, "Of the file; else by Content-Type."),
                _parameter("text", {"type": "string", "minLength": 1, "maxLength": 1_000}, "The column of texts."),
            ],
            "requestBody": {"required": True, "content": bodies},
        },
        **common,
    )  # fmt: skip
    add(
        "/jobs", desk.list, methods=["GET"], operation_id="list_jobs", summary="One's own jobs",
        response_model=JobsOut, responses=errors.documented(422, 503), **common,
    )  # fmt: skip
    name = _parameter("id", {"type": "string"}, "Of the job.", required=True, place="path")
    one: dict[str, Any] = {"openapi_extra": {"parameters": [name]}, **common}
    add(
        "/jobs/{id}", desk.show, methods=["GET"], operation_id="show_job", summary="How far a job is",
        response_model=JobOut, responses=errors.documented(404, 422, 503), **one,
    )  # fmt: skip
    add(
        "/jobs/{id}", desk.remove, methods=["DELETE"], operation_id="delete_job", summary="Cancel and delete a job",
        status_code=204, responses=errors.documented(404, 422, 503), **one,
    )  # fmt: skip
    forms = _parameter("format", {"type": "string", "enum": list(FORMATS)}, "Another one than the file's.")
    results = {name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES.values()}
    add(
        "/jobs/{id}/result", desk.give, methods=["GET"], operation_id="get_result", summary="A job's result, as a file",
        response_class=Response, openapi_extra={"parameters": [name, forms]},
        responses={200: {"description": "The file.", "content": results}, **errors.documented(404, 409, 415, 422, 503)},
        **common,
    )  # fmt: skip


async def _refuse() -> None:
    raise NoJobsError


def _begin(request: Request, kind: type[Options] = NoOptions) -> Options:  # type: ignore[assignment] # it is one
    request.scope[ASKED] = NO_TASK, "jobs"
    return _read_options(request, kind)


def _read_options(request: Request, kind: type[Options]) -> Options:
    try:
        return kind.model_validate(dict(request.query_params))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidRequestError([describe_fault(detail) for detail in details[:20]]) from None


def _choose_format(headers: dict[bytes, bytes], named: Format | None) -> Format:
    media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    form = named or next((form for form, name in MEDIA_TYPES.items() if name == media_type), None)
    if b"content-encoding" in headers or media_type.startswith("multipart/"):
        raise UnsupportedMediaTypeError("The file itself must be the body, without a form around it or an encoding.")
    if form is None:
        raise UnsupportedMediaTypeError(f"What is it? format={'|'.join(FORMATS)}, or a Content-Type that says so.")
    if form == "parquet":
        _refuse_parquet_without_its_library()
    return form


def _refuse_parquet_without_its_library() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise NoParquetError


def _take_long(request: Request) -> None:
    if UNHURRIED in request.scope:
        request.scope[UNHURRIED]()


async def _read_body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise ClientLeftError from None


def _tell(job: Job) -> dict[str, Any]:
    problem = job.problem
    return {
        "id": job.id,
        "task": job.task,
        "model": job.model,
        "format": job.format,
        "status": job.status,
        "rows": job.rows,
        "done": job.done,
        "failed": job.failed,
        "rows_per_s": job.rows_per_s,
        "seconds_left": job.seconds_left,
        "created": datetime.fromtimestamp(job.created, UTC).isoformat(timespec="milliseconds"),
        "error": errors.describe_code(**problem).model_dump(exclude_none=True) if problem else None,
        "labels": json.loads(job.labels),
    }


def _parameter(
    name: str, schema: dict[str, Any], description: str, *, required: bool = False, place: str = "query"
) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema, "description": description}
