"""From the command to ready, and the memory that the service then holds, with every shipped model loaded.

`python -m benchmarks.start [--rounds N]`. Writes benchmarks/results/start.json.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "start.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds, megabytes = zip(*(measure() for _ in range(rounds)), strict=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"rounds": rounds, "start_s": seconds, "memory_mb": megabytes}, indent=1) + "\n")
    told = f"start to ready {statistics.median(seconds):.2f} s, resident {statistics.median(megabytes):.0f} MB"
    print(f"{told} (medians of {rounds})")


def measure() -> tuple[float, float]:
    """(seconds to the first answer of /health/ready, resident MB after one answer of each task)."""
    with tempfile.TemporaryDirectory() as jobs:
        return _measure(os.environ | {"SENTOPIC_JOBS": jobs})  # as on a machine that it is new to


def _measure(environment: Mapping[str, str]) -> tuple[float, float]:
    started = time.perf_counter()
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\d.:]+", process.stdout.readline())
            assert found, "the service did not start"
            ask(f"{found.group()}/health/ready")
            seconds = time.perf_counter() - started
            for task in ("sentiment", "topic"):
                for model in ("lstm", "gru"):
                    ask(f"{found.group()}/predict/{task}", f'{{"text": "oil and a good film", "model": "{model}"}}')
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.terminate()
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident
    return seconds, int(resident.group(1)) / 1024


def ask(url: str, body: str | None = None) -> None:
    """Raises for any answer but a good one."""
    data = body.encode() if body else None
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    main()
