"""One of two workers is killed or hangs while 40 requests are in flight: nobody who asks once more goes without."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from app.bundle import read_bundle
from app.settings import SHIPPED
from app.synthetic import make_texts
from tests.faults.attempts import Figures, hold
from tests.faults.conftest import Running
from tests.faults.load import Line, post

IN_FLIGHT = 40
BLOCKED = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3_600))
from app.cli import main
sys.exit(main())
"""
"""The service, whose event loop can be blocked."""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc, which only Linux has"),
]


def workers(service: Running) -> list[int]:
    pid = service.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def ask(service: Running, request: bytes) -> tuple[int, bytes]:
    host, port = service.url.removeprefix("http://").split(":")
    transport, line = await asyncio.get_running_loop().create_connection(Line, host, int(port))
    line.waiting = asyncio.get_running_loop().create_future()
    try:
        transport.write(request)
        return await line.waiting
    finally:
        line.waiting.cancel()
        transport.abort()


async def ask_twice(service: Running, request: bytes, patience_s: float) -> tuple[int, bytes, bool]:
    """Status, body, and whether it had to be sent again."""
    try:
        return *(await asyncio.wait_for(ask(service, request), patience_s)), False
    except (ConnectionError, TimeoutError):
        return *(await asyncio.wait_for(ask(service, request), 30)), True


@pytest.mark.parametrize(
    ("harm", "most_s"),
    [(signal.SIGKILL, 3), (signal.SIGSTOP, 7), (signal.SIGUSR1, 7)],
    ids=["killed", "hangs", "blocked loop"],
)
def test_worker_with_40_requests_in_flight_is_replaced(start: Any, harm: signal.Signals, most_s: float) -> None:
    """`most_s`: from the harm until another one answers."""
    service = start("--workers", "2", "--bundle", str(SHIPPED / "topic" / "gru"), program=("-c", BLOCKED))
    texts = make_texts(read_bundle(SHIPPED / "topic" / "gru").words, 40, 400)
    large = post("topic/batch", json.dumps({"texts": texts}).encode())
    small = post("topic", json.dumps({"text": texts[0]}).encode())

    async def scene() -> tuple[int, float, float] | None:
        right = json.loads((await ask(service, large))[1])["results"]
        asked = [asyncio.create_task(ask_twice(service, large, 8)) for _ in range(2 * IN_FLIGHT)]
        await asyncio.sleep(0.1)
        if sum(not task.done() for task in asked) < IN_FLIGHT:
            await asyncio.gather(*asked)
            return None
        dies, lives = workers(service)
        harmed = time.monotonic()
        os.kill(dies, harm)
        while dies in workers(service):
            await asyncio.sleep(0.01)
        gone = time.monotonic() - harmed
        os.kill(lives, signal.SIGSTOP)  # whoever answers now is the new one
        try:
            while True:
                try:
                    assert (await asyncio.wait_for(ask(service, small), 0.2))[0] == 200
                    break
                except (ConnectionError, TimeoutError):
                    assert time.monotonic() - harmed < 30
        finally:
            os.kill(lives, signal.SIGCONT)
        back = time.monotonic() - harmed
        answers = await asyncio.gather(*asked)
        for status, body, _ in answers:
            assert status == 200
            for answer, expected in zip(json.loads(body)["results"], right, strict=True):
                assert answer["label"] == expected["label"]
                assert abs(answer["confidence"] - expected["confidence"]) < 1e-5
        assert lives in workers(service)
        return sum(again for _, _, again in answers), gone, back

    def attempt() -> Figures | None:
        if (found := asyncio.run(scene())) is None:
            return None
        again, gone, back = found
        told = f"gone after {gone:.2f} s, another one answers after {back:.2f} s; {again} sent again, 0 lost"
        print(f"\n{harm.name}: {told}")
        assert again > 0
        return {"seconds until another one answers": (back, most_s)}

    hold(attempt)
