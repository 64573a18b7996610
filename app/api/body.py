"""Reads a request's JSON body: bounded, strict, and never echoed."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from app.admission import Admission
from app.errors import (
    BodyTooLargeError,
    ClientLeftError,
    InvalidRequestError,
    NotJsonError,
    UnsupportedMediaTypeError,
)

_PLAIN = {
    "extra_forbidden": "There is a field that the schema does not have",
    "string_pattern_mismatch": "There is nothing to read but white space",
}
Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model], max_bytes: int, admission: Admission) -> Model:
    """The body as `model`. Raises the RequestError that says what the client should mend, or OverloadedError."""
    headers = dict(request.scope["headers"])
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json" or b"content-encoding" in headers:
        raise UnsupportedMediaTypeError("The body must be application/json, without a content encoding.")
    body = await _read(request, headers.get(b"content-length", b"0"), max_bytes, admission)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _explain(error, body) from None


async def _read(request: Request, declared: bytes, max_bytes: int, admission: Admission) -> bytes:
    if not declared.isdigit() or int(declared) > max_bytes:
        raise BodyTooLargeError(max_bytes)
    body, held = bytearray(), 0
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise BodyTooLargeError(max_bytes)
            admission.hold(len(chunk))
            held += len(chunk)
    except ClientDisconnect:
        raise ClientLeftError from None
    finally:
        admission.release(held)
    return bytes(body)


def _explain(error: ValidationError, body: bytes) -> NotJsonError | InvalidRequestError:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    if any(detail["type"] == "json_invalid" for detail in details) or not _is_json(body):
        return NotJsonError("The body is not valid JSON in UTF-8.")
    return InvalidRequestError([describe_fault(detail) for detail in details[:20]])


def describe_fault(detail: Any) -> dict[str, object]:
    """Type, place and message. An unknown field's name is the client's own text, so it is left out."""
    unknown = detail["type"] == "extra_forbidden"
    loc = list(detail["loc"][:-1] if unknown else detail["loc"])
    return {"loc": loc, "type": detail["type"], "msg": _PLAIN.get(detail["type"], detail["msg"])}


def _is_json(body: bytes) -> bool:
    """False for NaN and Infinity, which the validator lets through as numbers of the wrong type."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True
