"""What a core answers, alone and with others, and what stands before it: the figures that docs/scale.md reckons with.

    python -m benchmarks.scale [--rounds 3] [--seconds 5] [--only core fronts workers bulk nodes] [--ray PYTHON]

Needs two cores, wrk, nginx and redis-server. The service has one core and the load generator the other, but where two
cores are measured: there the generator's share is said. `--ray`: an interpreter with requirements/ray.txt, for the part
`nodes`. Writes benchmarks/results/scale.json, each figure of each round, and how long it was measured;
`python -m benchmarks.plan` makes the page.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))  # before NumPy starts

import argparse
import json
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.bundle import Bundle, read_bundle
from app.engines.onnx import OnnxEngine
from app.settings import SHIPPED, Settings
from app.synthetic import make_texts
from benchmarks import machine
from benchmarks.arrivals import draw, put_arrivals
from benchmarks.limit import take
from benchmarks.load import Load, put_load
from benchmarks.processes import Running, cpu_s, serve
from tests.deploy.nginx import free_ports, running

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
BUNDLE = SHIPPED / "sentiment" / "gru"
PATH: Final = "/predict/sentiment"
WORDS, BATCH, CONNECTIONS = 80, 256, 48  # nginx lets an address have 60
LOADS: Final = (0.1, 0.3, 0.5, 0.7, 0.85)
"""Of what the core answers at most."""

FEW, ROWS = 4_000, 40_000
CORES = os.sched_getaffinity(0)
SERVICE, GENERATOR = {max(CORES)}, {min(CORES)}
PARTS: Final = ("sizes", "core", "fronts", "workers", "bulk", "nodes")


class Asked:
    """What all parts ask: texts of 80 words, one by one or in batches."""

    def __init__(self) -> None:
        self.bundle: Bundle = read_bundle(BUNDLE)
        self.texts = make_texts(self.bundle.words, 64, WORDS)
        self.singles = [json.dumps({"text": text}).encode() for text in self.texts]
        self.batch = [json.dumps({"texts": make_texts(self.bundle.words, BATCH, WORDS)}).encode()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--ray", metavar="PYTHON", help="an interpreter that has Ray")
    options = parser.parse_args()
    if len(CORES) < 2:
        sys.exit("this benchmark needs two cores: one for the load generator")
    asked = Asked()
    measures: dict[str, Callable[[int], dict[str, Any]]] = {
        "sizes": lambda _: measure_sizes(asked),
        "core": lambda turn: measure_core(asked, options.seconds, turn),
        "fronts": lambda _: measure_fronts(asked, options.seconds),
        "workers": lambda _: measure_workers(asked, options.seconds),
        "bulk": lambda _: measure_bulk(asked.bundle),
        "nodes": lambda _: measure_nodes(asked.bundle, options.ray),
    }
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found["machine"] = machine.describe()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only if name != "nodes" or options.ray}
    for turn in range(options.rounds):
        for name, taken in rows.items():
            taken.append(measures[name](turn))
            print(f"round {turn + 1}, {name}: {json.dumps(taken[-1])}", flush=True)
    run = {"rounds": options.rounds, "seconds": options.seconds, "rows": ROWS}
    for name, taken in rows.items():
        found[name] = {**run, **{key: middle([row[key] for row in taken]) for key in taken[0]}}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def middle(values: list[Any]) -> Any:
    """The median, of each figure for itself; from least to most beside it, and each round's in the rounds' order."""
    if isinstance(values[0], list):
        return [middle(list(each)) for each in zip(*values, strict=True)]
    if isinstance(values[0], dict):
        return {key: middle([value[key] for value in values]) for key in values[0]}
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "each": values}


def measure_sizes(asked: Asked) -> dict[str, float]:
    """Bytes of a request and of its answer as wrk sends and gets them, headers too, without the network's own; and of a
    text, and of its row in Parquet."""
    sent, got = [], []
    with service(SERVICE) as (_, port), socket.create_connection(("127.0.0.1", port)) as line:
        for body in asked.singles:
            head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            line.sendall(request)
            answer = line.recv(65_536)
            while not answer.endswith(b"}"):
                answer += line.recv(65_536)
            sent.append(len(request))
            got.append(len(answer))
    return {"request_bytes": statistics.mean(sent), "answer_bytes": statistics.mean(got), **measure_rows(asked.bundle)}


def measure_rows(bundle: Bundle) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as work:
        row_bytes = write_rows(bundle, Path(work) / "rows.parquet", FEW).stat().st_size / FEW
    texts = make_texts(bundle.words, FEW, WORDS)
    return {"text_bytes": statistics.mean(len(text.encode()) for text in texts), "row_bytes": row_bytes}


def measure_core(asked: Asked, seconds: float, turn: int) -> dict[str, Any]:
    """One core for one worker: the most that it answers, and how long those wait who come by chance."""
    with pinned(SERVICE):
        batches = measure_engine(asked)
    with service(SERVICE) as (own, port), pinned(GENERATOR):
        url = f"http://127.0.0.1:{port}{PATH}"
        most, texts_a_run = load_watched(url, port, asked, seconds)
        row: dict[str, Any] = {
            "singles_per_s": most.requests_per_s,
            "texts_a_run": texts_a_run,
            "batch_texts_per_s": put_load(f"{url}/batch", asked.batch, 2, seconds).requests_per_s * BATCH,
            "engine_s": [[float(size), time_s] for size, time_s in batches],
            "max_batch": Settings().max_batch_windows,
            "arrivals": [],
        }
        for load in LOADS:
            rate = load * most.requests_per_s
            moments = draw(rate, seconds, seed=turn)
            before, used = count_runs(port), own.cpu_s()
            arrived = put_arrivals(port, PATH, asked.singles, moments)
            runs = count_runs(port)
            row["arrivals"].append(
                {
                    "load": load,
                    "rate_per_s": rate,
                    "answered": arrived.statuses[200] / len(moments),
                    **{f"p{percent}_ms": arrived.wait_ms(percent) for percent in (10, 50, 90, 99)},
                    "texts_a_run": (runs[0] - before[0]) / (runs[1] - before[1]),
                    "busy": (own.cpu_s() - used) / seconds,
                    "generator_late_ms": arrived.late_s * 1e3,
                }
            )
    return row


def measure_engine(asked: Asked) -> list[tuple[int, float]]:
    """Seconds of the engine's runs, by the texts in them, up to as many as the service gives it at once."""
    spec, settings = asked.bundle.manifest.text, Settings()
    engine = OnnxEngine(asked.bundle.model, spec.maxlen, len(asked.bundle.manifest.labels), settings.engine_options)
    windows = np.concatenate([asked.bundle.encoder().encode(text).windows for text in asked.texts])
    sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= settings.max_batch_windows]
    return [(size, take(lambda size=size: engine.predict(windows[:size]), 25)) for size in sizes]


