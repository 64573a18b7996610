"""A Ray cluster of two machines, as processes here, one of which is killed in the middle: each row is there once."""

import csv
import importlib.util
import io
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.settings import SHIPPED
from tests.cluster.scenes import write
from tests.faults.test_jobs import BUNDLE, check, hand_in, table, until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'sentopic[ray]'"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has"),
]
ROOT = Path(__file__).resolve().parents[2]
MODEL = ("--task", "topic", "--bundle", str(SHIPPED / "topic" / "gru"))
ROWS = 6_000
"""Of each of two files."""


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
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ProcessLookupError):
                if int(path.read_text().rpartition(")")[2].split()[3]) == self._process.pid:
                    os.kill(int(path.parent.name), signal.SIGKILL)
        self._process.wait()


class Machines:
    """`environment`: of whoever asks the cluster at `address`."""

    def __init__(self, folder: Path) -> None:
        self._base = free_ports(500)
        self.address = f"127.0.0.1:{self._base}"
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "PYTHONPATH": str(ROOT)}
        soon = {"period_ms": "1000", "timeout_ms": "2000", "failure_threshold": "3"}
        soon = {f"RAY_health_check_{name}": value for name, value in soon.items()}
        self.environment = {**os.environ, **token, **soon, "RAY_USAGE_STATS_ENABLED": "0"}
        head = ("--head", f"--port={self._base}", f"--temp-dir={folder}", "--include-dashboard=false")
        self.head = Node(self.environment, self._base, *head)
        wait_for(lambda: is_open(self._base))
        self.other = self.start()

    def start(self) -> Node:
        self._base += 100
        node = Node(self.environment, self._base, f"--address={self.address}")
        wait_for(lambda: is_open(self._base + 1))
        return node

    def classify(self, *options: str | Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "app.cli", "classify", *MODEL, "--quiet", *map(str, options)]
        return subprocess.Popen(command, env=self.environment)


def free_ports(count: int) -> int:
    """The first of so many, which nobody uses."""
    for base in range(24_000, 32_000, count):
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


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    folder = Path("/tmp") / f"sentopic-{secrets.token_hex(4)}"  # sockets' paths must be short
    found = Machines(folder)
    yield found
    for node in (found.other, found.head):
        node.kill()
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A directory of them, and what `sentopic classify` makes of them without a cluster."""
    folder, tables = tmp_path_factory.mktemp("files"), []
    for place in range(2):
        path = write(folder / "in" / f"{place}.parquet", ROWS, first=place * ROWS, group=700)
        target = folder / path.name
        command = [sys.executable, "-m", "app.cli", "classify", *MODEL, str(path), "--output", str(target), "--quiet"]
        subprocess.run(command, check=True, cwd=ROOT)
        tables.append(pq.read_table(target))
    return folder / "in", pa.concat_tables(tables)


def results(directory: Path) -> list[Path]:
    return sorted(directory.glob("part-*"))


def read(directory: Path) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, results(directory)))


def test_machine_that_is_killed_loses_no_row_and_doubles_none(
    machines: Machines, files: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    source, wanted = files
    options = (source, "--output", tmp_path / "out", "--cluster", machines.address, "--part-rows", "200")
    running = machines.classify(*options)
    wait_for(lambda: len(results(tmp_path / "out")) > 5)
    machines.other.kill()
    assert len(results(tmp_path / "out")) < 55
    assert running.wait(300) == 0
    assert read(tmp_path / "out").equals(wanted)
    assert len(list((tmp_path / "out").iterdir())) == 61
    machines.other = machines.start()


def test_command_that_is_killed_goes_on_and_does_no_part_twice(
    machines: Machines, files: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    source, wanted = files
    options = (source, "--output", tmp_path / "out", "--cluster", machines.address, "--part-rows", "200")
    running = machines.classify(*options)
    wait_for(lambda: len(results(tmp_path / "out")) > 5)
    running.kill()
    running.wait()
    time.sleep(3)  # what was being done is ended with it
    before = {path.name: path.stat().st_ino for path in results(tmp_path / "out")}
    assert 5 < len(before) < 55
    time.sleep(2)
    assert {path.name for path in results(tmp_path / "out")} == set(before)
    again = machines.classify(*options, "--resume")
    assert again.wait(300) == 0
    assert {path.name: path.stat().st_ino for path in results(tmp_path / "out")}.items() >= before.items()
    assert read(tmp_path / "out").equals(wanted)


def test_job_whose_cluster_loses_a_machine_has_each_row_once(
    machines: Machines, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, results = 30_000, []
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, machines.environment[name])
    for place, address in enumerate(("", machines.address)):
        service = start(*BUNDLE, jobs=tmp_path / str(place), jobs_cluster=address)
        job_id = hand_in(service.url, table(rows))
        if address:
            done = until(service.url, job_id, lambda job: job["done"] > 2_000)["done"]
            machines.other.kill()
            assert done < rows
        check(service.url, job_id, rows)
        results.append(httpx.get(f"{service.url}/jobs/{job_id}/result", timeout=60).text)
    assert list(csv.reader(io.StringIO(results[0]))) == list(csv.reader(io.StringIO(results[1])))
    machines.other = machines.start()


def test_job_waits_for_a_cluster_that_is_away(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Machines(Path("/tmp") / f"sentopic-{secrets.token_hex(4)}")
    try:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            monkeypatch.setenv(name, own.environment[name])
        service = start(*BUNDLE, jobs=tmp_path, jobs_cluster=own.address)
        job_id = hand_in(service.url, table(60_000))
        until(service.url, job_id, lambda job: job["done"] > 2_000)
        for node in (own.head, own.other):
            node.kill()
        until(service.url, job_id, lambda job: job["status"] == "waiting")
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0
        check(start(*BUNDLE, jobs=tmp_path).url, job_id, 60_000)
    finally:
        for node in (own.head, own.other):
            node.kill()
