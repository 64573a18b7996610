"""How near the service is to what this machine can do. `python -m benchmarks.limit [--rounds N]`.

The service beside two empty routes of itself, beside the bare encoder and engine, and the engine beside the core's own
peak in a matrix product. Everything in turn, several times; medians and ratios. Writes benchmarks/results/limit.json.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))  # before NumPy starts

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.bundle import Bundle, read_bundle
from app.engines.onnx import OnnxEngine
from app.model_file import ModelFile
from app.settings import SHIPPED, Settings
from app.synthetic import make_texts
from benchmarks import machine
from benchmarks.load import put_load
from benchmarks.processes import serve

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "limit.json"
PORT = 8768
ROUTES = {"fastapi": "/empty/fastapi", "empty": "/empty", "predict": "/predict/sentiment"}
WORDS, BATCH = 80, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each load")
    options = parser.parse_args()
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    rows = []
    for turn in range(options.rounds):
        row = (
            measure_service(bundle, options.seconds) | measure_bare(bundle) | measure_one_core(bundle, options.seconds)
        )
        rows.append(row | ratios(row))
        print(
            f"round {turn + 1}: {json.dumps({name: round(value, 3) for name, value in rows[-1].items()})}", flush=True
        )
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    ranges = {name: [min(row[name] for row in rows), max(row[name] for row in rows)] for name in rows[0]}
    RESULTS.parent.mkdir(exist_ok=True)
    found = {
        "machine": machine.describe(),
        "rounds": options.rounds,
        "medians": medians,
        "ranges": ranges,
        "rows": rows,
    }
    found["slowest"] = find_slowest(found)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for name, value in medians.items():
        print(f"{name:44}{value:12.3f}   {ranges[name][0]:.3f} to {ranges[name][1]:.3f}")


def find_slowest(found: dict[str, Any]) -> dict[str, float]:
    """What one core has done in batches at the worst of times: in this run, or in those before it on this machine."""
    name, before = "one_core_batch_texts_per_s", json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known = before.get("slowest", before.get("medians", {})) if before.get("machine") == found["machine"] else {}
    return {name: min(found["medians"][name], known.get(name, math.inf))}


def measure_service(bundle: Bundle, seconds: float) -> dict[str, float]:
    """Three routes of one process, with one connection and with 64; batches with two."""
    texts = make_texts(bundle.words, BATCH, WORDS)
    singles = [json.dumps({"text": text}).encode() for text in texts[:64]]
    batch = json.dumps({"texts": texts}).encode()
    command = [sys.executable, "-m", "benchmarks.empty", "--port", str(PORT)]
    url = f"http://127.0.0.1:{PORT}"
    environment = {"PYTHONPATH": str(ROOT)}
    with serve(command, environment, f"{url}/predict/sentiment", singles[0], Path(os.devnull)):
        row = {}
        for connections in (1, 64):
            for name, route in ROUTES.items():
                load = put_load(url + route, singles, connections, seconds)
                row |= {
                    f"{name}_c{connections}_per_s": load.requests_per_s,
                    f"{name}_c{connections}_p50_ms": load.p50_ms,
                }
        row["wrk_core"] = load.core
        row["batch_texts_per_s"] = (
            put_load(f"{url}/predict/sentiment/batch", [batch], 2, seconds).requests_per_s * BATCH
        )
        return row


def measure_one_core(bundle: Bundle, seconds: float) -> dict[str, float]:
    """Batches to the service, and the bare loop, each with one core to itself; the load generator has the others."""
    batch = json.dumps({"texts": make_texts(bundle.words, BATCH, WORDS)}).encode()
    cores = os.sched_getaffinity(0)
    url, command = (
        f"http://127.0.0.1:{PORT}/predict/sentiment",
        [sys.executable, "-m", "app.cli", "serve", "--port", str(PORT)],
    )
    one = {min(cores)}
    try:
        os.sched_setaffinity(0, one)  # what is started inherits it
        bare = measure_bare(bundle)["bare_texts_per_s"]
        with serve(command, {}, url, b'{"text": "a good film"}', Path(os.devnull)):
            os.sched_setaffinity(0, cores - one or cores)
            served = put_load(f"{url}/batch", [batch], 2, seconds).requests_per_s * BATCH
    finally:
        os.sched_setaffinity(0, cores)
    return {
        "one_core_bare_texts_per_s": bare,
        "one_core_batch_texts_per_s": served,
        "batch_share_of_bare": served / bare,
    }


def measure_bare(bundle: Bundle) -> dict[str, float]:
    """No HTTP, no queue: one thread, the engine as the service has it."""
    spec, options = bundle.manifest.text, Settings().engine_options
    engine = OnnxEngine(bundle.model, spec.maxlen, len(bundle.manifest.labels), options)
    encoder, texts = bundle.encoder(), make_texts(bundle.words, BATCH, WORDS)
    windows = {
        words: [encoder.encode(t).windows for t in make_texts(bundle.words, 64, words)] for words in (10, 99, 100)
    }
    step = Settings().max_batch_windows

    def one_by_one() -> None:
        for text in texts:
            engine.predict(encoder.encode(text).windows)

    def in_batches() -> None:
        for start in range(0, len(texts), step):
            engine.predict(np.concatenate([encoder.encode(text).windows for text in texts[start : start + step]]))

    rows = {
        "bare_one_ms": take(one_by_one) / BATCH * 1e3,
        "bare_texts_per_s": BATCH / take(in_batches),
        "encode_us": take(lambda: [encoder.encode(text) for text in texts]) / BATCH * 1e6,
    }
    for words, asked in windows.items():
        rows[f"engine_{words}_words_ms"] = take(lambda asked=asked: [engine.predict(ids) for ids in asked]) / 64 * 1e3
    many = np.concatenate([encoder.encode(text).windows for text in make_texts(bundle.words, 128, spec.maxlen - 1)])
    rows["engine_batch_ms"] = take(lambda: engine.predict(many)) / len(many) * 1e3
    peak = machine.multiply_adds_per_s()
    rows["peak_gmacs"] = peak / 1e9
    rows["model_mmacs"] = multiply_adds(bundle.model, spec.maxlen) / 1e6
    rows["engine_share_of_peak"] = multiply_adds(bundle.model, spec.maxlen) / (rows["engine_batch_ms"] / 1e3) / peak
    return rows


def ratios(row: dict[str, float]) -> dict[str, float]:
    return {
        "requests_share_of_fastapi": row["predict_c64_per_s"] / row["fastapi_c64_per_s"],
        "requests_share_of_empty": row["predict_c64_per_s"] / row["empty_c64_per_s"],
        "latency_over_bare": (row["predict_c1_p50_ms"] - row["empty_c1_p50_ms"]) / row["bare_one_ms"],
        "short_over_long": row["engine_10_words_ms"] / row["engine_100_words_ms"],
        "short_over_window": row["engine_10_words_ms"] / row["engine_99_words_ms"],
    }


def take(work: Callable[[], Any], rounds: int = 5) -> float:
    """The median seconds of a few runs after a first one."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def multiply_adds(model: ModelFile, steps: int) -> int:
    """Of one window: each recurrent layer's kernels at every step, dense layers once."""
    kernels = {"SimpleRNN", "LSTM", "GRU"}
    recurrent = sum(
        array.size
        for layer in model.layers
        if layer.kind in kernels
        for array in layer.weights.values()
        if array.ndim == 2 and min(array.shape) > 2
    )
    dense = sum(layer.weights["vars/0"].size for layer in model.layers if layer.kind == "Dense")
    return steps * recurrent + dense


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
