"""What int8 costs and gains: accuracy on the test parts and milliseconds, of the bundles that have an LSTM.

Needs the data sets (`SENTOPIC_DATA`). `python -m benchmarks.int8`.
"""

import statistics
import time

import numpy as np

from app.bundle import read_bundle
from app.engines.base import EngineOptions
from app.engines.onnx import OnnxEngine
from app.settings import SHIPPED
from training.commands.options import data_from_environment, load
from training.encoding import encode, score_texts

PRECISIONS = ("float32", "int8")


def main() -> None:
    for directory in sorted(SHIPPED.glob("*/lstm/")):
        bundle = read_bundle(directory)
        manifest = bundle.manifest
        dataset = load(str(manifest.data["name"]), data_from_environment())
        examples = encode(bundle.encoder(), dataset.test)
        engines = {
            name: OnnxEngine(bundle.model, manifest.text.maxlen, len(manifest.labels), EngineOptions(precision=name))
            for name in PRECISIONS
        }
        for name, engine in engines.items():
            right = score_texts(engine, manifest, examples).argmax(axis=1) == examples.labels
            print(f"{manifest.task}/{manifest.model} {name}: accuracy {right.mean():.4f}", flush=True)
        for rows in (1, 16):
            windows = examples.ids[: rows * 20].reshape(20, rows, -1)
            spent: dict[str, list[float]] = {name: [] for name in engines}
            for _ in range(9):
                for name, engine in engines.items():
                    started = time.perf_counter()
                    for ids in windows:
                        engine.predict(np.ascontiguousarray(ids))
                    spent[name].append((time.perf_counter() - started) / windows.shape[0] / rows * 1e3)
            exact, rounded = (statistics.median(spent[name]) for name in PRECISIONS)
            print(f"  {rows} at once: {exact:.3f} and {rounded:.3f} ms a window, {exact / rounded:.2f} times as fast")


if __name__ == "__main__":
    main()
