"""The application as a whole: what it leaves behind."""

import asyncio
import gc
import weakref
from typing import Any

from app.main import GARBAGE_THRESHOLD, create_app
from app.settings import SHIPPED, Settings


def test_answered_request_leaves_nothing_for_the_garbage_collector() -> None:
    """It is made to look seldom, so a cycle a request would be memory."""

    async def scene() -> None:
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"]))
        assert gc.get_threshold()[0] == GARBAGE_THRESHOLD
        status: list[int] = []

        async def ask() -> None:
            messages = iter([{"type": "http.request", "body": b'{"text": "wheat and corn"}', "more_body": False}])

            async def receive() -> Any:
                return next(messages)

            async def send(message: Any) -> None:
                status.append(message.get("status", 200))

            headers = [(b"content-type", b"application/json")]
            await app(
                {"type": "http", "method": "POST", "path": "/predict/topic", "headers": headers, "query_string": b""},
                receive,
                send,
            )

        async with app.state.catalog:
            await ask()
            gc.collect()
            gc.disable()
            try:
                await asyncio.gather(*(ask() for _ in range(20)))
                assert gc.collect() < 20
            finally:
                gc.enable()
        assert set(status) == {200}

    asyncio.run(scene())


def test_application_that_has_stopped_keeps_no_engine() -> None:
    """Or each reload would cost as much memory as the bundles take."""

    async def scene() -> "weakref.ref[Any]":
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"]))
        async with app.router.lifespan_context(app):
            return weakref.ref(app.state.catalog.find("topic").engine)

    engine = asyncio.run(scene())
    gc.unfreeze()
    gc.collect()
    assert engine() is None
