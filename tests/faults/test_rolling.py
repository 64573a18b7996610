"""Two services behind nginx, as `deploy/` has it, are replaced one after the other under load: nobody notices."""

import asyncio
import secrets
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.nginx import free_ports, needs_nginx, running
from tests.faults.load import Load, make_questions, run

pytestmark = [needs_nginx, pytest.mark.faults]
CLIENTS, ROUNDS, PAUSE_S = 32, 5, 1.0


async def say_what_was_wrong(port: int, statuses: Counter[int]) -> None:
    """What nginx may send only once: POSTs that are no questions."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while True:
            told = {"id": secrets.token_hex(8), "task": "topic", "label": "grain"}
            statuses[(await client.post("/feedback", json=told)).status_code] += 1
            await asyncio.sleep(0.01)


async def ask_much(port: int, statuses: Counter[int]) -> None:
    """Bodies that nginx does not keep, and so may send only once, too."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while True:
            asked = {"texts": ["wheat and corn " * 100] * 20}
            statuses[(await client.post("/predict/topic/batch", json=asked)).status_code] += 1
            await asyncio.sleep(0.05)


@pytest.mark.timeout(600)
def test_no_request_fails_while_both_services_are_replaced_again_and_again(start: Any, tmp_path: Path) -> None:
    ports = free_ports(2)
    services = [start("--port", str(port)) for port in ports]
    left: list[int] = []
    feedback: Counter[int] = Counter()
    large: Counter[int] = Counter()

    async def replace() -> None:
        telling = [asyncio.ensure_future(say_what_was_wrong(front, feedback)) for _ in range(4)]
        telling += [asyncio.ensure_future(ask_much(front, large)) for _ in range(4)]
        for _ in range(ROUNDS):
            for place, port in enumerate(ports):
                await asyncio.sleep(PAUSE_S)
                before: subprocess.Popen[str] = services[place].process
                before.send_signal(signal.SIGTERM)
                left.append(await asyncio.to_thread(before.wait, 60))
                services[place] = await asyncio.to_thread(start, "--port", str(port))
        await asyncio.sleep(PAUSE_S)
        assert not any(task.done() for task in telling)
        for task in telling:
            task.cancel()

    with running(tmp_path, ports) as front:
        load = Load(("127.0.0.1", front), make_questions(100))
        load.leaves = 0.0
        seconds = run(load, lambda: True, CLIENTS, replace)
    answered = sum(load.statuses.values())
    print(f"\n{answered} answers in {seconds:.0f} s, {len(left)} replaced; {dict(load.statuses)}, {load.retried} broke")
    print(f"feedback: {dict(feedback)}, large bodies: {dict(large)}")
    assert left == [0] * 2 * ROUNDS
    assert (load.wrong, load.retried, load.lost, load.doubled) == ([], 0, 0, 0)
    assert set(load.statuses) == {200, 400, 404, 422}
    assert (set(feedback), set(large)) == ({202}, {200})
    assert min(sum(feedback.values()), sum(large.values())) > 300
    assert answered == load.asked > 10_000
