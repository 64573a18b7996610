"""Examples as arrays of windows, each window knowing which text it is from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.bundle import Manifest
from app.engines.base import Engine
from app.text import Ids, TextEncoder
from training.datasets import Examples
from training.datasets.dataset import Labels


@dataclass(frozen=True)
class EncodedExamples:
    """`ids` (windows, maxlen), `owner` (windows,): the text each is of; `labels` (texts,)."""

    ids: Ids
    owner: NDArray[np.int64]
    labels: Labels


def encode(encoder: TextEncoder, examples: Examples) -> EncodedExamples:
    windows = [encoder.encode(text).windows for text in examples.texts]
    counts = [len(rows) for rows in windows]
    return EncodedExamples(np.concatenate(windows), np.repeat(np.arange(len(counts)), counts), examples.labels)


def predict(engine: Engine, ids: Ids, batch: int = 32) -> NDArray[np.float32]:
    """Probabilities (windows, labels), in batches of the size that suits a CPU."""
    return np.concatenate([engine.predict(ids[start : start + batch]) for start in range(0, len(ids), batch)])


def score_texts(engine: Engine, manifest: Manifest, examples: EncodedExamples, batch: int = 32) -> NDArray[np.float64]:
    """Calibrated scores (texts, labels), exactly as the service answers them."""
    edges = np.flatnonzero(np.diff(examples.owner)) + 1
    return np.stack([manifest.scores(part) for part in np.split(predict(engine, examples.ids, batch), edges)])
