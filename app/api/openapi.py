"""The OpenAPI document as clients are generated from it: what FastAPI gathers, with names for everything.

Looks at the document alone, and once: no request costs more for it.
"""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.errors import documented

LICENCE: Final = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
TAGS: Final[list[dict[str, Any]]] = [
    {"name": "predict", "description": "Texts in, calibrated labels out. Each task has routes and schemas of its own."},
    {
        "name": "jobs",
        "description": "Files in, files out: answered behind everybody else, whatever becomes of the service.",
    },
    {"name": "feedback", "description": "Which label would have been right, for the next training."},
    {"name": "describe", "description": "What the service knows: tasks, their labels and models, and its limits."},
    {"name": "health", "description": "For what watches over the service."},
]
_SCHEMAS: Final = "#/components/schemas/"
_REQUEST_ID: Final = {
    "description": "Names the request; the service's log has it too.",
    "schema": {"type": "string"},
}
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def name_operation(route: APIRoute) -> str:
    """Clients call it so: the endpoint's name, without the path that FastAPI would add."""
    return route.name


def install(app: FastAPI) -> None:
    gather = app.openapi

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = refine(gather())
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's own way to extend it


def refine(document: dict[str, Any]) -> dict[str, Any]:
    """`document`, changed in place."""
    schemas = document["components"]["schemas"]
    for operation in _operations(document):
        _name_body(operation, schemas)
        _mend_validation(operation)
        for response in operation["responses"].values():
            response.setdefault("headers", {})["X-Request-ID"] = {"$ref": "#/components/headers/X-Request-ID"}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["headers"] = {"X-Request-ID": _REQUEST_ID}
    _shorten_names(document)
    for node in _walk(document):
        _tidy(node)
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _name_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A body that stands where it is used would be a class of its own for each route, if it is one at all."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content.get("schema", {})
        if "properties" in schema:
            schemas.update(schema.pop("$defs", {}))
            schemas[schema["title"]] = schema
            content["schema"] = {"$ref": _SCHEMAS + schema["title"]}


def _mend_validation(operation: dict[str, Any]) -> None:
    """FastAPI says 422 of every route with parameters, and in a shape that nothing here answers with."""
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
        if not all(_takes_anything(parameter) for parameter in operation["parameters"]):
            operation["responses"] |= {str(status): told for status, told in documented(422).items()}


def _takes_anything(parameter: dict[str, Any]) -> bool:
    return parameter["in"] == "path" and not parameter["schema"].keys() - {"type", "title", "description", "examples"}


def _shorten_names(document: dict[str, Any]) -> None:
    """Python's names of what is answered end with `Out`, which tells nobody else anything.

    It stays where a property would have the same name, as generated code may then take one for the other.
    """
    schemas = document["components"]["schemas"]
    shorter = dict[str, str]()
    for name, schema in schemas.items():
        short = name.removesuffix("Out")
        if short not in schemas and short.lower() not in schema.get("properties", {}):
            shorter[name] = short
    for old, new in shorter.items():
        schemas[new] = schemas.pop(old) | {"title": new}
    for node in _walk(document):
        old = str(node.get("$ref", "")).removeprefix(_SCHEMAS)
        if old in shorter:
            node["$ref"] = _SCHEMAS + shorter[old]


def _tidy(node: dict[str, Any]) -> None:
    """A property's title is its name again, and generators make types of it; whole numbers have whole bounds."""
    properties = node.get("properties")
    if isinstance(properties, dict):
        for schema in properties.values():
            schema.pop("title", None)
    if "in" in node and isinstance(node.get("schema"), dict):
        node["schema"].pop("title", None)
    if _is_either_or(node.get("anyOf", [])):
        node["oneOf"] = node.pop("anyOf")
    if node.get("type") == "integer":
        node |= {name: int(node[name]) for name in _BOUNDS if name in node}


def _is_either_or(choices: list[dict[str, Any]]) -> bool:
    """An object or another, a text or a number: of `anyOf` some generators make one thing that must be all of them."""
    kinds = {choice.get("type", "$ref" in choice and "object") for choice in choices}
    return kinds in ({"object"}, {"string", "integer"})


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _walk(child)
