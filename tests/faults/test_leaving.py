"""A thousand clients that leave while they wait: their work is not done, and their places come back."""

import json
import re
import time
from typing import Any

import httpx

from app.bundle import read_bundle
from app.settings import SHIPPED
from app.synthetic import make_texts
from tests.faults.load import post

CLIENTS, WORDS = 1_000, 1_500


def told(metrics: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE))


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
