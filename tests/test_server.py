"""One application gives way to another; nobody who is being answered notices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.errors import StartError
from app.server import Build, Service


class Stage:
    """Builds applications that answer with their number when told, and notes which of them run."""

    def __init__(self) -> None:
        self.built, self.running = 0, set[int]()
        self.fails = False
        self.may_answer = asyncio.Event()

    @property
    def build(self) -> Build:
        def build() -> Any:
            if self.fails:
                raise StartError("no bundle")
            self.built += 1
            number = self.built

            async def app(_scope: Any, _receive: Any, send: Any) -> None:
                await self.may_answer.wait()
                assert number in self.running
                await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
                await send({"type": "http.response.body", "body": str(number).encode()})

            @asynccontextmanager
            async def running() -> AsyncIterator[None]:
                self.running.add(number)
                yield
                self.running.discard(number)

            return app, running(), asyncio.Event()

        return build


async def ask(service: Service) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await service({"type": "http"}, None, send)  # type: ignore[arg-type]
    return sent


def test_reload_leaves_whoever_is_being_answered_to_the_old_application_which_then_ends() -> None:
    async def scene() -> None:
        stage = Stage()
        service = Service(stage.build)
        await service.start()
        early = asyncio.create_task(ask(service))
        await asyncio.sleep(0)
        reload = asyncio.create_task(service.reload())
        while stage.running != {1, 2}:
            await asyncio.sleep(0.01)
        late = asyncio.create_task(ask(service))
        await asyncio.sleep(0.05)
        assert stage.running == {1, 2}
        stage.may_answer.set()
        assert [(await task)[1]["body"] for task in (early, late)] == [b"1", b"2"]
        await reload
        while stage.running != {2}:
            await asyncio.sleep(0.01)
        await service.stop()
        assert stage.running == set()

    asyncio.run(scene())


def test_another_reload_and_the_end_wait_for_no_answer_of_the_first() -> None:
    async def scene() -> None:
        stage = Stage()
        service = Service(stage.build)
        await service.start()
        early = asyncio.create_task(ask(service))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await service.reload()
            await service.reload()
        stop = asyncio.create_task(service.stop())
        await asyncio.sleep(0.05)
        assert 1 in stage.running
        assert not stop.done()
        stage.may_answer.set()
        assert (await early)[1]["body"] == b"1"
        await stop
        assert stage.running == set()

    asyncio.run(scene())


def test_reload_that_fails_changes_nothing() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.may_answer.set()
        service = Service(stage.build)
        await service.start()
        stage.fails = True
        with pytest.raises(StartError):
            await service.reload()
        assert (await ask(service))[1]["body"] == b"1"
        await service.stop()

    asyncio.run(scene())


def test_answers_ask_their_connection_to_close_when_the_service_does() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.may_answer.set()
        service = Service(stage.build)
        await service.start()
        assert (await ask(service))[0]["headers"] == [(b"x", b"y")]
        service.close()
        assert (await ask(service))[0]["headers"] == [(b"x", b"y"), (b"connection", b"close")]
        await service.stop()

    asyncio.run(scene())
