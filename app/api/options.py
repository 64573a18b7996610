"""What stands in a URL behind the question mark, as strict as bodies are, and never echoed."""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from app.api.body import describe_fault
from app.errors import InvalidRequestError

_MOST_FAULTS = 20

Kind = TypeVar("Kind", bound="Options")


class Options(BaseModel):
    """Base of what a route takes there; by itself, of routes that take nothing."""

    model_config = ConfigDict(extra="forbid")


def read_options(request: Request, kind: type[Kind]) -> Kind:
    """Raises InvalidRequestError."""
    try:
        return kind.model_validate(dict(request.query_params))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidRequestError([_describe(detail) for detail in details[:_MOST_FAULTS]]) from None


def parameter(
    name: str, schema: dict[str, Any], description: str, *, required: bool = False, place: str = "query"
) -> dict[str, Any]:
    """For the OpenAPI document."""
    return {"name": name, "in": place, "required": required, "schema": schema, "description": description}


def _describe(detail: Any) -> dict[str, object]:
    """An unknown parameter's name is the client's own text, so it is left out."""
    if detail["type"] == "extra_forbidden":
        return {"loc": ["query"], "type": detail["type"], "msg": "There is a parameter that the route does not have"}
    return describe_fault({**detail, "loc": ["query", *detail["loc"]]})
