"""How time grows with the length of a text, a batch, connections and loaded models. `python -m benchmarks.growth`.

Each must grow linearly or better: the exponents are those of the best power law through the upper half of each series;
that of requests/s by connections must not be less than 0.
Writes benchmarks/results/growth.json.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from app.bundle import MANIFEST, Bundle, read_bundle
from app.settings import SHIPPED
from app.synthetic import make_texts
from benchmarks import machine
from benchmarks.load import put_load
from benchmarks.processes import Running, ask, serve

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
PORT = 8769
WORDS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
BATCHES = (1, 4, 16, 64, 256, 1_000)
CONNECTIONS = (1, 4, 16, 64, 256)
MODELS = (1, 2, 4, 8, 16)
URL = f"http://127.0.0.1:{PORT}/predict/sentiment"
ROOMY = {"SENTOPIC_MAX_BODY_BYTES": "10000000", "SENTOPIC_MAX_TEXT_CHARS": "2000000", "SENTOPIC_DEADLINE_S": "60"}

Series = list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each load")
    options = parser.parse_args()
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    rounds: list[dict[str, Series]] = []
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds}", flush=True)
        rounds.append(measure(bundle, options.seconds))
    series = {name: median_series([one[name] for one in rounds]) for name in rounds[0]}
    exponents = {name: exponent(found) for name, found in series.items()}
    RESULTS.parent.mkdir(exist_ok=True)
    found = {"machine": machine.describe(), "rounds": options.rounds, "series": series, "exponents": exponents}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for name, points in series.items():
        print(f"{name}: exponent {exponents[name]:.2f}; " + ", ".join(f"{x:g}: {y:.4g}" for x, y in points))


def median_series(rounds: list[Series]) -> Series:
    return [(points[0][0], statistics.median(y for _, y in points)) for points in zip(*rounds, strict=True)]


def measure(bundle: Bundle, seconds: float) -> dict[str, Series]:
    found: dict[str, Series] = {"text_ms": [], "batch_ms": [], "connections_ms": [], "connections_per_s": []}
    found |= {"models_start_s": [], "models_mb": [], "models_ms": []}
    texts = make_texts(bundle.words, BATCHES[-1], 80)
    with service(SHIPPED) as _:
        for words in WORDS:
            body = json.dumps({"text": make_texts(bundle.words, 1, words)[0]}).encode()
            found["text_ms"].append((words, answer_ms(URL, body)))
        for count in BATCHES:
            body = json.dumps({"texts": texts[:count]}).encode()
            found["batch_ms"].append((count, answer_ms(f"{URL}/batch", body)))
        for connections in CONNECTIONS:
            load = put_load(URL, [json.dumps({"text": text}).encode() for text in texts[:64]], connections, seconds)
            found["connections_ms"].append((connections, load.p50_ms))
            found["connections_per_s"].append((connections, load.requests_per_s))
    body = json.dumps({"text": texts[0]}).encode()
    for count in MODELS:
        with copies(bundle, count) as folder, service(folder) as running:
            found["models_start_s"].append((count, running.start_s))
            found["models_mb"].append((count, running.megabytes()))
            found["models_ms"].append((count, answer_ms(URL, body)))
    return found


@contextmanager
def service(artifacts: Path) -> Iterator[Running]:
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(PORT), "--artifacts", artifacts]
    with serve(command, ROOMY, URL, b'{"text": "a good film"}', Path(os.devnull)) as running:
        yield running


@contextmanager
def copies(bundle: Bundle, count: int) -> Iterator[Path]:
    """One bundle under several names, each sealed as its own."""
    with tempfile.TemporaryDirectory() as work:
        for number in range(count):
            folder = Path(work) / "sentiment" / f"copy{number}"
            folder.mkdir(parents=True)
            for name in bundle.manifest.files:
                (folder / name).write_bytes((bundle.directory / name).read_bytes())
            named = bundle.manifest.model_copy(update={"model": f"copy{number}"})
            sealed = named.model_copy(update={"sha256": named.digest()})
            (folder / MANIFEST).write_text(sealed.model_dump_json(), encoding="utf-8")
        yield Path(work)


def answer_ms(url: str, body: bytes, least_s: float = 0.3) -> float:
    """The median of as many answers as come in a third of a second, three at least, after a first one."""
    ask(url, body)
    found, end = [], time.perf_counter() + least_s
    while len(found) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        ask(url, body)
        found.append(time.perf_counter() - started)
    return statistics.median(found) * 1e3


def exponent(points: Series) -> float:
    """b of y = a x^b through the upper half."""
    upper = points[len(points) // 2 :]
    slope, _ = np.polyfit(np.log([x for x, _ in upper]), np.log([y for _, y in upper]), 1)
    return float(slope)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
