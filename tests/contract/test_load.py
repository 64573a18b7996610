"""What is answered under load is what the same text is answered alone."""

import asyncio
import random
from typing import Any

import httpx
import numpy as np
import pytest

from app.bundle import read_bundle
from app.engines.open import open_engine
from app.settings import SHIPPED

TEXTS = 10_000
CONNECTIONS = 32
TOLERANCE = 1e-5


@pytest.mark.parametrize("task", ["sentiment", "topic"])
def test_answers_do_not_depend_on_the_load(task: str, server: str) -> None:
    """Texts of all lengths, single ones and batches at once, against one text at a time without a server."""
    bundle = read_bundle(SHIPPED / task / "gru")
    encoder, engine, chance = bundle.encoder(), open_engine(bundle, "onnx"), random.Random(4)
    words = bundle.words[:15_000]
    texts = [" ".join(chance.choices(words, k=chance.choice((1, 3, 10, 40, 99, 120)))) for _ in range(TEXTS // 2)]
    found: list[dict[str, Any] | None] = [None] * len(texts)
    work = iter(range(len(texts)))

    async def post(client: httpx.AsyncClient, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Asks again when told to: the machine may be too busy for all of them."""
        while (response := await client.post(path, json=asked)).status_code == 503:
            await asyncio.sleep(int(response.headers["retry-after"]))
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(client: httpx.AsyncClient, *, batch: int) -> None:
        while places := [place for _, place in zip(range(batch), work, strict=False)]:
            asked = [texts[place] for place in places]
            top = {"model": "gru", "top_k": len(bundle.manifest.labels)}
            if batch == 1:
                found[places[0]] = await post(client, f"/predict/{task}", {"text": asked[0], **top})
            else:
                answers = await post(client, f"/predict/{task}/batch", {"texts": asked, **top})
                for place, answer in zip(places, answers["results"], strict=True):
                    found[place] = answer

    async def scene() -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with httpx.AsyncClient(base_url=server, timeout=60, limits=limits) as client:
            await asyncio.gather(*(ask(client, batch=1 if asker % 4 else 37) for asker in range(CONNECTIONS)))

    asyncio.run(scene())
    names = [label.name for label in bundle.manifest.labels]
    for text, answer in zip(texts, found, strict=True):
        assert answer is not None
        alone = bundle.manifest.scores(engine.predict(encoder.encode(text).windows))
        served = {one["label"]: one["score"] for one in answer["scores"]}
        np.testing.assert_allclose([served[name] for name in names], alone, rtol=0, atol=TOLERANCE)
