"""The route that all others are measured against does what they do, but for the model."""

import asyncio

import httpx
import pytest

from app.settings import SHIPPED
from benchmarks.empty import create_app


def test_empty_routes_answer_as_the_real_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTOPIC_BUNDLE", f'["{SHIPPED / "sentiment" / "gru"}"]')
    monkeypatch.setenv("SENTOPIC_JOBS", "")

    async def scene() -> list[httpx.Response]:
        app = create_app()
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                paths = ("/empty", "/empty/fastapi", "/predict/sentiment")
                return [await client.post(path, json={"text": "a film"}) for path in paths]

    *empty, real = asyncio.run(scene())
    for one in empty:
        assert (one.status_code, real.status_code) == (200, 200)
        assert one.json().keys() == real.json().keys()
        assert abs(len(one.content) - len(real.content)) < 200
