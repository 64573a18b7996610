"""Milliseconds that the `onnx` engine takes for one window on one thread, and the size of each bundle.

Bundles are named on the command line; those that the service ships are measured if none is.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from app.bundle import read_bundle
from app.engines.onnx import OnnxEngine
from app.settings import SHIPPED
from app.text import INDEX_FROM

ROUNDS = 7
WINDOWS = 300


def main() -> None:
    directories = [Path(name) for name in sys.argv[1:]] or sorted(SHIPPED.glob("*/*/"))
    print(f"{'bundle':24}{'ms a window':>14}{'MB':>8}   (one window at a time, one thread; median of {ROUNDS})")
    for directory in directories:
        size = sum(path.stat().st_size for path in directory.iterdir()) / 1e6
        print(f"{'/'.join(directory.parts[-2:]):24}{measure(directory):>14.3f}{size:>8.1f}")


def measure(directory: Path) -> float:
    bundle = read_bundle(directory)
    manifest = bundle.manifest
    engine = OnnxEngine(bundle.model, manifest.text.maxlen, len(manifest.labels))
    drawn = np.random.default_rng(1).integers(INDEX_FROM + 1, manifest.text.num_words, (WINDOWS, manifest.text.maxlen))
    windows = [row[None] for row in drawn.astype(np.int32)]

    def once() -> float:
        started = time.perf_counter()
        for window in windows:
            engine.predict(window)
        return (time.perf_counter() - started) / len(windows) * 1e3

    once()
    return statistics.median(once() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
