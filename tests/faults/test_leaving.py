"""A thousand clients that leave while they wait: their work is not done, and their places come back."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from app.bundle import read_bundle
from app.settings import SHIPPED
from app.synthetic import make_texts
from tests.faults.attempts import Figures, hold
from tests.faults.load import post

CLIENTS, WORDS = 1_000, 1_500
MANY_WORDS = 6_000
"""So that all of them wait at once: reading takes less of the time than the engine."""


def told(metrics: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE))


def waiting(metrics: str) -> float:
    """Requests, but the one that asks."""
    return told(metrics, "sentopic_requests_in_progress") - 1


def answered(metrics: str) -> float:
    return told(metrics, 'sentopic_request_seconds_count{[^}]*task="sentiment"[^}]*}')


def test_clients_that_leave_their_queue_are_not_answered_and_give_back_their_places(start: Any) -> None:
    bundle = SHIPPED / "sentiment" / "gru"
    service = start("--bundle", str(bundle), max_queue_windows=1_000_000, max_wait_s=60)
    text = make_texts(read_bundle(bundle).words, 1, WORDS)[0]
    request = post("sentiment", json.dumps({"text": text}).encode())
    lines = [service.connect() for _ in range(CLIENTS)]
    for line in lines:
        line.sendall(request)
    for line in lines:
        line.close()
    with httpx.Client(base_url=service.url, timeout=30) as client:
        end = time.monotonic() + 20
        while True:
            metrics = client.get("/metrics").text
            if told(metrics, "sentopic_queue_windows") == told(metrics, "sentopic_requests_in_progress") - 1 == 0:
                break
            assert time.monotonic() < end, metrics
            time.sleep(0.05)
        assert client.post("/predict/sentiment", json={"text": "a good film"}).status_code == 200
    run = told(metrics, "sentopic_engine_windows_sum")
    left = told(metrics, "sentopic_request_seconds_count")
    print(f"\n{CLIENTS} left; {run:.0f} of {CLIENTS * 15:.0f} windows were run; {left:.0f} requests told")
    assert run < CLIENTS * 15 / 2


def test_work_for_a_large_request_ends_when_its_client_leaves(start: Any) -> None:
    """Such a body stops what is read behind it, until all of it is there."""
    bundle = SHIPPED / "sentiment" / "gru"
    service = start("--bundle", str(bundle))
    texts = make_texts(read_bundle(bundle).words, 1_000, 60)
    header, _, body = post("sentiment/batch", json.dumps({"texts": texts}).encode()).partition(b"\r\n\r\n")
    assert len(body) > 4 * HIGH_WATER_LIMIT
    line = service.connect()
    line.sendall(header + b"\r\n\r\n")
    time.sleep(0.05)
    line.sendall(body)
    time.sleep(0.02)
    line.close()
    with httpx.Client(base_url=service.url, timeout=30) as client:
        end = time.monotonic() + 20
        while waiting(metrics := client.get("/metrics").text):
            assert time.monotonic() < end, metrics
    assert 'route="batch",status="499"' in metrics
    assert told(metrics, "sentopic_engine_windows_sum") < len(texts) * 0.9


@pytest.mark.faults
def test_once_they_have_left_none_reaches_the_engine(start: Any) -> None:
    """All wait when they leave at once: only what the engine has, and takes until their leaving is read, is run."""
    bundle = SHIPPED / "sentiment" / "gru"
    service = start("--bundle", str(bundle), max_queue_windows=1_000_000, max_wait_s=300, deadline_s=300)
    text = make_texts(read_bundle(bundle).words, 1, MANY_WORDS)[0]
    request = post("sentiment", json.dumps({"text": text}).encode())

    def ask(client: httpx.Client, is_so: Callable[[str], bool]) -> str:
        end = time.monotonic() + 60
        while not is_so(metrics := client.get("/metrics").text):
            assert time.monotonic() < end, metrics
        return metrics

    def attempt() -> Figures:
        with httpx.Client(base_url=service.url, timeout=30) as client:
            done = answered(client.get("/metrics").text)
            lines = [service.connect() for _ in range(CLIENTS)]
            for line in lines:
                line.sendall(request)
            before = ask(client, lambda told_now: waiting(told_now) + answered(told_now) - done == CLIENTS)
            for line in lines:
                line.close()
            assert told(ask(client, lambda told_now: not waiting(told_now)), "sentopic_queue_windows") == 0
            time.sleep(0.5)  # the engine still had a batch
            after = client.get("/metrics").text
            run = told(after, "sentopic_engine_windows_sum") - told(before, "sentopic_engine_windows_sum")
            time.sleep(1)
            later = client.get("/metrics").text
            assert told(later, "sentopic_engine_windows_sum") == told(after, "sentopic_engine_windows_sum")
        left, queued = waiting(before), told(before, "sentopic_queue_windows")
        print(f"\n{left:.0f} left, with {queued:.0f} windows; {run:.0f} were run")
        assert left > CLIENTS / 2
        return {"run, of those that waited": (run / queued, 0.02)}

    hold(attempt)
