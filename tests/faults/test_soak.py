"""For half an hour, with clients that crash and bundles that are loaded anew: memory stays what it was."""

import asyncio
import json
import os
import random
import signal
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.bundle import read_bundle
from app.settings import SHIPPED
from app.synthetic import make_texts
from tests.faults.load import Load, make_questions, run

SECONDS = float(os.environ.get("SENTOPIC_TEST_SECONDS", "1800"))
CLIENTS = 16
MOST_GROWTH_MB = 20
WARM_UP_SHARE = 0.15
RELOADS = 12

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which only Linux has")


class _Traffic:
    """What is asked beside single texts."""

    def __init__(self, service: Any, texts: list[str]) -> None:
        self.service, self.texts = service, texts
        self.done = Counter[str]()
        self.memory_mb = list[float]()

    async def go(self) -> None:
        async with httpx.AsyncClient(base_url=self.service.url, timeout=60) as client:
            await asyncio.gather(self._ask_batches(client), self._crash(), self._reload(), self._watch(client))

    async def _ask_batches(self, client: httpx.AsyncClient) -> None:
        while True:
            response = await client.post("/predict/topic/batch", json={"texts": random.choices(self.texts, k=100)})
            assert response.status_code == 200
            self.done["batches"] += 1
            await asyncio.sleep(0.5)

    async def _crash(self) -> None:
        """Clients that are gone within a body, or within an answer."""
        body = json.dumps({"texts": self.texts}).encode()
        head = "POST /predict/topic/batch HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        host, port = self.service.url.removeprefix("http://").split(":")
        while True:
            _, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request[: random.randrange(1, len(request))] if random.random() < 0.5 else request)
                await asyncio.sleep(random.random() * 0.05)
            finally:
                writer.transport.abort()
            self.done["crashed clients"] += 1
            await asyncio.sleep(0.1)

    async def _reload(self) -> None:
        while True:
            await asyncio.sleep(SECONDS / (RELOADS + 1))
            self.service.process.send_signal(signal.SIGHUP)
            self.done["reloads"] += 1

    async def _watch(self, client: httpx.AsyncClient) -> None:
        while True:
            await asyncio.sleep(SECONDS / 360)
            assert (await client.get("/metrics")).status_code == 200
            self.memory_mb.append(self.service.memory_mb)


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_memory_stays_what_it_was(start: Any) -> None:
    service = start()
    host, port = service.url.removeprefix("http://").split(":")
    load = Load((host, int(port)), make_questions(500))
    load.pause_s, load.leaves = 0.01, 0.02
    traffic = _Traffic(service, make_texts(read_bundle(SHIPPED / "topic" / "gru").words, 200, 300))
    end = time.monotonic() + SECONDS
    run(load, lambda: time.monotonic() < end, CLIENTS, traffic.go)
    samples = traffic.memory_mb
    warm = samples[int(WARM_UP_SHARE * len(samples)) :]
    tenths = [statistics.fmean(warm[len(warm) * tenth // 10 : len(warm) * (tenth + 1) // 10]) for tenth in range(10)]
    print(f"\n{load.asked} texts in {SECONDS:.0f} s, {dict(load.statuses)}; {dict(traffic.done)}")
    print(f"left {load.left}, sent again {load.retried}, lost {load.lost}, wrong {len(load.wrong)}")
    print(f"MB at first {samples[0]:.0f}, then by tenths", *(f"{tenth:.0f}" for tenth in tenths))
    assert load.wrong == []
    assert (load.lost, load.doubled) == (0, 0)
    assert max(tenths[-3:]) - tenths[0] < MOST_GROWTH_MB
