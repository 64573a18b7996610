"""A full queue is 503 with Retry-After, a slow engine 504; nobody else is harmed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from app.engines.base import Precision, Probabilities
from app.main import create_app
from app.settings import SHIPPED, Settings
from app.text import Ids


class GatedEngine:
    name = "gated"
    precision: Precision = "float32"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.windows = 0

    def predict(self, ids: Ids) -> Probabilities:
        self.windows += len(ids)
        assert self.gate.wait(10)
        return np.tile(np.float32([[0.1, 0.9]]), (len(ids), 1))


@asynccontextmanager
async def service(**options: object) -> AsyncIterator[tuple[httpx.AsyncClient, GatedEngine, Callable[[], int]]]:
    """A service whose sentiment model answers when the test opens its gate."""
    app = create_app(Settings(bundle=[SHIPPED / "sentiment" / "gru"], **options))  # type: ignore[arg-type]
    engine = GatedEngine()
    catalog = app.state.catalog
    batcher = catalog.find("sentiment").batcher
    batcher._engine = engine
    async with catalog, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        try:
            yield client, engine, lambda: batcher.waiting_windows
        finally:
            engine.gate.set()


def ask(client: httpx.AsyncClient) -> Awaitable[httpx.Response]:
    return asyncio.ensure_future(client.post("/predict/sentiment", json={"text": "a good film"}))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_exactly_those_who_do_not_fit_get_503_and_the_rest_their_answer() -> None:
    async def scene() -> None:
        async with service(max_queue_windows=5, max_batch_windows=1) as (client, engine, waiting):
            busy = ask(client)
            await until(lambda: engine.windows == 1)
            queued = [ask(client) for _ in range(5)]
            await until(lambda: waiting() == 5)
            refused = await asyncio.gather(*(ask(client) for _ in range(10)))
            assert [response.status_code for response in refused] == [503] * 10
            for response in refused:
                assert response.json()["code"] == "overloaded"
                assert int(response.headers["retry-after"]) >= 1
            assert (await client.get("/health/ready")).status_code == 200
            engine.gate.set()
            answered = await asyncio.gather(busy, *queued)
            assert [response.status_code for response in answered] == [200] * 6

    asyncio.run(scene())


def test_requests_beyond_the_permits_get_503_and_probes_need_none() -> None:
    async def scene() -> None:
        async with service(max_requests=3) as (client, engine, _):
            answering = [ask(client) for _ in range(3)]
            await until(lambda: engine.windows > 0)
            refused = await ask(client)
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            for path in ("/health/live", "/health/ready", "/tasks"):
                assert (await client.get(path)).status_code == 200
            engine.gate.set()
            assert [(await answer).status_code for answer in answering] == [200] * 3
            assert (await ask(client)).status_code == 200

    asyncio.run(scene())


def test_bodies_that_are_being_sent_share_their_room_and_give_it_back() -> None:
    async def scene() -> None:
        app = create_app(Settings(bundle=[SHIPPED / "sentiment" / "gru"], max_incoming_bytes=1_000))
        leave, statuses = asyncio.Event(), list[int]()

        async def send_half(size: int) -> None:
            messages = iter([{"type": "http.request", "body": b" " * size, "more_body": True}])

            async def receive() -> Any:
                if message := next(messages, None):
                    return message
                await leave.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            await app(scope("/predict/sentiment"), receive, send)

        halves = [asyncio.create_task(send_half(400)) for _ in range(2)]
        await until(lambda: app.state.admission.room_bytes == 200)
        halves.append(asyncio.create_task(send_half(400)))
        await until(lambda: statuses)
        assert statuses == [503]  # whoever has been sending for longest, not who comes
        assert halves[0].done()
        leave.set()
        await asyncio.gather(*halves)
        assert statuses == [503, 499, 499]
        assert app.state.admission.room_bytes == 1_000

    asyncio.run(scene())


def test_answer_that_does_not_come_in_time_is_504() -> None:
    async def scene() -> None:
        async with service(deadline_s=0.05) as (client, _, waiting):
            response = await ask(client)
            assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
            assert waiting() == 0

    asyncio.run(scene())


@pytest.mark.parametrize("path", ["", "/batch"])
def test_client_that_leaves_gives_back_its_place_and_never_reaches_the_engine(path: str) -> None:
    async def scene() -> None:
        app = create_app(Settings(bundle=[SHIPPED / "sentiment" / "gru"]))
        engine = GatedEngine()
        batcher = app.state.catalog.find("sentiment").batcher
        batcher._engine = engine
        body = b'{"texts": ["a good film"]}' if path else b'{"text": "a good film"}'
        sent: list[Any] = []

        async def ask(leaves: asyncio.Event) -> None:
            messages = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def receive() -> Any:
                if message := next(messages, None):
                    return message
                await leaves.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                sent.append(message)

            await app(scope(f"/predict/sentiment{path}"), receive, send)

        async with app.state.catalog:
            stays, leaves = asyncio.Event(), asyncio.Event()
            busy = asyncio.create_task(ask(stays))
            await until(lambda: engine.windows == 1)
            leaving = [asyncio.create_task(ask(leaves)) for _ in range(50)]
            await until(lambda: batcher.waiting_windows == 50)
            leaves.set()
            await asyncio.gather(*leaving)
            assert batcher.waiting_windows == 0
            engine.gate.set()
            await busy
            assert engine.windows == 1
            assert [message["status"] for message in sent if "status" in message] == [499] * 50 + [200]
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())


def scope(path: str) -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")]
    return {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "root_path": ""}


def test_refusals_say_where_the_time_went_too() -> None:
    async def scene() -> None:
        async with service(deadline_s=0.05) as (client, _, _):
            response = await ask(client)
            assert response.status_code == 504
            assert response.headers["server-timing"].startswith("read;dur=")

    asyncio.run(scene())


def test_batch_larger_than_the_queue_is_answered_in_parts() -> None:
    async def scene() -> None:
        async with service(max_queue_windows=300) as (client, engine, _):
            engine.gate.set()
            response = await client.post("/predict/sentiment/batch", json={"texts": ["a good film"] * 1_000})
            assert response.status_code == 200
            assert len(response.json()["results"]) == 1_000
            assert engine.windows == 1_000

    asyncio.run(scene())


def test_failing_engine_is_500_without_its_reason() -> None:
    async def scene() -> None:
        async with service() as (client, engine, _):
            engine.predict = None  # type: ignore[assignment]
            client._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
            response = await ask(client)
            assert response.status_code == 500
            assert response.json()["code"] == "internal"
            assert "NoneType" not in response.text

    asyncio.run(scene())