def load_watched(url: str, port: int, asked: Asked, seconds: float) -> tuple[Load, float]:
    """The most that it answers one by one, and how many texts the engine had in a run meanwhile."""
    before = count_runs(port)
    load = put_load(url, asked.singles, CONNECTIONS, seconds)
    windows, runs = (now - then for now, then in zip(count_runs(port), before, strict=True))
    return load, windows / runs


def count_runs(port: int) -> tuple[float, float]:
    """Texts that the engine has answered, and its runs."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        told = response.read().decode()
    counts = [re.findall(rf"^sentopic_engine_windows_{kind}{{[^}}]*}} (\S+)$", told, re.M) for kind in ("sum", "count")]
    windows, runs = (sum(map(float, found)) for found in counts)
    return windows, runs


def measure_fronts(asked: Asked, seconds: float) -> dict[str, float]:
    """Milliseconds of a core for each request: the service's, nginx's, Redis's where rates are counted in it."""
    row: dict[str, float] = {}
    with service(SERVICE) as (own, port), pinned(GENERATOR):
        row["service_ms"] = take_cpu(own.pid, f"http://127.0.0.1:{port}{PATH}", asked, seconds)
        with tempfile.TemporaryDirectory() as work, running(Path(work), [port]) as front:
            nginx = next(Path(work).glob("nginx.pid")).read_text().strip()
            row["nginx_ms"] = take_cpu(int(nginx), f"http://127.0.0.1:{front}{PATH}", asked, seconds)
    with redis(GENERATOR) as (process, address):
        limits = {"SENTOPIC_RATE": "100000000/second", "SENTOPIC_RATE_STORAGE": address}
        with service(SERVICE, **limits) as (own, port), pinned(GENERATOR):
            url = f"http://127.0.0.1:{port}{PATH}"
            row["service_with_redis_ms"] = take_cpu(own.pid, url, asked, seconds)
            row["redis_ms"] = take_cpu(process.pid, url, asked, seconds)
    return row


def take_cpu(pid: int, url: str, asked: Asked, seconds: float) -> float:
    """Milliseconds of a core that a process takes for each of the requests while as many come as are answered."""
    used = cpu_s(pid)
    load = put_load(url, asked.singles, CONNECTIONS, seconds, warm_up_s=0)
    return (cpu_s(pid) - used) / (load.requests_per_s * load.seconds) * 1e3


