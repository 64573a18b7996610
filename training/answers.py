"""A model's answers to texts whose right labels are known, as the service would give them. Knows no Keras."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.bundle import Manifest
from app.engines.base import Engine
from app.text import MOSTLY_UNKNOWN_BELOW, TextEncoder, Windows
from training.datasets import Dataset, Examples
from training.datasets.dataset import Labels
from training.encoding import encode, score_texts
from training.evaluate import Evaluation, Scores, Slice, evaluate, measure_slice


@dataclass(frozen=True)
class Answers:
    """Calibrated `scores` (texts, labels), the right `labels`, and the share of `known` words (texts,)."""

    scores: Scores
    labels: Labels
    known: NDArray[np.float64]
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
    def doubtful(self) -> NDArray[np.bool_]:
        """Texts of which too little is known: the service marks them `uncertain`, whatever the confidence."""
        return self.known < MOSTLY_UNKNOWN_BELOW

    @cached_property
    def uncertain(self) -> NDArray[np.bool_]:
        return self.doubtful | (self.confidence < self.uncertain_below)

    def evaluate(self) -> Evaluation:
        return evaluate(self.scores, self.labels, self.uncertain_below, self.doubtful)

    def slice(self, places: NDArray[np.bool_]) -> Slice:
        """Of those texts that `places` says."""
        return measure_slice(self.right[places], ~self.uncertain[places])


def answer(
    engine: Engine, manifest: Manifest, dataset: Dataset, texts: Examples, windows: Windows | None = None
) -> Answers:
    """`windows`: how the texts are read, if not as the bundle reads them."""
    spec = manifest.text
    examples = encode(TextEncoder(dataset.words, spec.num_words, spec.maxlen, windows or spec.windows), texts)
    scores = score_texts(engine, manifest, examples)
    return Answers(scores, examples.labels, examples.known, manifest.calibration.uncertain_below)
