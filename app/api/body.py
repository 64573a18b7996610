"""Reads a request's JSON body: bounded, strict, and never echoed."""

import asyncio
import json
import math
import re
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.admission import Admission
from app.errors import (
    BodyTooLargeError,
    ClientLeftError,
    InvalidRequestError,
    NotJsonError,
    OverloadedError,
    UnsupportedMediaTypeError,
)
from app.settings import Settings

_UNKNOWN_FIELD: dict[str, object] = {
    "loc": [],
    "type": "extra_forbidden",
    "msg": "There is a field that the schema does not have",
}
"""Its name is the client's own text, so it is left out."""

NOT_BLANK = r"[^ \t\r\n]"
"""What a text must have. Other patterns are told as they are: they say what is wanted, and nothing of what was sent."""

_BLANK = "There is nothing to read but white space"
_MOST_DIGITS = 18
"""Of a length that can be right, whatever is set."""

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
"""By how much each byte outside of strings changes the depth."""

Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model], settings: Settings, admission: Admission) -> Model:
    """The body as `model`. Raises the RequestError that says what the client should mend, or OverloadedError."""
    headers = dict(request.scope["headers"])
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json" or b"content-encoding" in headers:
        raise UnsupportedMediaTypeError("The body must be application/json, without a content encoding.")
    body = await _read(request, headers.get(b"content-length", b"0"), settings.max_body_bytes, admission)
    if is_deep(body, settings.max_json_depth):
        raise NotJsonError(f"The body's JSON is more than {settings.max_json_depth} levels deep.")
    try:
        read = model.model_validate_json(body)
    except ValidationError as error:
        raise _explain(error, body) from None
    if read.model_extra:
        raise InvalidRequestError([_UNKNOWN_FIELD])
    return read


def is_deep(body: bytes, most: int) -> bool:
    """Whether brackets stand in more than `most` others, strings left out. Most bodies have fewer of them in all."""
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    steps = _STEPS[np.frombuffer(_STRINGS.sub(b"", body), np.uint8)]
    return bool(steps.cumsum(dtype=np.int32).max(initial=0) > most)


def read_length(declared: bytes) -> float:
    """Bytes that a `Content-Length` tells; more than any number if it has more digits than one can be right."""
    digits = declared.lstrip(b"0")
    return int(digits or b"0") if declared.isdigit() and len(digits) <= _MOST_DIGITS else math.inf


async def _read(request: Request, declared: bytes, max_bytes: int, admission: Admission) -> bytes:
    if read_length(declared) > max_bytes:
        raise BodyTooLargeError(max_bytes)
    body = bytearray()
    with admission.incoming() as room:
        try:
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeftError
                chunk, more = message.get("body", b""), message.get("more_body", False)
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLargeError(max_bytes)
                room.hold(len(chunk))
        except asyncio.CancelledError:
            if not room.taken:
                raise
            room.handler.uncancel()
            raise OverloadedError(retry_after_s=1) from None
    return bytes(body)


def _explain(error: ValidationError, body: bytes) -> NotJsonError | InvalidRequestError:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    if any(detail["type"] == "json_invalid" for detail in details) or not _is_json(body):
        return NotJsonError("The body is not valid JSON in UTF-8.")
    return InvalidRequestError([describe_fault(detail) for detail in details[:20]])


def describe_fault(detail: Any) -> dict[str, object]:
    """Type, place and message."""
    is_blank = detail["type"] == "string_pattern_mismatch" and f"'{NOT_BLANK}'" in detail["msg"]
    return {"loc": list(detail["loc"]), "type": detail["type"], "msg": _BLANK if is_blank else detail["msg"]}


def _is_json(body: bytes) -> bool:
    """False for NaN and Infinity, which the validator lets through as numbers of the wrong type."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True
