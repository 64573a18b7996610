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
    """`ids` (windows, maxlen), `owner` (windows,): the text each is of; the rest (texts,).

    `known`: share of known words among those read, 0 where there are none; `doubtful`: too small a share for
    the service to answer without `uncertain`.
    """

    ids: Ids
    owner: NDArray[np.int64]
    labels: Labels
    known: NDArray[np.float64]
    doubtful: NDArray[np.bool_]


def encode(encoder: TextEncoder, examples: Examples) -> EncodedExamples:
    encoded = [encoder.encode(text) for text in examples.texts]
    return EncodedExamples(
        ids=np.concatenate([one.windows for one in encoded]),
        owner=np.repeat(np.arange(len(encoded)), [len(one.windows) for one in encoded]),
        labels=examples.labels,
        known=np.array([one.known_share for one in encoded]),
        doubtful=np.array([one.mostly_unknown for one in encoded]),
    )


def predict(engine: Engine, ids: Ids, batch: int = 32) -> NDArray[np.float32]:
    """Probabilities (windows, labels), in batches of the size that suits a CPU."""
    return np.concatenate([engine.predict(ids[start : start + batch]) for start in range(0, len(ids), batch)])


def score_texts(engine: Engine, manifest: Manifest, examples: EncodedExamples, batch: int = 32) -> NDArray[np.float64]:
    """Calibrated scores (texts, labels), exactly as the service answers them.

    A text without a known word has the labels' shares in training for scores.
    """
    edges = np.flatnonzero(np.diff(examples.owner)) + 1
    scores = np.stack([manifest.scores(part) for part in np.split(predict(engine, examples.ids, batch), edges)])
    scores[examples.known == 0] = [label.share for label in manifest.labels]
    return scores
