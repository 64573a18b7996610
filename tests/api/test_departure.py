"""Whoever waits long is watched for leaving; whoever gets an answer soon is not."""

import asyncio
from typing import Any

import pytest
from fastapi import Request

from app.api import departure
from app.api.departure import Departures
from app.errors import ClientLeftError

WATCH_AFTER_S = 0.02


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "WATCH_AFTER_S", WATCH_AFTER_S)


class Client:
    """Notes whether anybody looks at it; leaves when told."""

    def __init__(self) -> None:
        self.watched, self.leaves = False, asyncio.Event()
        self.request = Request({"type": "http"}, self.receive)

    async def receive(self) -> Any:
        self.watched = True
        await self.leaves.wait()
        return {"type": "http.disconnect"}


def test_answers_that_come_soon_are_not_watched_whenever_they_are_asked_for() -> None:
    async def scene() -> None:
        departures = Departures()
        clients = [Client() for _ in range(40)]
        slow = asyncio.create_task(departures.work_for(Client().request, asyncio.sleep(10)))
        for client in clients:  # some of them are here at one of the looks
            await departures.work_for(client.request, asyncio.sleep(WATCH_AFTER_S / 10))
        assert [client.watched for client in clients] == [False] * 40
        slow.cancel()

    asyncio.run(scene())


def test_work_for_a_client_that_leaves_ends() -> None:
    async def scene() -> None:
        departures, client = Departures(), Client()
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(10)
            finally:
                ended.set()

        task = asyncio.create_task(departures.work_for(client.request, work()))
        await asyncio.sleep(4 * WATCH_AFTER_S)
        assert client.watched
        client.leaves.set()
        with pytest.raises(ClientLeftError):
            await task
        assert ended.is_set()

    asyncio.run(scene())


def test_nobody_looks_when_nobody_waits() -> None:
    async def scene() -> None:
        departures = Departures()
        await departures.work_for(Client().request, asyncio.sleep(0))
        await asyncio.sleep(4 * WATCH_AFTER_S)
        assert departures._timer is None
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())
