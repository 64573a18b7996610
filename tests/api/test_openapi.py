"""The OpenAPI document is true, and what a generator makes of it is a good client: everything has its name."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api import errors, openapi, schemas, tasks
from app.main import create_app
from app.settings import SHIPPED, Settings

Node = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Node:
    return create_app().openapi()


def operations(document: Node) -> Iterator[tuple[str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def walk(node: Any) -> Iterator[Node]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from walk(child)


def test_each_task_stands_under_its_own_name_with_its_own_labels(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    named = document["components"]["schemas"]
    for task in client.get("/tasks").json()["tasks"]:
        stem, operation = task["name"].capitalize(), document["paths"][f"/predict/{task['name']}"]["post"]
        assert operation["operationId"] == f"predict_{task['name']}"
        assert named[f"{stem}Label"]["enum"] == [label["name"] for label in task["labels"]]
        assert sorted(named[f"{stem}Model"]["enum"]) == sorted(model["name"] for model in task["models"])
        for holder in (f"{stem}Answer", f"{stem}Score"):
            assert named[holder]["properties"]["label"]["$ref"] == f"#/components/schemas/{stem}Label"
        assert {"200", "400", "404", "413", "415", "422", "503", "504"} <= operation["responses"].keys()


@pytest.mark.parametrize("task", ["sentiment", "topic"])
def test_every_example_works(client: httpx.Client, task: str) -> None:
    document = client.get("/openapi.json").json()
    for path in (f"/predict/{task}", f"/predict/{task}/batch"):
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert examples
        for example in examples.values():
            response = client.post(path, json=example["value"])
            assert response.status_code == 200
            assert "warnings" in json.dumps(response.json())


def test_document_is_valid(document: Node) -> None:
    OpenAPIV31SpecValidator(document).validate()
    guarded = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], rate="9/second")).openapi()
    OpenAPIV31SpecValidator(guarded).validate()


def test_every_operation_has_a_short_name_of_its_own(document: Node) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert not [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+){0,2}", name)]


def test_every_operation_says_what_it_does_under_a_tag_that_is_described(document: Node) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert set(operation["tags"]) <= tags, name
    assert document["info"]["license"] == {"name": "Apache 2.0", "identifier": "Apache-2.0"}


def test_everything_that_is_sent_or_answered_has_a_name(document: Node) -> None:
    """A schema without one becomes a class for each place where it stands, or none at all."""
    for name, operation in operations(document):
        for content in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for media_type in content.get("content", {}).values():
                assert "properties" not in media_type["schema"], name
    for schema in document["components"]["schemas"].values():
        for inner in walk(list(schema.get("properties", {}).values())):
            assert "properties" not in inner


def test_every_schema_and_field_says_what_it_is(document: Node) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        for field, inner in schema.get("properties", {}).items():
            assert inner.get("description") or "$ref" in inner, f"{name}.{field}"


def test_names_are_those_of_the_service_and_not_of_its_code(document: Node) -> None:
    named = document["components"]["schemas"]
    assert not {"HTTPValidationError", "ValidationError"} & named.keys()
    for name, schema in named.items():
        assert not name.endswith("Out")
        assert "__" not in name
        assert schema.get("title", name) == name
        assert name.lower() not in schema.get("properties", {}), "a generated class would take one for the other"
        assert not [inner for inner in schema.get("properties", {}).values() if "title" in inner]


def test_every_reference_leads_somewhere(document: Node) -> None:
    for node in walk(document):
        if isinstance(node.get("$ref"), str):
            _, room, kind, name = node["$ref"].split("/")
            assert name in document[room][kind]


def test_choice_between_two_is_not_both_and_bounds_of_whole_numbers_are_whole(document: Node) -> None:
    for node in walk(document):
        if "anyOf" in node:
            assert {"type": "null"} in node["anyOf"], node
        if node.get("type") == "integer":
            assert all(isinstance(node.get(bound, 0), int) for bound in ("minimum", "maximum"))
    assert document["components"]["schemas"]["TopicResult"]["oneOf"] == [
        {"$ref": "#/components/schemas/TopicAnswer"},
        {"$ref": "#/components/schemas/Failure"},
    ]


def test_errors_are_problems_with_their_codes(document: Node) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], name
            if status.startswith(("4", "5")):
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert errors.Problem.model_validate(content["example"]).status == int(status)
                assert f"`{content['example']['code']}`" in response["description"]
            assert ("Retry-After" in response["headers"]) == (status in {"429", "503"}), name
    assert "anyOf" not in document["components"]["schemas"]["Problem"]["properties"]["errors"]


def test_documented_codes_are_those_that_are_answered(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/predict/topic"]["post"]["responses"]
    for body in ({"text": "x" * 100_001}, {"text": " "}, {"text": "a", "model": "bert"}):
        response = client.post("/predict/topic", json=body)
        assert f"`{response.json()['code']}`" in responses[str(response.status_code)]["description"]


@pytest.mark.parametrize(("rate", "status"), [("", False), ("9/second", True)])
def test_guard_is_documented_where_there_is_one(rate: str, status: bool) -> None:
    found = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], rate=rate)).openapi()["paths"]
    assert ("429" in found["/predict/topic"]["post"]["responses"]) is status
    assert "429" not in found["/health/ready"]["get"]["responses"]
    assert "401" not in found["/predict/topic"]["post"]["responses"]


def test_tasks_whose_names_are_much_alike_have_schemas_of_their_own() -> None:
    stems = tasks.name_stems(["my-task", "my.task", "my_task", "topic", "my-task2"])
    assert list(stems.values()) == ["MyTask", "MyTask_2", "MyTask_3", "Topic", "MyTask2"]


def test_parameter_that_does_not_fit_is_a_problem_too_and_not_repeated() -> None:
    """FastAPI's own answer would have another shape, and what was sent in it."""
    app = FastAPI()
    errors.install(app)

    @app.get("/pages", responses=errors.documented(404))
    async def show(limit: int) -> schemas.FailureOut:
        raise AssertionError

    @app.get("/pages/{name}", responses=errors.documented(404))
    async def show_one(name: str) -> None:
        raise AssertionError

    openapi.install(app)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.get("/pages", params={"limit": "secret"})

    response = asyncio.run(ask())
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["loc"] == ["query", "limit"]
    assert "secret" not in response.text
    paths = app.openapi()["paths"]
    told = paths["/pages"]["get"]["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert told == {"$ref": "#/components/schemas/Problem"}
    assert "422" not in paths["/pages/{name}"]["get"]["responses"]


def test_name_that_a_property_has_too_stays_as_it_is() -> None:
    found = {
        "paths": {},
        "components": {"schemas": {"JobsOut": {"properties": {"jobs": {}}}, "JobOut": {"properties": {"name": {}}}}},
    }
    assert set(openapi.refine(found)["components"]["schemas"]) == {"JobsOut", "Job"}
