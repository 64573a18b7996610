"""A linear model on pairs of neighbouring words: the baseline to beat, and a teacher for texts without a label.

Logistic regression on which words and pairs of words a text has, each weighted by how much more often it stands in one
label's texts than in the others' (naive Bayes' log-count ratios: Wang and Manning, 2012, "Baselines and bigrams").
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import normalize

from app.text import split_words
from training.datasets import Examples
from training.datasets.dataset import Labels
from training.evaluate import fit_temperature

Scores = NDArray[np.float64]
Split = Callable[[str], list[str]]
FOLDS: Final = 5
_STRENGTH: Final = 50.0
"""Inverse of the penalty, for rows of length 1."""
_CERTAIN: Final = 20.0
"""Log-odds of a label that every text has; of one that none has, the negative."""


class Teacher:
    """Learns from texts with labels, 0 to `labels` - 1."""

    def __init__(self, examples: Examples, labels: int, split: Split = split_words) -> None:
        self._words = CountVectorizer(
            analyzer=partial(split_pairs, split=split),
            binary=True,
            min_df=2 if len(examples) > 1_000 else 1,
            dtype=np.float32,
        )
        self._labels = labels
        self._rows: Any = self._words.fit_transform(examples.texts).tocsr()
        self._right, self._groups = examples.labels, examples.groups
        self._members = _fit(self._rows, examples.labels, labels)
        self.temperature = 1.0

    def log_odds(self, texts: Sequence[str]) -> Scores:
        """Of each label against the rest, (texts, labels)."""
        return _log_odds(self._members, self._words.transform(texts).tocsr())

    def scores(self, texts: Sequence[str]) -> Scores:
        """Probabilities (texts, labels), at the temperature that `score_own` found."""
        found: Scores = softmax(self.log_odds(texts) / self.temperature, axis=1)
        return found

    def score_own(self, seed: int) -> Scores:
        """Probabilities of its own texts, each by a model that did not see it; sets the temperature."""
        found = np.zeros((len(self._right), self._labels))
        folds: Any = KFold(FOLDS, shuffle=True, random_state=seed)
        if (
            self._groups is not None and len(np.unique(self._groups)) >= FOLDS
        ):  # nor one that saw another text of the group
            folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
        for seen, unseen in folds.split(found, groups=self._groups):
            members = _fit(self._rows[seen], self._right[seen], self._labels)
            found[unseen] = _log_odds(members, self._rows[unseen])
        self.temperature = fit_temperature(softmax(found, axis=1), self._right)
        own: Scores = softmax(found / self.temperature, axis=1)
        return own


@dataclass(frozen=True)
class _Member:
    """One label against the rest. Without a `model`, all texts or none had the label: `constant` is the answer."""

    ratio: NDArray[np.float32]
    model: LogisticRegression | None
    constant: float = 0.0

    def log_odds(self, rows: Any) -> Scores:
        if self.model is None:
            return np.full(rows.shape[0], self.constant)
        found: Scores = self.model.decision_function(_weigh(rows, self.ratio))
        return found


def split_pairs(text: str, split: Split = split_words) -> list[str]:
    """The words of a text, and each two neighbours."""
    words = split(text)
    return [*words, *(f"{one} {other}" for one, other in itertools.pairwise(words))]


def _fit(rows: Any, right: Labels, labels: int) -> list[_Member]:
    """With two labels one member does for both."""
    return [_fit_member(rows, right == label) for label in ((1,) if labels == 2 else range(labels))]


def _fit_member(rows: Any, inside: NDArray[np.bool_]) -> _Member:
    counts = [np.asarray(rows[part].sum(axis=0)).ravel() + 1.0 for part in (inside, ~inside)]
    shares = [count / count.sum() for count in counts]
    ratio = np.abs(np.log(shares[0] / shares[1])).astype(np.float32)
    if inside.all() or not inside.any():
        return _Member(ratio, None, _CERTAIN if inside.all() else -_CERTAIN)
    model = LogisticRegression(C=_STRENGTH, solver="liblinear", dual=True, max_iter=5_000, random_state=0)
    return _Member(ratio, model.fit(_weigh(rows, ratio), inside))


def _log_odds(members: Sequence[_Member], rows: Any) -> Scores:
    columns = [member.log_odds(rows) for member in members]
    if len(columns) == 1:
        return np.stack([-columns[0] / 2, columns[0] / 2], axis=1)
    found: Scores = log_softmax(np.stack(columns, axis=1), axis=1)
    return found


def _weigh(rows: Any, ratio: NDArray[np.float32]) -> Any:
    return normalize(rows.multiply(ratio).tocsr())
