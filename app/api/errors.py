"""The one place where an error becomes a status: RFC 9457 problem details with a stable `code`."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app import errors
from app.api.body import describe_fault

STATUSES: Final[dict[type[errors.SentopicError], int]] = {
    errors.NotJsonError: 400,
    errors.UnauthorizedError: 401,
    errors.ForbiddenError: 403,
    errors.StrangeOriginError: 403,
    errors.StrangeHostError: 403,
    errors.UnknownTaskError: 404,
    errors.UnknownModelError: 404,
    errors.UnknownPaperError: 404,
    errors.NoJobsError: 404,
    errors.UnknownJobError: 404,
    errors.UnknownFeedbackError: 404,
    errors.JobNotDoneError: 409,
    errors.TextTooLongError: 413,
    errors.BatchTooLargeError: 413,
    errors.BodyTooLargeError: 413,
    errors.UnsupportedMediaTypeError: 415,
    errors.NoParquetError: 415,
    errors.RangeError: 416,
    errors.InvalidRequestError: 422,
    errors.FileError: 422,
    errors.LongLineError: 422,
    errors.InvalidRowError: 422,
    errors.RateLimitedError: 429,
    errors.ClientLeftError: 499,
    errors.OverloadedError: 503,
    errors.LeavingError: 503,
    errors.JobStoreError: 503,
    errors.JobFilesError: 503,
    errors.FeedbackStoreError: 503,
    errors.DeadlineError: 504,
    errors.JobsFullError: 507,
    errors.FeedbackFullError: 507,
    errors.OutputError: 507,
}
_BY_CODE: Final = {kind.code: status for kind, status in STATUSES.items()}
_TITLES: Final = {
    400: "Not JSON", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 405: "Method not allowed",
    409: "Not yet", 413: "Too large", 415: "Unsupported media type", 416: "Range not satisfiable",
    422: "Invalid request", 429: "Too many requests",
    499: "Client closed request", 500: "Internal error", 503: "Overloaded", 504: "Deadline exceeded",
    507: "No room",
}  # fmt: skip
STAGES: Final = "sentopic.stages"
"""Where in a request's scope its stages stand, so that an error can say them too."""
_RETRY_AFTER: Final = {
    "description": "Seconds after which to try again.",
    "schema": {"type": "integer", "minimum": 0},
}
_PROBLEM_JSON: Final = "application/problem+json"
_log = logging.getLogger("sentopic")


class Fault(BaseModel):
    """One thing wrong with a request, never with what was sent."""

    loc: Annotated[list[str | int], Field(description="Where in the body.", examples=[["text"]])]
    type: Annotated[str, Field(description="What kind of mistake, for programs.", examples=["string_type"])]
    msg: Annotated[str, Field(description="The same for people.", examples=["Input should be a valid string"])]


def leave_out_default(schema: JsonDict) -> None:
    """Of a field that is there or is not, but is never null."""
    schema.pop("default")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(json_schema_extra={"description": "RFC 9457 problem details. `code` is stable."})

    type: Annotated[str, Field(description="The code as a URN.", examples=["urn:sentopic:problem:text_too_long"])]
    title: Annotated[str, Field(description="The status in words.", examples=["Too large"])]
    status: Annotated[int, Field(description="HTTP's status.", examples=[413])]
    code: Annotated[str, Field(description="Stable: what programs go by.", examples=["text_too_long"])]
    detail: Annotated[
        str,
        Field(
            description="One sentence for people, without what was sent.",
            examples=["A text may have 100000 characters at most."],
        ),
    ]
    errors: Annotated[
        list[Fault] | SkipJsonSchema[None],
        Field(description="Of `invalid_request`: each thing wrong.", json_schema_extra=leave_out_default),
    ] = None


def describe(error: errors.SentopicError) -> Problem:
    status = STATUSES.get(type(error), 500)
    detail = str(error) if status != 500 else "The service failed to answer. Its log says why."
    faults = (
        [Fault.model_validate(fault) for fault in error.faults]
        if isinstance(error, errors.InvalidRequestError)
        else None
    )
    return _problem(status, error.code if status != 500 else "internal", detail, faults)


def describe_code(code: str, detail: str) -> Problem:
    """Of an error that was kept."""
    return _problem(_BY_CODE.get(code, 500), code, detail)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route, for the OpenAPI document."""
    return {status: _document(status) for status in statuses}


def _document(status: int) -> dict[str, Any]:
    """With all codes of that status, the first as an example."""
    codes = [kind.code for kind, its_status in STATUSES.items() if its_status == status] or ["internal"]
    example = _problem(status, codes[0], f"{_TITLES[status]}.").model_dump(exclude_none=True)
    content = {_PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    response = {"description": f"{_TITLES[status]}: {', '.join(f'`{code}`' for code in codes)}.", "content": content}
    return response | ({"headers": {"Retry-After": _RETRY_AFTER}} if status in {429, 503} else {})


def install(app: FastAPI) -> None:
    @app.exception_handler(errors.SentopicError)
    async def _on_domain_error(request: Request, error: errors.SentopicError) -> Response:
        return answer(error, request.scope)

    @app.exception_handler(RequestValidationError)
    async def _on_bad_parameter(request: Request, error: RequestValidationError) -> Response:
        return answer(errors.InvalidRequestError([describe_fault(fault) for fault in error.errors()]), request.scope)

    @app.exception_handler(HTTPException)
    async def _on_http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        title = _TITLES.get(error.status_code, "HTTP error")
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(request))
        return respond(_problem(error.status_code, code, f"{title}."), headers)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes that have the path; Starlette tells those of the first one alone."""
    fitting = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in fitting for method in getattr(route, "methods", None) or ()})


def answer(error: errors.SentopicError, scope: Mapping[str, Any]) -> Response:
    problem = describe(error)
    if problem.status == 500:
        _log.error("a request failed", exc_info=error)
    headers = {}
    if isinstance(error, errors.OverloadedError | errors.RateLimitedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.JobStoreError | errors.FeedbackStoreError):
        _log.error("a database: %s", error.reason)
        headers["Retry-After"] = "1"
    if isinstance(error, errors.JobFilesError):
        headers["Retry-After"] = "1"
    if isinstance(error, errors.UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if stages := scope.get(STAGES):
        if not stages.seconds:  # whoever refused it was reading
            stages.end("read")
        headers["Server-Timing"] = stages.server_timing()
    return respond(problem, headers)


def defect() -> Response:
    """What is answered when there is a mistake of ours."""
    return respond(describe(errors.SentopicError()))


def respond(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, problem.status, headers, media_type=_PROBLEM_JSON)


def _problem(status: int, code: str, detail: str, faults: list[Fault] | None = None) -> Problem:
    title = _TITLES.get(status, "HTTP error")
    return Problem(
        type=f"urn:sentopic:problem:{code}", title=title, status=status, code=code, detail=detail, errors=faults
    )
