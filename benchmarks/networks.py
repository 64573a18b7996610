"""Networks of the kinds that tutorials build, on the onnx engine beside a compiled TensorFlow function.

`python -m benchmarks.networks`: microseconds a window, one thread each, alone and in batches of 16, full windows and
texts of 19 words. Both must give the same answers.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from app import memory, model_file
from app.engines.base import EngineOptions
from app.engines.onnx import OnnxEngine
from app.text import Ids

STEPS, WORDS, LABELS, BATCH, RUNS = 100, 20_000, 46, 16, 25


def stack(*between: Any, channels: int = 64, mask: bool = False) -> keras.Model:
    ids = keras.Input((STEPS,), dtype="int32")
    x = layers.Embedding(WORDS, channels, mask_zero=mask)(ids)
    for layer in between:
        x = layer(x)
    return keras.Model(ids, layers.Dense(LABELS, activation="softmax")(x))


def both(kind: type[keras.layers.Layer], units: int, **options: Any) -> keras.layers.Layer:
    return layers.Bidirectional(kind(units, **options))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "SimpleRNN 64": lambda: stack(layers.SimpleRNN(64)),
    "LSTM 64": lambda: stack(layers.LSTM(64)),
    "LSTM 128": lambda: stack(layers.LSTM(128)),
    "LSTM 256": lambda: stack(layers.LSTM(256)),
    "LSTM 32, relu": lambda: stack(layers.LSTM(32, activation="relu")),
    "LSTM 64, backwards": lambda: stack(layers.LSTM(64, go_backwards=True)),
    "LSTM 64, masked": lambda: stack(layers.LSTM(64), mask=True),
    "LSTM 64, maximum over time": lambda: stack(layers.LSTM(64, return_sequences=True), layers.GlobalMaxPooling1D()),
    "LSTM 128, vectors of 300": lambda: stack(layers.LSTM(128), channels=300),
    "2 x LSTM 64": lambda: stack(layers.LSTM(64, return_sequences=True), layers.LSTM(64)),
    "GRU 128": lambda: stack(layers.GRU(128)),
    "GRU 64, reset before": lambda: stack(layers.GRU(64, reset_after=False)),
    "LSTM 64, both directions": lambda: stack(both(layers.LSTM, 64)),
    "the same, masked": lambda: stack(both(layers.LSTM, 64), mask=True),
    "2 x LSTM 64, both directions": lambda: stack(both(layers.LSTM, 64, return_sequences=True), both(layers.LSTM, 64)),
    "GRU 64, both directions": lambda: stack(both(layers.GRU, 64)),
    "LSTM 128, both, maximum": lambda: stack(
        both(layers.LSTM, 128, return_sequences=True), layers.GlobalMaxPooling1D()
    ),
    "convolution, LSTM 70": lambda: stack(
        layers.Conv1D(64, 5, activation="relu"), layers.MaxPooling1D(4), layers.LSTM(70), channels=128
    ),
    "convolution alone": lambda: stack(
        layers.Conv1D(250, 3, activation="relu"), layers.GlobalMaxPooling1D(), layers.Dense(250, activation="relu")
    ),
}


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rng = np.random.default_rng(1)
    columns = [(rows, words) for words in (STEPS, 20) for rows in (1, BATCH)]
    for name, make in NETWORKS.items():
        found = measure(make(), [make_windows(rng, rows, words) for rows, words in columns])
        told = [
            f"{rows} x {words:3} {ours:6.0f} µs ({theirs / ours:4.1f})"
            for (rows, words), (ours, theirs) in zip(columns, found, strict=True)
        ]
        print(f"{name:30}" + ", ".join(told), flush=True)


def measure(model: keras.Model, batches: Sequence[Ids]) -> list[tuple[float, float]]:
    """Ours and TensorFlow's microseconds a window, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        read = model_file.parse(path.read_bytes(), path)
    engine = OnnxEngine(read, STEPS, LABELS, EngineOptions(batch=BATCH))
    memory.settle([engine.block_bytes])
    function = tf.function(lambda ids: model(ids, training=False))
    found = []
    for ids in batches:
        given = tf.constant(ids)
        np.testing.assert_allclose(engine.predict(ids), function(given).numpy(), atol=1e-5)
        ours, theirs = list[float](), list[float]()
        for _ in range(RUNS):
            ours.append(take(lambda ids=ids: engine.predict(ids)))
            theirs.append(take(lambda given=given: function(given).numpy()))
        found.append((statistics.median(ours) / len(ids) * 1e6, statistics.median(theirs) / len(ids) * 1e6))
    return found


def take(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def make_windows(rng: np.random.Generator, rows: int, words: int) -> Ids:
    ids = np.zeros((rows, STEPS), np.int32)
    ids[:, STEPS - words :] = rng.integers(4, WORDS, (rows, words))
    return ids


if __name__ == "__main__":
    main()
