"""Five times more requests than can be answered: the surplus is refused at once, and the rest hardly notices."""

import asyncio
import json
import os
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvloop

from app.bundle import read_bundle
from app.settings import SHIPPED
from app.synthetic import make_texts
from tests.faults.attempts import Figures, hold
from tests.faults.load import Line, post

WORDS = int(os.environ.get("SENTOPIC_TEST_WORDS", "4000"))
"""Of a text: enough windows that it is the engine that has too much to do, and not the client on the same cores."""

CONNECTIONS = 512


@dataclass
class Period:
    """What came of requests that were sent at one rate."""

    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    dropped: int = 0

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.waits, n=100)[98]


class Caller:
    """Sends requests at times that do not depend on answers nor on each other, over connections that are kept."""

    def __init__(self, address: tuple[str, int], requests: list[bytes]) -> None:
        self._address, self._requests = address, requests
        self._chance = random.Random(20_261_122)
        self._idle: list[Line] = []
        self._open = 0

    async def at_rate(self, per_s: float, seconds: float, first_second: Period | None = None) -> Period:
        """`first_second`: what comes of the requests of it, which then are left out."""
        period, tasks = Period(), set[asyncio.Task[None]]()
        started = time.monotonic()
        sent, due = 0, 0.0
        while (now := time.monotonic() - started) < seconds:
            into = first_second if first_second is not None and now < 1 else period
            while due < now:
                due += self._chance.expovariate(per_s)
                task = asyncio.create_task(self._ask(into, self._requests[sent % len(self._requests)]))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)
        return period

    async def closed_loop(self, clients: int, seconds: float) -> Period:
        period, end = Period(), time.monotonic() + seconds

        async def ask_again_and_again(number: int) -> None:
            while time.monotonic() < end:
                await self._ask(period, self._requests[number % len(self._requests)])

        await asyncio.gather(*(ask_again_and_again(number) for number in range(clients)))
        return period

    async def _ask(self, period: Period, request: bytes) -> None:
        line = self._idle.pop() if self._idle else None
        if line is None or line.lost or line.closing:
            if self._open >= CONNECTIONS and line is None:
                period.dropped += 1
                return
            line = await self._connect()
        sent = time.perf_counter()
        try:
            status, body = await self._exchange(line, request)
        except ConnectionError:  # idle for so long that it was closed while the request was on its way
            line = await self._connect()
            status, body = await self._exchange(line, request)
        period.statuses[status] += 1
        if status == 200:
            period.waits.append(time.perf_counter() - sent)
        else:
            assert json.loads(body)["code"] == "overloaded", body
        self._idle.append(line)

    async def _connect(self) -> Line:
        self._open += 1
        return (await asyncio.get_running_loop().create_connection(Line, *self._address))[1]

    @staticmethod
    async def _exchange(line: Line, request: bytes) -> tuple[int, bytes]:
        line.waiting = asyncio.get_running_loop().create_future()
        line.transport.write(request)
        return await asyncio.wait_for(line.waiting, 30)

    async def hang_up(self) -> None:
        for line in self._idle:
            line.transport.abort()
        await asyncio.sleep(0.05)


async def overload(caller: Caller, seconds: float) -> dict[str, Period]:
    """The most that can be answered, and what came of five times as much, with the usual rate around it.

    In two minutes the first second, until the queue is held, is too little for p99; in less, it is left out.
    """
    first = None if seconds >= 120 else Period()
    most = await caller.closed_loop(16, 8)
    per_s = most.statuses[200] / 8
    print(f"\nmost: {per_s:.0f} texts of {WORDS} words a second; p99 {most.p99 * 1e3:.0f} ms")
    periods = {  # as long at the usual rate as beyond it, or pauses of the machine would weigh more in one of them
        "before (0.7 times)": await caller.at_rate(0.7 * per_s, seconds),
        "overload (5 times)": await caller.at_rate(5 * per_s, seconds, first),
        "first 5 s after it (0.7 times)": await caller.at_rate(0.7 * per_s, 5),
        "after that (0.7 times)": await caller.at_rate(0.7 * per_s, seconds / 2),
    }
    await caller.hang_up()
    if first is not None:
        print(f"first second of the overload: {dict(first.statuses)}, the slowest {max(first.waits) * 1e3:.0f} ms")
    return {"most": most, **periods}


@pytest.mark.faults
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seconds", [float(os.environ.get("SENTOPIC_TEST_SECONDS", "120"))])
def test_overload_is_held_and_over_at_once(start: Any, seconds: float) -> None:
    service = start("--bundle", str(SHIPPED / "sentiment" / "gru"))
    host, port = service.url.removeprefix("http://").split(":")
    words = read_bundle(SHIPPED / "sentiment" / "gru").words
    requests = [post("sentiment", json.dumps({"text": text}).encode()) for text in make_texts(words, 32, WORDS)]

    def attempt() -> Figures | None:
        periods = uvloop.run(overload(Caller((host, int(port)), requests), seconds))
        for name, period in periods.items():
            told = f"p50 {statistics.median(period.waits) * 1e3:.0f} ms, p99 {period.p99 * 1e3:.0f} ms"
            print(f"{name}: {dict(period.statuses)}, {told}, not sent {period.dropped}")
        most, before, beyond, _, after = periods.values()
        assert all(set(period.statuses) <= {200, 503} for period in periods.values())
        if (
            beyond.statuses[503] + beyond.dropped < beyond.statuses[200]
        ):  # the machine was slower when its most was measured
            return None
        slower, fewer = beyond.p99 / before.p99, most.statuses[200] / 8 * seconds / beyond.statuses[200]
        print(f"{len(before.waits)} usual answers; p99 {slower:.2f} times theirs, {1 / fewer:.2f} of the most answered")
        return {
            "p99 of the overload, of that before, or the most, of what was answered": (max(slower, fewer), 2),
            "p99 from 5 s after it on, of that before": (after.p99 / before.p99, 2),
            "refused before, of those answered": (before.statuses[503] / before.statuses[200], 0.02),  # in a pause
            "refused after it": (after.statuses[503] / after.statuses[200], 0.02),
        }

    hold(attempt)
    assert httpx.get(f"{service.url}/health/ready").status_code == 200
