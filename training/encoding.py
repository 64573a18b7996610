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
    """`ids` (windows, maxlen), `owner` (windows,): the text each is of; `labels` (texts,).

    `known` (texts,): the share of the words read that the model knows.
    """

    ids: Ids
    owner: NDArray[np.int64]
    labels: Labels
    known: NDArray[np.float64]


def encode(encoder: TextEncoder, examples: Examples) -> EncodedExamples:
    encoded = [encoder.encode(text) for text in examples.texts]
    counts = [len(text.windows) for text in encoded]
    owner = np.repeat(np.arange(len(counts)), counts)
    known = np.array([text.known_share for text in encoded])
    return EncodedExamples(np.concatenate([text.windows for text in encoded]), owner, examples.labels, known)


def predict(engine: Engine, ids: Ids, batch: int = 32) -> NDArray[np.float32]:
    """Probabilities (windows, labels), in batches of the size that suits a CPU."""
    return np.concatenate([engine.predict(ids[start : start + batch]) for start in range(0, len(ids), batch)])


def score_texts(engine: Engine, manifest: Manifest, examples: EncodedExamples, batch: int = 32) -> NDArray[np.float64]:
    """Calibrated scores (texts, labels), exactly as the service answers them.

    Those of a text without a known word are the labels' shares in training.
    """
    edges = np.flatnonzero(np.diff(examples.owner)) + 1
    shares = np.array([label.share for label in manifest.labels])
    parts = np.split(predict(engine, examples.ids, batch), edges)
    return np.stack(
        [manifest.scores(part) if known else shares for part, known in zip(parts, examples.known, strict=True)]
    )
