"""A service that answers by a script, a clock that only sleeping moves, and both clients behind one face."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sentopic.client import AsyncClient, Client
from sentopic.client.retry import Clock

Handler = Callable[[httpx.Request], httpx.Response]
Make = Callable[..., Any]


class Time:
    """Stands still but for sleep."""

    def __init__(self, chance: float = 1.0) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self.clock = Clock(lambda: self.now, lambda: 1_800_000_000 + self.now, lambda: chance)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Awaited:
    """An AsyncClient whose methods are waited for, so that one test asks both clients."""

    def __init__(self, client: AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self.client, self.loop = client, loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if inspect.isasyncgenfunction(method):
            return lambda *given, **options: self._iterate(method(*given, **options))
        return lambda *given, **options: self.loop.run_until_complete(method(*given, **options))

    def _iterate(self, answers: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self.loop.run_until_complete(anext(answers))
                except StopAsyncIteration:
                    return
        finally:
            self.loop.run_until_complete(answers.aclose())


@pytest.fixture(params=["Client", "AsyncClient"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes one of the clients. `handler` stands in for a service, `time` for the clock."""
    made: list[Any] = []
    with asyncio.Runner() as runner:

        def create(
            url: str = "http://service",
            *given: Any,
            handler: Handler | None = None,
            time: Time | None = None,
            **more: Any,
        ) -> Any:
            if handler is not None:
                more["transport"] = httpx.MockTransport(handler)
            client: Any = (Client if request.param == "Client" else AsyncClient)(url, *given, **more)
            if time is not None:
                client._patience = replace(client._patience, clock=time.clock)
                client._sleep = time.sleep if request.param == "Client" else time.sleep_async
            made.append(client if request.param == "Client" else Awaited(client, runner.get_loop()))
            return made[-1]

        yield create
        for client in made:
            client.close()


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """As the service answers an error."""
    content = {"type": "", "title": "", "status": status, "code": code, "detail": f"It is {code}."}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers={"content-type": "application/problem+json"} | headers, json=content)


ANSWER = {
    "task": "topic", "model": "gru", "label": "earn", "confidence": 0.9, "uncertain": False,
    "scores": [{"label": "earn", "score": 0.9}], "tokens": {"total": 3, "known": 3, "windows": 1}, "warnings": [],
    "id": "a1",
}  # fmt: skip
