"""Several workers admit together no more than the limit."""

import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path), "--logfile", "log"]
    with subprocess.Popen(command) as process:
        try:
            end = time.monotonic() + 10
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_workers_that_count_in_redis_admit_exactly_the_limit(start: Any, redis: str) -> None:
    service = start("--workers", "2", rate="20/hour", rate_storage=redis)
    statuses: Counter[int] = Counter()
    for _ in range(60):  # each over a connection of its own, so that both workers have some
        statuses[httpx.get(f"{service.url}/tasks").status_code] += 1
    assert statuses == {200: 20, 429: 40}