def measure_workers(asked: Asked, seconds: float) -> dict[str, float]:
    """One worker on one core, two on two, and two services behind nginx: texts a second in batches, and from two one by
    one. Where the load generator has no core of its own, what it took of them."""
    row: dict[str, float] = {}
    with service(SERVICE) as (_, port), pinned(GENERATOR):
        row["one_texts_per_s"] = ask_batches(port, asked, seconds)[0]
    with service(CORES, workers=2) as (_, port):
        row["two_texts_per_s"], row["two_generator_cores"] = ask_batches(port, asked, seconds)
        singles = put_load(f"http://127.0.0.1:{port}{PATH}", asked.singles, CONNECTIONS, seconds)
        row["two_singles_per_s"], row["two_singles_generator_cores"] = singles.requests_per_s, singles.core
    with (
        service(SERVICE) as (_, one),
        service(GENERATOR) as (_, other),
        tempfile.TemporaryDirectory() as work,
        running(Path(work), [one, other]) as front,
    ):
        row["nginx_two_texts_per_s"] = ask_batches(front, asked, seconds)[0]
    return row


def ask_batches(port: int, asked: Asked, seconds: float) -> tuple[float, float]:
    load = put_load(f"http://127.0.0.1:{port}{PATH}/batch", asked.batch, 8, seconds)
    return load.requests_per_s * BATCH, load.core


def measure_bulk(bundle: Bundle) -> dict[str, float]:
    """Rows a second of `sentopic classify`, with one core and with two."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "app.cli", "classify", "--output", str(Path(work) / "out.parquet")]
        row = {}
        for name, cores in (("one_core", SERVICE), ("two_cores", CORES)):
            with pinned(cores):
                row[f"{name}_rows_per_s"] = classify(bundle, command, Path(work))
    return row


def measure_nodes(bundle: Bundle, python: str) -> dict[str, float]:
    """Rows a second of `sentopic classify --cluster` on two Ray nodes of a core each, with one engine and with two."""
    with ray_nodes(python) as (address, environment), tempfile.TemporaryDirectory() as work:
        command = [python, "-m", "app.cli", "classify", "--output", str(Path(work) / "out"), "--cluster", address]
        several = {"one_engine": [*command, "--engines", "1"], "two_engines": [*command, "--engines", "2"]}
        return {f"{name}_rows_per_s": classify(bundle, each, Path(work), environment) for name, each in several.items()}


def classify(bundle: Bundle, command: list[str], work: Path, environment: Mapping[str, str] | None = None) -> float:
    """Rows a second of a command, what it needs for a few rows left out: to start, and a cluster's engines to start."""
    seconds = []
    for rows in (FEW, FEW + ROWS):
        source = write_rows(bundle, work / f"{rows}.parquet", rows)
        asked = [str(source), "--task", "sentiment", "--bundle", str(BUNDLE), "--quiet", "--force"]
        started = time.perf_counter()
        subprocess.run([*command, *asked], check=True, cwd=ROOT, env={**os.environ, **(environment or {})})
        seconds.append(time.perf_counter() - started)
    return ROWS / (seconds[1] - seconds[0])


def write_rows(bundle: Bundle, path: Path, rows: int) -> Path:
    if not path.exists():
        texts = make_texts(bundle.words, rows, WORDS)
        pq.write_table(pa.table({"id": range(rows), "text": texts}), path, row_group_size=2_000)
    return path


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """This process, and what it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def service(cores: set[int], *, workers: int = 1, **settings: str) -> Iterator[tuple[Running, int]]:
    """A service on these cores, and its port."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--bundle", str(BUNDLE)]
    command += ["--workers", str(workers)]
    with ExitStack() as stack:
        with pinned(cores):
            url, body = f"http://127.0.0.1:{port}{PATH}", b'{"text": "a good film"}'
            own = stack.enter_context(serve(command, settings, url, body, Path(os.devnull)))
        yield own, port


@contextmanager
def redis(cores: set[int]) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    (port,) = free_ports(1)
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    with pinned(cores):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process, f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def ray_nodes(python: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Two nodes with a core each; the address of the cluster, and the environment to reach it with."""
    folder = Path("/tmp") / f"sentopic-{secrets.token_hex(4)}"  # sockets' paths must be short
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    environment["PYTHONPATH"] = str(ROOT)
    (port,) = free_ports(1)
    nodes = []
    heads = (
        ["--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"],
        [f"--address=127.0.0.1:{port}"],
    )
    try:
        for cores, options in zip((SERVICE, GENERATOR), heads, strict=True):
            command = [python, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", *options]
            command += ["--object-store-memory=300000000", "--node-ip-address=127.0.0.1"]
            with pinned(cores):
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                nodes.append(
                    subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True, **quiet)
                )
            time.sleep(8)
        yield f"127.0.0.1:{port}", environment
    finally:
        for node in reversed(nodes):
            os.killpg(node.pid, signal.SIGTERM)
            node.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
