"""Nobody gets in without the right key: every route and every method, of a running service."""

import itertools
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import keys
from app.main import create_app
from app.settings import SHIPPED
from tests.faults.conftest import read_all

TEXT = {"text": "wheat and corn"}
TOPIC = ("--bundle", str(SHIPPED / "topic" / "gru"))
OPEN = {"/health/live", "/health/ready"}
PAGES = {"/", "/models", "/bulk", "/docs", "/openapi.json"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture(scope="module")
def tokens(place: str) -> dict[str, str]:
    store = keys.open_store(place)
    found = {scope: keys.create(store, scope, [scope]) for scope in keys.SCOPES}
    revoked = keys.create(store, "revoked", ["admin"])
    store.remove(revoked.split("_")[1])
    return {**found, "revoked": revoked}


@pytest.fixture(scope="module")
def client(place: str, tokens: dict[str, str], start_once: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=start_once(*TOPIC, keys=place).url) as client:
        assert tokens
        yield client


def routes() -> list[str]:
    paths = {getattr(route, "path", "") for route in create_app().routes}
    paths |= {"/nothing", "/swagger/swagger-ui.css", "/metrics/"}
    named = {"{id}": "0" * 16, "{task}": "topic", "{model}": "gru", "{paper}": "CARD.md", "{name}": "style.css"}
    return sorted(re.sub(r"{\w+}", lambda found: named[found.group()], path) for path in paths)


@pytest.mark.parametrize("wrong", ["missing", "wrong", "truncated", "revoked", "empty", "another scheme"])
def test_no_route_and_no_method_lets_anybody_in(client: httpx.Client, tokens: dict[str, str], wrong: str) -> None:
    good = tokens["admin"]
    headers = {
        "missing": {},
        "wrong": {"x-api-key": good[:-4] + "AAAA"},
        "truncated": {"x-api-key": good[:-1]},
        "revoked": {"x-api-key": tokens["revoked"]},
        "empty": {"x-api-key": ""},
        "another scheme": {"authorization": f"Basic {good}"},
    }[wrong]
    for path, method in itertools.product(routes(), METHODS):
        if path in OPEN | PAGES or path.startswith(("/swagger", "/web")):
            continue
        response = client.request(method, path, headers=headers)
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"] == "Bearer"
        if method != "HEAD":
            assert response.json()["code"] == "unauthorized"


@pytest.mark.parametrize("form", ["x-api-key", "bearer"])
def test_key_is_taken_from_either_header(client: httpx.Client, tokens: dict[str, str], form: str) -> None:
    token = tokens["predict"]
    headers = {"x-api-key": token} if form == "x-api-key" else {"authorization": f"bearer {token}"}
    assert client.post("/predict/topic", json=TEXT, headers=headers).status_code == 200
    assert client.get("/tasks", headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["x-api-key: {} ", "x-api-key:\t{}\t ", "authorization: Bearer {}  "])
def test_white_space_around_a_key_is_no_part_of_it(client: httpx.Client, tokens: dict[str, str], header: str) -> None:
    asked = f"GET /tasks HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header.format(tokens['predict'])}\r\n\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), 10) as line:
        line.sendall(asked.encode())
        assert read_all(line).startswith(b"HTTP/1.1 200 ")


def test_scope_is_asked_for(client: httpx.Client, tokens: dict[str, str]) -> None:
    refused = client.get("/metrics", headers={"x-api-key": tokens["predict"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert client.get("/metrics", headers={"x-api-key": tokens["admin"]}).status_code == 200
    assert client.post("/predict/topic", json=TEXT, headers={"x-api-key": tokens["admin"]}).status_code == 200


def test_probes_need_no_key_and_pages_only_if_they_are_closed(client: httpx.Client, place: str, start: Any) -> None:
    for path in OPEN | PAGES | {"/swagger/swagger-ui.css", "/web/style.css"}:
        assert client.get(path).status_code == 200, path
    with httpx.Client(base_url=start(*TOPIC, keys=place, open_pages=False).url) as closed:
        assert [closed.get(path).status_code for path in sorted(OPEN)] == [200, 200]
        assert {closed.get(path).status_code for path in PAGES} == {401}


def test_document_says_how_to_send_a_key(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["key"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert schemes["bearer"] == {"type": "http", "scheme": "bearer"}
    assert document["security"] == [{"key": []}, {"bearer": []}]
    assert "securitySchemes" not in create_app().openapi()["components"]


def test_key_made_or_revoked_meanwhile_counts_soon(tmp_path: Path, start: Any) -> None:
    store = keys.open_store(str(tmp_path / "keys"))
    token = keys.create(store, "early", ["predict"])
    with httpx.Client(base_url=start(*TOPIC, keys=tmp_path / "keys").url) as client:

        def until(token: str, status: int) -> None:
            end = time.monotonic() + keys.REFRESH_S + 2
            while client.post("/predict/topic", json=TEXT, headers={"x-api-key": token}).status_code != status:
                assert time.monotonic() < end
                time.sleep(0.05)

        until(token, 200)
        store.remove(token.split("_")[1])
        later = keys.create(store, "late", ["predict"])
        until(later, 200)
        until(token, 401)


def test_stream_and_upload_end_when_their_key_is_revoked(tmp_path: Path, start: Any) -> None:
    store = keys.open_store(str(tmp_path / "keys"))
    revoked, other = (keys.create(store, name, ["predict"]) for name in ("one", "other"))
    service = start(*TOPIC, keys=tmp_path / "keys", jobs=tmp_path / "jobs")

    def begin(path: str, token: str) -> tuple[Any, Any]:
        line = service.connect()
        head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\nx-api-key: {token}\r\n"
        line.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        return line, line.makefile("rb")

    def ask(line: Any, answers: Any) -> dict[str, Any]:
        """A row, and what comes of it, or of the stream."""
        line.sendall(b"7\r\nan oil\n\r\n")
        while not (found := answers.readline()).startswith(b"{"):
            assert found, "it ended without a word"
        return json.loads(found)  # type: ignore[no-any-return]

    ended, kept, upload = (
        begin("/predict/topic/stream", revoked),
        begin("/predict/topic/stream", other),
        begin("/jobs?task=topic&format=lines", revoked),
    )
    upload[0].sendall(b"7\r\nan oil\n\r\n")
    assert "label" in ask(*ended)
    assert "label" in ask(*kept)
    store.remove(revoked.split("_")[1])
    end = time.monotonic() + keys.REFRESH_S + 5
    while "label" in (found := ask(*ended)):
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.05)
    assert (found["last"], found["error"]["code"]) == (True, "unauthorized")
    assert upload[1].readline().startswith(b"HTTP/1.1 401 ")
    assert "label" in ask(*kept)
    for line, answers in (ended, kept, upload):
        answers.close()
        line.close()


def test_rate_is_counted_for_each_key_and_told_when_to_come_back(
    place: str, tokens: dict[str, str], start: Any
) -> None:
    with httpx.Client(base_url=start(*TOPIC, keys=place, rate="3/hour").url) as client:
        statuses = [client.get("/tasks", headers={"x-api-key": tokens["predict"]}).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = client.get("/tasks", headers={"authorization": f"Bearer {tokens['predict']}"})
        assert refused.json()["code"] == "rate_limited"
        assert 3_000 < int(refused.headers["retry-after"]) <= 3_601
        assert client.get("/tasks", headers={"x-api-key": tokens["admin"]}).status_code == 200
        assert client.get("/health/ready").status_code == 200
