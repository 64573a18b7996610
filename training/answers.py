"""A model's answers to texts whose right labels are known, as the service would give them. Knows no Keras."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.bundle import Manifest
from app.engines.base import Engine
from app.text import Windows
from training.datasets import Examples
from training.datasets.dataset import Labels
from training.encoding import encode, score_texts
from training.evaluate import Evaluation, Scores, Slice, evaluate, find_sure, measure_slice, measure_slices

KNOWN: Final = {
    "less than 50%": 0.0,
    "50% to 80%": 0.5,
    "80% to 90%": 0.8,
    "90% to 95%": 0.9,
    "95% to 98%": 0.95,
    "98% and more": 0.98,
    "all": 1.0,
}
"""Slices by the share of known words: a name and where each begins."""


@dataclass(frozen=True)
class Answers:
    """Calibrated `scores` (texts, labels), the right `labels`, and `known`, `doubtful` as in `EncodedExamples`."""

    scores: Scores
    labels: Labels
    known: NDArray[np.float64]
    doubtful: NDArray[np.bool_]
    uncertain_below: float

    @cached_property
    def guesses(self) -> Labels:
        guesses: Labels = self.scores.argmax(axis=1)
        return guesses

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        confidence: NDArray[np.float64] = self.scores.max(axis=1)
        return confidence

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.guesses == self.labels
        return right

    @cached_property
    def sure(self) -> NDArray[np.bool_]:
        return find_sure(self.scores, self.uncertain_below, self.doubtful)

    def evaluate(self) -> Evaluation:
        return evaluate(self.scores, self.labels, self.uncertain_below, self.doubtful)

    def as_slice(self) -> Slice:
        """Of all of them: less than `evaluate`, and faster."""
        return measure_slice(self.right, self.sure)

    def by_known_words(self) -> dict[str, Slice]:
        return measure_slices(self.known, KNOWN, self.right, self.sure)

    def find_mistakes(self, most: int) -> list[int]:
        """The places of the most confident wrong answers, the most confident first."""
        order = np.argsort(-self.confidence, kind="stable")
        return [int(place) for place in order[~self.right[order]][:most]]


def answer(
    engine: Engine, manifest: Manifest, words: Sequence[str], texts: Examples, windows: Windows | None = None
) -> Answers:
    """`words`: the model's word index; `windows`: how the texts are read, if not as the bundle reads them."""
    examples = encode(manifest.text.encoder(words, windows), texts)
    scores = score_texts(engine, manifest, examples)
    return Answers(scores, examples.labels, examples.known, examples.doubtful, manifest.calibration.uncertain_below)
