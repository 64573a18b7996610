"""`/jobs`: bulk files over HTTP. A file is a request's body, and its result a file again."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from app.api import errors
from app.api.body import read_length
from app.api.direct import DirectRoute
from app.api.edge import ASKED
from app.api.job_schemas import (
    COLUMN_SCHEMA,
    FORMAT_SCHEMA,
    MEDIA_TYPES,
    MOST_LISTED,
    PLACE_SCHEMA,
    JobListOut,
    JobOptions,
    JobOut,
    ListOptions,
    ResultOptions,
    tell,
    tell_place,
)
from app.api.leaving import patient_until_left
from app.api.options import Kind, Options, parameter, read_options
from app.api.questions import Questions
from app.api.results import Results, refuse_parquet_without_its_library, take_long
from app.api.security import Visitors, name_client
from app.classifier import Catalog
from app.errors import ClientLeftError, NoJobsError, UnknownJobError, UnsupportedMediaTypeError
from app.files.rows import FORMATS, Format
from app.jobs.job import Job
from app.jobs.office import Office
from app.metrics import NO_TASK
from app.places import Place, Places
from app.scope import KEY

_ID: Final = re.compile(r"[0-9a-f]{32}")
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}
_BODIES: Final = dict.fromkeys(MEDIA_TYPES.values(), _FILE)
_ABOUT: Final = (
    "The file itself is the body. It is kept on the service's disk, answered behind everybody else's texts, and gone "
    "on with if the service ends meanwhile. The same file sent twice makes two jobs."
)
_ABOUT_RESULT: Final = (
    "The file's rows in their order, all of their columns, and beside them `label`, `confidence`, `uncertain`, "
    "`warnings` and `error`. A `Range` of bytes goes on with a load that broke off, unless another format is asked for."
)


class _Desk:
    """What the routes have in common."""

    def __init__(
        self, catalog: Catalog, office: Office, places: Places, visitors: Visitors, questions: Questions
    ) -> None:
        self._catalog, self._office, self._places = catalog, office, places
        self._visitors, self._questions = visitors, questions
        self._results = Results(office, places)

    async def take(self, request: Request) -> Response:
        headers = dict(request.scope["headers"])
        self._visitors.admit_host(headers)
        self._visitors.admit_origin(headers)
        options = read_options(request, JobOptions)
        classifier = self._catalog.find(options.task, options.model)
        request.scope[ASKED] = options.task, "jobs"
        form = _choose_format(headers, options.format)
        job = Job(
            secrets.token_hex(16), _owner(request), options.task, classifier.manifest.model, form, options.text,
            status="uploading", created=time.time(), size=0,
        )  # fmt: skip
        declared = headers.get(b"content-length")
        with self._places.take(name_client(request.scope)) as place:
            take_long(request)
            size = None if declared is None else read_length(declared)
            async with patient_until_left(request.scope):
                job = await self._office.receive(job, size, _read_body(request, place))
        return Response(to_json(tell(job)), 202, {"Location": f"/jobs/{job.id}"}, "application/json")

    async def list(self, request: Request) -> Response:
        options = self._begin(request, ListOptions)
        async with self._questions.asked():
            jobs = await self._office.list_of(_owner(request), options.limit + 1, options.behind)
            return await asyncio.to_thread(_list, jobs, options.limit)

    async def show(self, request: Request) -> Response:
        self._begin(request, Options)
        async with self._questions.asked():
            return _respond(tell(await self._find(request)))

    async def remove(self, request: Request) -> Response:
        self._begin(request, Options)
        async with self._questions.asked():
            await self._office.remove(await self._find(request))
        return Response(status_code=204)

    async def give(self, request: Request) -> Response:
        options = self._begin(request, ResultOptions)
        async with self._questions.asked():
            job = await self._find(request)
            return await self._results.open(request, options, job)

    def _begin(self, request: Request, kind: type[Kind]) -> Kind:
        request.scope[ASKED] = NO_TASK, "jobs"
        self._visitors.admit_host(dict(request.scope["headers"]))
        return read_options(request, kind)

    async def _find(self, request: Request) -> Job:
        job_id = request.path_params["id"]
        if not _ID.fullmatch(job_id):
            raise UnknownJobError
        return await self._office.find(job_id, _owner(request))


def install(
    app: FastAPI,
    catalog: Catalog,
    office: Office | None,
    places: Places,
    visitors: Visitors,
    questions: Questions,
) -> None:
    """`places`: for files on their way. Without an office, there are no jobs."""
    if office is None:
        app.add_api_route("/jobs{rest:path}", _refuse, methods=["GET", "POST", "DELETE"], include_in_schema=False)
        return
    desk = _Desk(catalog, office, places, visitors, questions)
    pages = [
        parameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST_LISTED}, "How many at once."),
        parameter("before", PLACE_SCHEMA, "Only older ones: what `next` says."),
    ]
    name = parameter("id", {"type": "string"}, "Of the job.", required=True, place="path")
    _add(
        app, "POST", "/jobs", desk.take, "create_job", "Hand in a file to be classified",
        403, 404, 413, 415, 422, 503, 504, 507,
        description=_ABOUT, response_model=JobOut, status_code=202, response_description="It waits for its turn.",
        openapi_extra={"parameters": _describe_options(catalog), "requestBody": {"required": True, "content": _BODIES}},
    )  # fmt: skip
    _add(
        app, "GET", "/jobs", desk.list, "list_jobs", "One's own jobs", 403, 404, 422, 503, 504,
        response_model=JobListOut, response_description="The newest first.", openapi_extra={"parameters": pages},
    )  # fmt: skip
    _add(
        app, "GET", "/jobs/{id}", desk.show, "show_job", "How far a job is", 403, 404, 422, 503, 504,
        response_model=JobOut, response_description="How far it is.", openapi_extra={"parameters": [name]},
    )  # fmt: skip
    _add(
        app, "DELETE", "/jobs/{id}", desk.remove, "delete_job", "Ends a job, and forgets its files",
        403, 404, 422, 503, 504,
        status_code=204, response_description="It is gone.", openapi_extra={"parameters": [name]},
    )  # fmt: skip
    asked = [
        parameter("format", FORMAT_SCHEMA, "Another one than the file's."),
        parameter("partial", {"type": "boolean"}, "Of a job that has failed: the rows before that."),
        parameter("named", {"type": "boolean"}, "False: whoever asks has a name for the file."),
    ]
    _add(
        app, "GET", "/jobs/{id}/result", desk.give, "get_result", "A job's result, as a file",
        403, 404, 409, 415, 416, 422, 503, 504, 507, more={200: {"description": "The file.", "content": _BODIES}},
        description=_ABOUT_RESULT, response_class=Response, openapi_extra={"parameters": [name, *asked]},
    )  # fmt: skip


def _add(
    app: FastAPI, method: str, path: str, work: Any, operation_id: str, summary: str, *statuses: int,
    more: dict[Any, Any] | None = None, **told: Any,
) -> None:  # fmt: skip
    responses = {**(more or {}), **errors.documented(*statuses)}
    app.router.add_api_route(
        path, work, methods=[method], operation_id=operation_id, summary=summary, responses=responses, tags=["jobs"],
        route_class_override=DirectRoute, **told,
    )  # fmt: skip


def _describe_options(catalog: Catalog) -> list[dict[str, Any]]:
    name = {"type": "string", "minLength": 1, "maxLength": 64}
    return [
        parameter("task", {"type": "string", "enum": list(catalog.tasks)}, "What to tell of each text.", required=True),
        parameter("model", name, "Which of the task's models; else its default."),
        parameter("format", FORMAT_SCHEMA, "Of the file; else as Content-Type says."),
        parameter("text", COLUMN_SCHEMA, "The column or field that has the texts; else `text`, or the only one."),
    ]


async def _refuse() -> None:
    raise NoJobsError


def _owner(request: Request) -> str:
    """A key's id; where none are asked for, nobody's."""
    return str(request.scope.get(KEY, ""))


def _list(jobs: Sequence[Job], most: int) -> Response:
    listed = jobs[:most]
    rest = tell_place(listed[-1]) if len(jobs) > most else None
    return _respond({"jobs": [tell(job) for job in listed], "next": rest})


def _respond(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")


def _choose_format(headers: dict[bytes, bytes], named: Format | None) -> Format:
    media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    media_type = {"application/jsonl": MEDIA_TYPES["jsonl"]}.get(media_type, media_type)
    form = named or next((form for form, name in MEDIA_TYPES.items() if name == media_type), None)
    if b"content-encoding" in headers or media_type.startswith("multipart/"):
        raise UnsupportedMediaTypeError("The file itself must be the body, without a form around it or an encoding.")
    if form is None:
        raise UnsupportedMediaTypeError(f"What is it? format={'|'.join(FORMATS)}, or a Content-Type that says so.")
    if form == "parquet":
        refuse_parquet_without_its_library()
    return form


async def _read_body(request: Request, place: Place) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            place.note(len(piece))
            yield piece
    except ClientDisconnect:
        raise ClientLeftError from None
