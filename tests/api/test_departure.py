"""Whoever leaves has no work done for it, whether the server tells that it has left or has to be asked."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request

from app.api.departure import Visit
from app.errors import ClientLeftError
from app.scope import ON_DEPARTURE


class Client:
    """Leaves when told."""

    def __init__(self, *, is_told: bool) -> None:
        self.asked, self.left = False, asyncio.Event()
        self.request = Request({"type": "http"} | ({ON_DEPARTURE: None} if is_told else {}), self.receive)

    async def receive(self) -> Any:
        self.asked = True
        await self.left.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self.left.set()
        if end := self.request.scope.get(ON_DEPARTURE):
            end()


async def serve(client: Client, seconds: float, at_end: Callable[[], None] = lambda: None) -> str:
    with Visit(client.request):
        try:
            await asyncio.sleep(seconds)
        finally:
            at_end()
        return "answer"


@pytest.mark.parametrize("is_told", [True, False])
def test_work_for_a_client_that_leaves_ends(is_told: bool) -> None:
    async def scene() -> None:
        client, ended = Client(is_told=is_told), asyncio.Event()
        task = asyncio.create_task(serve(client, 10, ended.set))
        await asyncio.sleep(0.01)
        client.leave()
        with pytest.raises(ClientLeftError):
            await task
        assert ended.is_set()
        assert not task.cancelling()

    asyncio.run(scene())


def test_work_that_ends_in_order_is_not_disturbed_when_its_client_leaves_twice() -> None:
    async def scene() -> None:
        client, in_order = Client(is_told=True), asyncio.Event()

        async def work() -> None:
            with Visit(client.request):
                try:
                    await asyncio.sleep(10)
                finally:
                    await asyncio.sleep(0.02)
                    in_order.set()

        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        client.leave()
        await asyncio.sleep(0.01)
        client.leave()
        with pytest.raises(ClientLeftError):
            await task
        assert in_order.is_set()

    asyncio.run(scene())


@pytest.mark.parametrize("is_told", [True, False])
def test_who_has_its_answer_is_let_go(is_told: bool) -> None:
    async def scene() -> None:
        client = Client(is_told=is_told)
        assert await serve(client, 0) == "answer"
        client.leave()
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("is_told", [True, False])
def test_whoever_ends_the_task_itself_has_not_left(is_told: bool) -> None:
    async def scene() -> None:
        task = asyncio.create_task(serve(Client(is_told=is_told), 10))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_a_server_that_tells_is_not_asked() -> None:
    async def scene() -> None:
        client = Client(is_told=True)
        await serve(client, 0.01)
        assert not client.asked

    asyncio.run(scene())
