"""The OpenAPI document is true: names, labels, examples, references."""

import json

import httpx
import pytest


def test_each_task_stands_under_its_own_name_with_its_own_labels(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for task, labels in (("sentiment", 2), ("topic", 46)):
        operation = document["paths"][f"/predict/{task}"]["post"]
        assert operation["operationId"] == f"predict_{task}"
        answer = document["components"]["schemas"][f"{task.capitalize()}Answer"]
        assert len(answer["properties"]["label"]["enum"]) == labels
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


def test_document_can_be_made_into_a_client(client: httpx.Client) -> None:
    """Every reference leads to a schema, and every operation has a name of its own."""
    document = client.get("/openapi.json").json()
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
