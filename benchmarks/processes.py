"""A service under measurement: started, asked until it answers, weighed, stopped with all that it has started."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Running:
    """`start_s`: from the command to the first good answer."""

    pid: int
    start_s: float

    def megabytes(self) -> float:
        """Of the process and all that it has started; pages that they share count once (proportional set size)."""
        return sum(map(_proportional_kb, _family(self.pid))) / 1024

    def cpu_s(self) -> float:
        """Of cores, that the process and all that it has started have used until now."""
        return cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """Seconds of cores that a process and all that it has started have used until now, but those that have ended."""
    return sum(map(_ticks, _family(pid))) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def _family(ancestor: int) -> set[int]:
    parents = dict(_parents())
    return {pid for pid in parents if ancestor in _line(pid, parents)}


def _parents() -> Iterator[tuple[int, int]]:
    """(process, its parent), of all processes."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            yield int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])


def _line(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    """The process, its parent, and so on."""
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def _proportional_kb(pid: int) -> int:
    with suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return 0


@contextmanager
def serve(
    command: Sequence[str | Path], environment: Mapping[str, str], url: str, body: bytes, log: Path
) -> Iterator[Running]:
    """Runs `command` in a process group of its own until the block is left, as on a machine that it is new to."""
    jobs = tempfile.TemporaryDirectory()
    environment = {**os.environ, "SENTOPIC_JOBS": jobs.name, **environment}
    started = time.perf_counter()
    with open(log, "ab") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
    try:
        while True:
            try:
                ask(url, body)
                break
            except (OSError, urllib.error.URLError):
                if process.poll() is not None or time.perf_counter() - started > START_TIMEOUT_S:
                    raise RuntimeError(f"{command[0]} did not answer; see {log}") from None
                time.sleep(0.01)
        yield Running(process.pid, time.perf_counter() - started)
    finally:
        _stop(process)
        jobs.cleanup()


def ask(url: str, body: bytes) -> Any:
    """The answer's JSON; raises for any status but 200."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks it to stop; what is left of its family after that is killed."""
    family = _family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
