"""`POST /feedback` keeps the right label of an answer, and its text only if it is sent along."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import SHIPPED, Settings
from sentopic.client import Client

TEXT = "oil prices rose again"


@pytest.fixture
def url(serve: Any) -> Any:
    with serve("--bundle", str(SHIPPED / "topic" / "gru")) as url:
        yield url


def test_answers_are_corrected_over_http(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        answer = client.post("/predict/topic", json={"text": TEXT}).json()
        said = {"id": answer["id"], "task": "topic", "label": "crude"}
        taken = client.post("/feedback", json={**said, "text": TEXT})
        assert (taken.status_code, taken.json()) == (202, {**said, "has_text": True})
        assert client.post("/feedback", json=said).json() == {**said, "has_text": False}
        batch = client.post("/predict/topic/batch", json={"texts": [TEXT, TEXT]}).json()
        for result in batch["results"]:
            assert client.post("/feedback", json={**said, "id": result["id"]}).status_code == 202
        assert client.delete(f"/feedback/{answer['id']}").status_code == 204
        gone = client.delete(f"/feedback/{answer['id']}")
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown_feedback")
        counted = 'sentopic_request_seconds_count{route="feedback",status="202",task="topic"} 4.0'
        assert counted in client.get("/metrics").text


def test_client_gives_feedback(url: str) -> None:
    with Client(url) as client:
        answer = client.classify(TEXT, "topic")
        client.feedback(answer.id, "topic", "crude", TEXT)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"label": "canary7f3a"}, 422, "invalid_request"),
        ({"id": "canary7f3a"}, 422, "invalid_request"),
        ({"id": "8a487d1a49989cc3-1234567"}, 422, "invalid_request"),
        ({"id": "8a487d1a49989cc3\n"}, 422, "invalid_request"),
        ({"text": ""}, 422, "invalid_request"),
        ({"text": 5}, 422, "invalid_request"),
        ({"canary7f3a": 5}, 422, "invalid_request"),
        ({"task": "canary7f3a"}, 404, "unknown_task"),
        ({"text": "a" * 100_001}, 413, "text_too_long"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_without_echo(
    client: httpx.Client, change: dict[str, Any], status: int, code: str
) -> None:
    said = {"id": "8a487d1a49989cc3", "task": "topic", "label": "crude"}
    response = client.post("/feedback", json={**said, **change})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "canary7f3a" not in response.text


def test_only_a_text_is_told_to_be_white_space(client: httpx.Client) -> None:
    """So it once was of every string that does not match a pattern."""
    wrong = client.post("/feedback", json={"id": "not-an-id", "task": "topic", "label": "crude"}).json()["errors"]
    assert [(fault["loc"], "white space" in fault["msg"]) for fault in wrong] == [(["id"], False)]
    wrong = client.post("/jobs", params={"task": "topic", "format": "csv", "text": "a\0"}, content=b"a").json()[
        "errors"
    ]
    assert [(fault["loc"], "white space" in fault["msg"]) for fault in wrong] == [(["query", "text"], False)]
    for path, sent in (("/predict/topic", {"text": " "}), ("/predict/topic/batch", {"texts": ["oil", " "]})):
        assert "There is nothing to read but white space" in client.post(path, json=sent).text


@pytest.mark.parametrize("settings", [{"max_feedback": 0}, {"jobs": ""}])
def test_service_that_keeps_none_has_no_such_route(settings: dict[str, Any]) -> None:
    app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], **settings))
    assert "/feedback" not in app.openapi()["paths"]


def test_database_without_jobs_is_enough(tmp_path: Path) -> None:
    settings = Settings(bundle=[SHIPPED / "topic" / "gru"], jobs="", database=f"sqlite:///{tmp_path / 'some.db'}")
    assert "/feedback" in create_app(settings).openapi()["paths"]
