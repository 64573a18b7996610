"""What it brings that heaps keep what a run takes. `python -m benchmarks.heaps`.

Stacked LSTMs with made-up weights, of several sizes, on batches of full windows: with heaps that fit the engine, as in
the service, beside heaps that fit the smallest, and glibc's own, which learn from the largest block ever given back.
"""

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import resource
import statistics
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from app import memory
from app.engines.base import EngineOptions
from app.engines.onnx import OnnxEngine
from app.model_file import Layer, ModelFile
from app.text import Ids

STEPS, WORDS, CHANNELS, LABELS = 100, 20_000, 128, 46
UNITS, BATCHES = (64, 128, 256), (8, 16, 32)
HEAPS = ("that fit", "that fit the smallest", "glibc's own")
ROUNDS, RUNS = 5, 8


def main() -> None:
    for units in UNITS:
        for batch in BATCHES:
            found: dict[str, list[tuple[float, float]]] = {heaps: [] for heaps in HEAPS}
            for _ in range(ROUNDS):
                for heaps in HEAPS:  # whose bounds are a process's
                    command = [sys.executable, "-m", "benchmarks.heaps", str(units), str(batch), heaps]
                    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                    ms, faults = map(float, told.split())
                    found[heaps].append((ms, faults))
            told = [
                f"{heaps} {statistics.median(ms for ms, _ in rounds):.3f} ms, "
                f"{statistics.median(faults for _, faults in rounds):,.0f} pages"
                for heaps, rounds in found.items()
            ]
            print(f"2 x {units} units, {batch:2} windows, each: " + "; ".join(told), flush=True)


def measure(units: int, batch: int, heaps: str) -> None:
    """Prints the milliseconds of a window, and how many pages the system has mapped and cleared for it."""
    engine = OnnxEngine(make_model(units), STEPS, LABELS, EngineOptions(batch=batch))
    if heaps != "glibc's own":
        memory.settle([engine.block_bytes] if heaps == "that fit" else [])
    ids = np.random.default_rng(1).integers(4, WORDS, (batch, STEPS), dtype=np.int32)
    thread = threading.Thread(target=run, args=(engine, ids))  # as in the service: each has a heap of its own
    thread.start()
    thread.join()


def run(engine: OnnxEngine, ids: Ids) -> None:
    engine.predict(ids)
    engine.predict(ids)
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    spent = []
    for _ in range(RUNS):
        started = time.perf_counter()
        engine.predict(ids)
        spent.append((time.perf_counter() - started) / len(ids) * 1e3)
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    print(statistics.median(spent), faults / RUNS / len(ids))


def make_model(units: int) -> ModelFile:
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.05, shape).astype(np.float32)

    def lstm(name: str, reads: str, channels: int, *, whole: bool) -> Layer:
        config = {"units": units, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}
        config |= {"return_sequences": whole, "go_backwards": False}
        shapes = ((channels, 4 * units), (units, 4 * units), (4 * units,))
        weights = {f"cell/vars/{place}": draw(*shape) for place, shape in enumerate(shapes)}
        return Layer("LSTM", name, config, (reads,), weights)

    dense = {"vars/0": draw(units, LABELS), "vars/1": draw(LABELS)}
    layers = (
        Layer("InputLayer", "ids", {"batch_shape": [None, STEPS]}, (), {}),
        Layer("Embedding", "embedding", {}, ("ids",), {"vars/0": draw(WORDS, CHANNELS)}),
        lstm("first", "embedding", CHANNELS, whole=True),
        lstm("second", "first", units, whole=False),
        Layer("Dense", "labels", {"use_bias": True, "activation": "softmax"}, ("second",), dense),
    )
    return ModelFile(Path("made-up.keras"), layers, "labels")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        main()
