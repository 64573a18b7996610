"""A real load generator, wrk (https://github.com/wg/wrk; `apt-get install wrk`), and what it finds."""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ask

_SCRIPT = """
local bodies = {}
for name in io.popen('ls "%(folder)s"'):lines() do
  local file = io.open("%(folder)s/" .. name, "rb"); bodies[#bodies + 1] = file:read("*a"); file:close()
end
local next = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  next = next %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[next])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "us": %%d, "p50": %%.1f, "p99": %%.1f, "errors": %%d}',
    summary.requests - e.status, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


SETTLED_S = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """Of one run: `requests_per_s` have had a good answer; `core` is the share of one that the load generator took."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    core: float
    seconds: float


def put_load(url: str, bodies: Sequence[bytes], connections: int, seconds: float, warm_up_s: float = 1.0) -> Load:
    """As many requests as `connections` get answered, one after the other on each, after a warm-up.

    Before and after, the service is let finish what its clients no longer wait for.
    """
    if not shutil.which("wrk"):
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "bodies"
        folder.mkdir()
        for number, body in enumerate(bodies):
            (folder / f"{number:04}.json").write_bytes(body)
        script = Path(work) / "post.lua"
        script.write_text(_SCRIPT % {"folder": folder})
        for duration in filter(None, (warm_up_s, seconds)):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = ["wrk", "-t1", f"-c{connections}", f"-d{duration:g}s", "--timeout", "20s", "-s", str(script), url]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            settle(url, bodies[0])
    found = json.loads(out[out.rindex("{") :])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    elapsed = found["us"] / 1e6
    return Load(
        found["requests"] / elapsed, found["p50"] / 1e3, found["p99"] / 1e3, found["errors"], used / elapsed, elapsed
    )


def settle(url: str, body: bytes) -> None:
    """Asks until an answer comes as soon as from a service that has nothing else to do."""
    while True:
        started = time.perf_counter()
        ask(url, body)
        if time.perf_counter() - started < SETTLED_S:
            return
