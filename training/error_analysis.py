"""What a bundle gets right and wrong on labelled texts, and where two bundles differ. Computes; prints nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from app.bundle import Bundle, Manifest
from app.engines.open import open_engine
from app.errors import DataError
from app.text import split_words
from training.encoding import encode, score_texts
from training.evaluate import Evaluation, Scores, confusion, evaluate, find_sure, per_label, wilson
from training.samples import Sample

WORDS: Final[dict[str, float]] = {
    "0": 0,
    "1-10": 1,
    "11-20": 11,
    "21-50": 21,
    "51-100": 51,
    "101-200": 101,
    "201-500": 201,
    "more": 501,
}
KNOWN: Final[dict[str, float]] = {"under 50 %": 0.0, "50-80 %": 0.5, "80-95 %": 0.8, "95-100 %": 0.95}
"""Slices of the texts by number of words and by share of known words: a name and where each begins."""

SHOWN_CHARS: Final = 100

Change = Literal["right->wrong", "wrong->right", "wrong->wrong"]


@dataclass(frozen=True)
class Slice:
    """Texts of a kind, one at least."""

    name: str
    texts: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    answered: float


@dataclass(frozen=True)
class Analysis:
    """What one bundle's calibrated `scores` (texts, labels), in the order of `labels`, say of a sample.

    `confusion`: rows are the right label, columns the answer.
    `by_words` counts all words of a text, `by_known` goes by the share known of those that the bundle reads.
    """

    name: str
    manifest: Manifest
    labels: list[str]
    scores: Scores
    figures: Evaluation
    confusion: list[list[int]]
    by_words: list[Slice]
    by_known: list[Slice]

    @property
    def answers(self) -> NDArray[np.int64]:
        answers: NDArray[np.int64] = self.scores.argmax(axis=1)
        return answers

    def per_label(self) -> dict[str, dict[str, float]]:
        """Precision, recall and support of the labels that occur or are answered."""
        table = np.array(self.confusion)
        seen = table.sum(axis=0) + table.sum(axis=1)
        found = per_label(self.confusion, self.labels)
        return {name: found[name] for name, texts in zip(self.labels, seen, strict=True) if texts}

    def confused(self) -> list[tuple[int, str, str]]:
        """(texts, the right label, the answer), the most frequent first."""
        wrong = np.array(self.confusion)
        np.fill_diagonal(wrong, 0)
        pairs = [(int(wrong[i, j]), self.labels[i], self.labels[j]) for i, j in np.argwhere(wrong)]
        return sorted(pairs, key=lambda pair: -pair[0])

    def to_json(self) -> dict[str, Any]:
        return {
            "bundle": self.name,
            "task": self.manifest.task,
            "model": self.manifest.model,
            "sha256": self.manifest.sha256,
            **self.figures.to_json(),
            "per_label": self.per_label(),
            "confusion": {"labels": self.labels, "counts": self.confusion},
            "by_words": [_round(part) for part in self.by_words],
            "by_known_words": [_round(part) for part in self.by_known],
        }


@dataclass(frozen=True)
class Flip:
    """A text that two bundles answer differently; `text` is its beginning."""

    line: int
    change: Change
    right: str
    before: str
    before_confidence: float
    after: str
    after_confidence: float
    text: str


@dataclass(frozen=True)
class Comparison:
    """How the second bundle's answers differ from the first's: every flip, in the sample's order."""

    flips: list[Flip]

    def count(self, change: Change) -> int:
        return sum(flip.change == change for flip in self.flips)

    @property
    def p_value(self) -> float:
        """McNemar's exact test (1947): how likely so uneven a split of right->wrong and wrong->right is by chance."""
        worse, better = self.count("right->wrong"), self.count("wrong->right")
        return float(binomtest(worse, worse + better).pvalue) if worse + better else 1.0

    def to_json(self) -> dict[str, Any]:
        changes: tuple[Change, ...] = ("right->wrong", "wrong->right", "wrong->wrong")
        return {
            "flipped": len(self.flips),
            **{change.replace("->", "_to_"): self.count(change) for change in changes},
            "mcnemar_p": self.p_value,
            "flips": [_round(flip) for flip in self.flips],
        }


def analyse(bundles: Mapping[str, Bundle], sample: Sample) -> list[Analysis]:
    """Each bundle on `sample`, whose order of labels all of them take; the answers are the service's.

    `bundles`: by what they are called here. Raises DataError, before any work, where one has other labels.
    """
    orders = [_order(name, bundle.manifest, sample.labels) for name, bundle in bundles.items()]
    words = np.array([len(split_words(text)) for text in sample.examples.texts])
    return [
        _analyse(name, bundle, order, sample, words)
        for (name, bundle), order in zip(bundles.items(), orders, strict=True)
    ]


def compare(before: Analysis, after: Analysis, sample: Sample) -> Comparison:
    """Both of `sample`."""
    labels, first, second = sample.examples.labels, before.answers, after.answers

    def flip(i: int) -> Flip:
        return Flip(
            line=sample.lines[i],
            change=_name_change(was_right=first[i] == labels[i], is_right=second[i] == labels[i]),
            right=sample.labels[labels[i]],
            before=sample.labels[first[i]],
            before_confidence=float(before.scores[i, first[i]]),
            after=sample.labels[second[i]],
            after_confidence=float(after.scores[i, second[i]]),
            text=_shorten(sample.examples.texts[i]),
        )

    return Comparison([flip(int(i)) for i in np.flatnonzero(first != second)])


def _order(name: str, manifest: Manifest, labels: Sequence[str]) -> list[int]:
    """The places of `labels` among the bundle's own."""
    own = [label.name for label in manifest.labels]
    if differ := sorted({*own} ^ {*labels}):
        raise DataError(f"{name} has other labels than the bundle it is held against: {', '.join(differ[:10])}")
    return [own.index(label) for label in labels]


def _analyse(name: str, bundle: Bundle, order: Sequence[int], sample: Sample, words: NDArray[np.int64]) -> Analysis:
    """`words` (texts,): how many each text has."""
    manifest = bundle.manifest
    examples = encode(bundle.encoder(), sample.examples)
    scores = score_texts(open_engine(bundle, "onnx"), manifest, examples)[:, order]
    threshold = manifest.calibration.uncertain_below
    sure = find_sure(scores, threshold, examples.doubtful)
    right = scores.argmax(axis=1) == examples.labels
    return Analysis(
        name=name,
        manifest=manifest,
        labels=sample.labels,
        scores=scores,
        figures=evaluate(scores, examples.labels, threshold, examples.doubtful),
        confusion=confusion(scores, examples.labels),
        by_words=_slice(words, WORDS, right, sure),
        by_known=_slice(examples.known, KNOWN, right, sure),
    )


def _slice(
    values: NDArray[Any], starts: Mapping[str, float], right: NDArray[np.bool_], sure: NDArray[np.bool_]
) -> list[Slice]:
    """Those of the slices that hold texts; `starts`: name -> the least value, rising. All arrays (texts,)."""
    which = np.searchsorted(list(starts.values()), values, side="right") - 1
    slices = []
    for place, name in enumerate(starts):
        part = which == place
        if count := int(part.sum()):
            low, high = wilson(int(right[part].sum()), count)
            slices.append(Slice(name, count, float(right[part].mean()), low, high, float(sure[part].mean())))
    return slices


def _name_change(*, was_right: bool, is_right: bool) -> Change:
    if was_right:
        return "right->wrong"
    return "wrong->right" if is_right else "wrong->wrong"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"


def _round(found: Slice | Flip) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(found).items()}
