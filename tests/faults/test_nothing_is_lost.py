"""Under load, while workers are killed and stopped, bundles reloaded, clients leave and some requests are bad."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import Load, make_questions, run

MILLION = int(os.environ.get("SENTOPIC_TEST_REQUESTS", "1000000"))

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc, which only Linux has")


@pytest.mark.parametrize(
    ("total", "between"),
    [(2_000, 250), pytest.param(MILLION, 25_000, marks=[pytest.mark.faults, pytest.mark.timeout(3_600)])],
)
def test_no_answer_is_lost_doubled_or_swapped(start: Any, total: int, between: int) -> None:
    """Between two harms so many requests come to their end: whoever is sent again is not harmed again."""
    service = start("--workers", "2")
    host, port = service.url.removeprefix("http://").split(":")
    load = Load((host, int(port)), make_questions(500 if total > 10_000 else 50))
    harms: dict[str, int] = dict.fromkeys(("killed", "reloaded", "stopped"), 0)

    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")

    async def until(holds: Callable[[], bool]) -> None:
        while not holds():
            await asyncio.sleep(0.01)

    async def disturb() -> None:
        order: Iterator[str] = cycle(["killed", "reloaded", "killed", "killed", "reloaded", "stopped"])
        while True:
            answered = load.statuses.total()
            await until(lambda: load.statuses.total() - answered >= between and not load.again)  # noqa: B023 - at once
            harm = next(order)
            harms[harm] += 1
            if harm == "reloaded":
                service.process.send_signal(signal.SIGHUP)
                continue
            worker = children.read_text().split()[0]
            os.kill(int(worker), signal.SIGKILL if harm == "killed" else signal.SIGSTOP)
            await until(lambda: worker not in children.read_text().split())  # noqa: B023 - awaited at once

    seconds = run(load, lambda: load.asked < total, 64, disturb)
    print(f"\n{load.asked} requests in {seconds:.0f} s, {dict(load.statuses)}; {harms}")
    print(f"{load.left} left, {load.retried} sent again")
    print(f"lost {load.lost}, doubled {load.doubled}, wrong {len(load.wrong)}")
    assert load.wrong == []
    assert (load.lost, load.doubled) == (0, 0)
    assert set(load.statuses) <= {200, 400, 404, 422, 503}
    assert harms["killed"] > 1
    assert harms["reloaded"] > 0
