"""A Ray cluster of two machines, as processes here. A machine is killed as if its power were gone."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.settings import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
MODEL = ("--task", "topic", "--bundle", str(SHIPPED / "topic" / "gru"))


class Node:
    """A machine: all processes of one session, with ports of their own."""

    def __init__(self, environment: dict[str, str], base: int, *options: str) -> None:
        ports = [f"--node-manager-port={base + 1}", f"--object-manager-port={base + 2}"]
        ports += [f"--min-worker-port={base + 10}", f"--max-worker-port={base + 90}"]
        limits = ["--num-cpus=1", "--object-store-memory=200000000", "--node-ip-address=127.0.0.1"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options, *ports, *limits]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        """At once, as if its power were gone."""
        for path in self._processes():
            with suppress(ProcessLookupError):
                os.kill(int(path.name), signal.SIGKILL)
        self._process.wait()

    def is_at(self, function: str) -> bool:
        """Whether it has a task of this function in work: Ray calls the process so."""
        for path in self._processes():
            with suppress(OSError):
                if (path / "cmdline").read_bytes().startswith(f"ray::{function}".encode()):
                    return True
        return False

    def _processes(self) -> Iterator[Path]:
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(path.read_text().rpartition(")")[2].split()[3]) == self._process.pid:
                    yield path.parent


class Machines:
    """`environment`: of whoever asks the cluster at `address`."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._base = free_ports(500)
        self.address = f"127.0.0.1:{self._base}"
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "PYTHONPATH": str(ROOT)}
        soon = {"period_ms": "1000", "timeout_ms": "2000", "failure_threshold": "3"}
        soon = {f"RAY_health_check_{name}": value for name, value in soon.items()}
        self.environment = {**os.environ, **token, **soon, "RAY_USAGE_STATS_ENABLED": "0", **(environment or {})}
        head = ("--head", f"--port={self._base}", f"--temp-dir={folder}", "--include-dashboard=false")
        self.head = Node(self.environment, self._base, *head)
        wait_for(lambda: is_open(self._base))
        self.other = self.start()

    def start(self) -> Node:
        self._base += 100
        node = Node(self.environment, self._base, f"--address={self.address}")
        wait_for(lambda: is_open(self._base + 1))
        return node

    def command(self, *options: str | Path) -> list[str]:
        start = [sys.executable, "-m", "app.cli", "classify", *MODEL, "--quiet", "--cluster", self.address]
        return [*start, *map(str, options)]

    def classify(self, *options: str | Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.command(*options), env=self.environment)


def free_ports(count: int, first: int = 24_000) -> int:
    """The first of so many, which nobody uses."""
    for base in range(first, 32_000, count):
        if not any(is_open(port) for port in range(base, base + count)):
            return base
    raise AssertionError


def is_open(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Any, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
