"""What every answer has, and what is noted of every request."""

import asyncio
import logging
import re
import socket
import time
from typing import Any

import httpx
import pytest

from app.api.edge import Edge
from app.main import create_app
from app.settings import SHIPPED, Settings

JSON = {"content-type": "application/json"}


def test_nothing_but_a_defect_is_told_as_500(client: httpx.Client) -> None:
    assert client.get("/tasks/", headers={"host": "evil.example"}).status_code == 404
    style = client.get("/swagger/swagger-ui.css")
    again = client.get("/swagger/swagger-ui.css", headers={"if-none-match": style.headers["etag"]})
    part = client.get("/swagger/swagger-ui.css", headers={"range": "bytes=0-9"})
    assert (again.status_code, part.status_code) == (304, 206)
    end = time.monotonic() + 5
    while 'route="other",status="206",task=""' not in (told := client.get("/metrics").text):
        assert time.monotonic() < end  # a request is counted when all of it is over, a file closed too
    assert 'route="other",status="304",task=""' in told
    assert 'status="500"' not in told


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predict/topic", 200),
        ("POST", "/predict/nothing", 404),
        ("GET", "/predict/topic", 405),
        ("GET", "/nothing", 404),
        ("GET", "/tasks", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/metrics", 200),
        ("GET", "/swagger/swagger-ui.css", 200),
        ("GET", "/tasks/topic/gru/CARD.md", 200),
    ],
)
def test_every_answer_has_the_headers_that_keep_browsers_safe(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    content = b'{"text": "oil"}' if method == "POST" else None
    response = client.request(method, path, content=content, headers=JSON if content else None)
    assert response.status_code == status
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
    assert len(headers.get_list("content-security-policy")) == 1


def test_client_that_sends_no_more_is_answered_whole(server: str) -> None:
    where = httpx.URL(server)
    for _ in range(20):
        with socket.create_connection((where.host, where.port or 80), timeout=10) as line:
            line.sendall(b"HEAD /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            line.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: line.recv(4_096), b""))
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert answer.endswith(b"\r\n\r\n")


def test_answer_names_the_request(client: httpx.Client) -> None:
    response = client.post("/predict/topic", json={"text": "oil"})
    assert response.json()["id"] == response.headers["x-request-id"]


def test_no_two_requests_have_one_name(client: httpx.Client) -> None:
    names = [client.get("/health/live").headers["x-request-id"] for _ in range(200)]
    assert len(set(names)) == 200
    assert {len(name) for name in names} == {16}


def test_metrics_tell_what_was_asked(client: httpx.Client) -> None:
    def count() -> float:
        name = 'sentopic_request_seconds_count{route="batch",status="422",task="topic"}'
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    before = count()
    client.post("/predict/topic/batch", json={"texts": 5})
    assert count() == before + 1


def test_defect_is_a_problem_with_an_id_and_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"]))
    sent: list[Any] = []

    async def broken(*_: object) -> None:
        raise KeyError("a text")

    async def send(message: Any) -> None:
        sent.append(message)

    metrics: Any = next(layer.kwargs["metrics"] for layer in app.user_middleware if layer.cls is Edge)
    with caplog.at_level(logging.ERROR):
        asyncio.run(Edge(broken, metrics)({"type": "http", "method": "GET", "path": "/"}, None, send))  # type: ignore[arg-type]
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 500
    assert headers[b"content-type"] == b"application/problem+json"
    assert b"a text" not in sent[1]["body"]
    assert caplog.records[0].request == headers[b"x-request-id"].decode()  # type: ignore[attr-defined]
