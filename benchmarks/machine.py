"""The machine that figures were taken on."""

import os
import platform
import re
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np


def describe() -> dict[str, str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return {
        "processor": cpu.group(1) if cpu else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory.group(1)) / 2**20:.0f} GiB" if memory else "?",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("onnxruntime", "fastapi", "uvicorn", "uvloop")},
    }


def multiply_adds_per_s(size: int = 1_024, rounds: int = 15) -> float:
    """What one core reaches in a float32 matrix product; NumPy must have been started with one thread."""
    a = np.random.default_rng(1).standard_normal((size, size), np.float32)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - started)
    return size**3 / statistics.median(seconds)
