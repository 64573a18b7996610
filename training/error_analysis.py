"""What a bundle gets right and wrong on labelled texts, and where two bundles differ. Computes; prints nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from app.bundle import Bundle, Manifest
from app.engines.open import open_engine
from app.errors import DataError
from training.answers import Answers, answer
from training.evaluate import Evaluation, Slice, confusion, measure_labels, measure_slices
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
"""Slices of the texts by number of words: a name and where each begins."""

MISTAKES: Final = 10
SHOWN_CHARS: Final = 100

Change = Literal["right->wrong", "wrong->right", "wrong->wrong"]


@dataclass(frozen=True)
class Mistake:
    """A text that is answered wrong; `text` is its beginning."""

    line: int
    right: str
    answer: str
    confidence: float
    text: str


@dataclass(frozen=True)
class Analysis:
    """What one bundle's `answers`, their scores in the order of `labels`, say of a sample.

    `confusion`: rows are the right label, columns the answer.
    `by_words` counts all words of a text, `by_known_words` goes by the share known of those that the bundle reads.
    """

    name: str
    manifest: Manifest
    labels: list[str]
    answers: Answers
    figures: Evaluation
    confusion: list[list[int]]
    by_words: dict[str, Slice]
    by_known_words: dict[str, Slice]
    mistakes: list[Mistake]
    """The most confident ones."""

    def per_label(self) -> dict[str, dict[str, float]]:
        """See `measure_labels`; only the labels that occur or are answered."""
        found = measure_labels(self.confusion, self.labels)
        return {name: row for name, row in found.items() if row["support"] or row["answers"]}

    def to_json(self) -> dict[str, Any]:
        return {
            "bundle": self.name,
            "task": self.manifest.task,
            "model": self.manifest.model,
            "sha256": self.manifest.sha256,
            **self.figures.to_json(),
            "per_label": self.per_label(),
            "confusion": {"labels": self.labels, "counts": self.confusion},
            "by_words": {name: part.to_json() for name, part in self.by_words.items()},
            "by_known_words": {name: part.to_json() for name, part in self.by_known_words.items()},
            "mistakes": [_round(mistake) for mistake in self.mistakes],
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
    split = next(iter(bundles.values())).manifest.text.open_tokenizer().split
    words = np.array([len(split(text)) for text in sample.examples.texts])
    return [
        _analyse(name, bundle, order, sample, words)
        for (name, bundle), order in zip(bundles.items(), orders, strict=True)
    ]


def compare(before: Analysis, after: Analysis, sample: Sample) -> Comparison:
    """Both of `sample`."""
    labels, first, second = sample.examples.labels, before.answers.guesses, after.answers.guesses

    def flip(i: int) -> Flip:
        return Flip(
            line=sample.lines[i],
            change=_name_change(was_right=first[i] == labels[i], is_right=second[i] == labels[i]),
            right=sample.labels[labels[i]],
            before=sample.labels[first[i]],
            before_confidence=float(before.answers.confidence[i]),
            after=sample.labels[second[i]],
            after_confidence=float(after.answers.confidence[i]),
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
    found = answer(open_engine(bundle, "onnx"), manifest, bundle.words, sample.examples)
    answers = replace(found, scores=found.scores[:, order])
    return Analysis(
        name=name,
        manifest=manifest,
        labels=sample.labels,
        answers=answers,
        figures=answers.evaluate(),
        confusion=confusion(answers.scores, answers.labels),
        by_words=measure_slices(words, WORDS, answers.right, answers.sure),
        by_known_words=answers.by_known_words(),
        mistakes=[_tell(place, answers, sample) for place in answers.find_mistakes(MISTAKES)],
    )


def _tell(place: int, answers: Answers, sample: Sample) -> Mistake:
    return Mistake(
        line=sample.lines[place],
        right=sample.labels[answers.labels[place]],
        answer=sample.labels[answers.guesses[place]],
        confidence=float(answers.confidence[place]),
        text=_shorten(sample.examples.texts[place]),
    )


def _name_change(*, was_right: bool, is_right: bool) -> Change:
    if was_right:
        return "right->wrong"
    return "wrong->right" if is_right else "wrong->wrong"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"


def _round(found: Mistake | Flip) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(found).items()}
