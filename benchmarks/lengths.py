"""What it brings that padding is not read and that rows run with others about as long. `python -m benchmarks.lengths`.

The sentiment GRU on batches of 16 windows: of one length, of mixed ones, full. The engine as it is, beside one that
runs all rows of a batch from the longest row's first word on, and beside one that reads every step of every window.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import time
from unittest.mock import patch

import numpy as np

from app.bundle import read_bundle
from app.engines import onnx
from app.engines.compile import compile_graph
from app.engines.onnx import OnnxEngine
from app.settings import SHIPPED
from app.text import INDEX_FROM, PAD, Ids

ROWS, BATCHES, ROUNDS = 16, 12, 9


def main() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    steps = bundle.manifest.text.maxlen
    engines = {"as it is": OnnxEngine(bundle.model, steps, 2)}
    with patch.object(onnx, "_ALIKE", 0.0):
        engines["together, from the longest"] = OnnxEngine(bundle.model, steps, 2)
    with patch.object(onnx, "compile_graph", lambda *given: compile_graph(*given, streaming=False)):
        engines["every step"] = OnnxEngine(bundle.model, steps, 2)
    rng = np.random.default_rng(1)
    mixes = {
        "10 words": np.full((BATCHES, ROWS), 11),
        "80 words": np.full((BATCHES, ROWS), 81),
        "5 to 99 words": rng.integers(6, steps + 1, (BATCHES, ROWS)),
        "half 15, half 99 words": np.tile([16, 100], (BATCHES, ROWS // 2)),
        "full": np.full((BATCHES, ROWS), steps),
    }
    for name, lengths in mixes.items():
        batches = [make_windows(rng, row, steps) for row in lengths]
        for engine in engines.values():
            np.testing.assert_allclose(engine.predict(batches[0]), engines["as it is"].predict(batches[0]), atol=1e-5)
        spent: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(ROUNDS):
            for kind, engine in engines.items():
                started = time.perf_counter()
                for ids in batches:
                    engine.predict(ids)
                spent[kind].append((time.perf_counter() - started) / lengths.size * 1e3)
        print(f"{name:24}" + ", ".join(f"{kind} {statistics.median(s):.3f} ms" for kind, s in spent.items()))


def make_windows(rng: np.random.Generator, lengths: np.ndarray, steps: int) -> Ids:
    ids = rng.integers(INDEX_FROM + 1, 20_000, (len(lengths), steps), dtype=np.int32)
    ids[np.arange(steps) < steps - lengths[:, None]] = PAD
    return ids


if __name__ == "__main__":
    main()
