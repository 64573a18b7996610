"""Behind Ray Serve, clients meet the service that they know. Ray's part is played by a few lines."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.api.gate import Gate

PATH = "/predict/topic"


async def ask(
    gate: Gate, path: str = PATH, headers: tuple[tuple[bytes, bytes], ...] = (), pieces: tuple[bytes, ...] = (b"{}",)
) -> tuple[int, dict[str, list[str]], bytes]:
    """Status, headers, body."""
    rest = list(pieces)
    messages = list[Any]()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        if rest:
            return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}
        return await asyncio.Event().wait() or {}

    async def send(message: Any) -> None:
        messages.append(message)

    await gate({"type": "http", "method": "POST", "path": path, "headers": list(headers)}, receive, send)
    start, *bodies = messages
    found = dict[str, list[str]]()
    for name, value in start["headers"]:
        found.setdefault(name.decode().lower(), []).append(value.decode())
    return start["status"], found, b"".join(one["body"] for one in bodies)


def rays(status: int | None, *own: tuple[bytes, bytes], read: bool = False) -> Callable[..., Any]:
    """Ray's proxy, with a replica that answers with these headers of its own, or an answer of Ray's, or none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        app.scopes.append(scope)  # type: ignore[attr-defined]
        while read and (message := await receive())["type"] != "http.disconnect":
            if not message["more_body"]:
                break
        else:
            if read:
                return  # as Ray does when its client has left
        if status is not None:
            await send({"type": "http.response.start", "status": status, "headers": [*own, (b"X-Request-ID", b"rays")]})
            await send({"type": "http.response.body", "body": b"text"})

    app.scopes = []  # type: ignore[attr-defined]
    return app


def test_answer_has_the_services_own_id_alone() -> None:
    gate = Gate(rays(200, (b"x-request-id", b"ours")), 1_000, is_direct=False)
    status, headers, body = asyncio.run(ask(gate))
    assert (status, headers["x-request-id"], body) == (200, ["ours"], b"text")


@pytest.mark.parametrize("status", [503, 504, 413])
def test_services_own_refusals_keep_their_meaning(status: int) -> None:
    gate = Gate(rays(status, (b"x-request-id", b"ours"), (b"retry-after", b"3")), 1_000, is_direct=False)
    told, headers, body = asyncio.run(ask(gate))
    assert (told, headers["retry-after"], body) == (status, ["3"], b"text")


@pytest.mark.parametrize(
    ("rays_status", "status", "code"),
    [(None, 502, "replica_lost"), (503, 503, "overloaded"), (404, 503, "overloaded"), (408, 504, "deadline_exceeded")],
)
def test_what_ray_answers_is_told_as_the_service_would(rays_status: int | None, status: int, code: str) -> None:
    told, headers, body = asyncio.run(ask(Gate(rays(rays_status), 1_000, is_direct=False)))
    assert (told, json.loads(body)["code"]) == (status, code)
    assert headers["content-type"] == ["application/problem+json"]
    assert "retry-after" in headers or status == 504


def test_rays_own_pages_are_left_alone() -> None:
    status, _, body = asyncio.run(ask(Gate(rays(503), 1_000, is_direct=False), "/-/healthz"))
    assert (status, body) == (503, b"text")


@pytest.mark.parametrize("is_direct", [False, True])
def test_headers_that_ray_obeys_come_from_no_stranger(is_direct: bool) -> None:
    app = rays(200, (b"x-request-id", b"ours"))
    strange = tuple((f"x-request-{name}".encode(), b"1") for name in ("id", "timeout-seconds", "disconnect-disabled"))
    asyncio.run(ask(Gate(app, 1_000, is_direct=is_direct), headers=(*strange, (b"accept", b"*/*"))))
    own = [(b"x-request-disconnect-disabled", b"?1")] if is_direct else []
    assert app.scopes[0]["headers"] == [(b"accept", b"*/*"), *own]  # type: ignore[attr-defined]


def test_body_that_ray_would_keep_whole_is_bounded() -> None:
    gate = Gate(rays(200, (b"x-request-id", b"ours"), read=True), 1_000, is_direct=False)
    assert asyncio.run(ask(gate, pieces=(b"a" * 500,) * 2))[0] == 200
    status, _, body = asyncio.run(ask(gate, pieces=(b"a" * 500,) * 3))
    assert (status, json.loads(body)["code"]) == (413, "body_too_large")
    assert asyncio.run(ask(gate, pieces=(b"a" * 500,) * 2))[0] == 200  # the room is given back


def test_who_keeps_most_gives_way() -> None:
    async def together() -> tuple[int, int]:
        gate = Gate(slow, 1_000, is_direct=False)
        large = asyncio.create_task(ask(gate, pieces=(b"a" * 900,)))
        await asyncio.sleep(0.01)
        small = asyncio.create_task(ask(gate, pieces=(b"a" * 200,)))
        return (await large)[0], (await small)[0]

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"one")] * 2})
        await send({"type": "http.response.body", "body": b""})

    assert asyncio.run(together()) == (413, 200)


def test_cancelled_request_is_cancelled() -> None:
    async def hurried() -> None:
        async def never(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.Event().wait()

        asking = asyncio.create_task(ask(Gate(never, 1_000, is_direct=False)))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(hurried())
