"""How good the scores are: accuracy, macro-F1, log loss, calibration, what stays unanswered, where they fail."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import confusion_matrix

from app.bundle import Calibration
from training.datasets.dataset import Labels

Scores = NDArray[np.float64]
_MOST_DAMPED: Final = 0.8
"""Damping beyond this would make the surest of two-label answers less sure than others."""


@dataclass(frozen=True)
class Slice:
    """Some texts, one at least: how many answers are right, how many are not `uncertain`, and how many of these right.

    All are fractions but `texts`.
    """

    texts: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """Wilson's 95% interval."""
    answered: float
    answered_accuracy: float
    """1 where nothing was answered."""

    def to_json(self) -> dict[str, float]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Evaluation(Slice):
    """All that is measured of texts; `loss` is in nats."""

    macro_f1: float
    """Over the labels that occur or are answered: a file need not hold every label."""
    macro_f1_low: float
    macro_f1_high: float
    """See `macro_f1_interval`."""
    loss: float
    calibration_error: float


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence (its mean), and how many of them are right; Wilson's 95% interval."""

    texts: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class RiskCoverage:
    """Answers taken the most confident first, those of one confidence together.

    An entry a confidence: how many answers are at least so sure (`answered`), and how many of these are `right`.
    """

    confidence: NDArray[np.float64]
    answered: NDArray[np.int64]
    right: NDArray[np.int64]

    @property
    def coverage(self) -> NDArray[np.float64]:
        coverage: NDArray[np.float64] = self.answered / self.answered[-1]
        return coverage

    @property
    def accuracy(self) -> NDArray[np.float64]:
        accuracy: NDArray[np.float64] = self.right / self.answered
        return accuracy

    def reach(self, accuracy: float) -> int | None:
        """The last entry, and so the widest coverage, at which at least so many of the answers are right."""
        enough = np.flatnonzero(self.accuracy >= accuracy)
        return int(enough[-1]) if len(enough) else None

    def coverage_at(self, accuracy: float) -> float:
        place = self.reach(accuracy)
        return 0.0 if place is None else float(self.coverage[place])


def evaluate(
    scores: Scores, labels: Labels, uncertain_below: float, doubtful: NDArray[np.bool_] | None = None
) -> Evaluation:
    """Of calibrated scores (texts, labels) against the right labels. `uncertain_below`, `doubtful`: see `find_sure`."""
    right, counts = scores.argmax(axis=1) == labels, confusion(scores, labels)
    low, high = macro_f1_interval(counts)
    return Evaluation(
        **asdict(measure_slice(right, find_sure(scores, uncertain_below, doubtful))),
        macro_f1=macro_f1(counts),
        macro_f1_low=low,
        macro_f1_high=high,
        loss=log_loss(scores, labels),
        calibration_error=calibration_error(scores.max(axis=1), right),
    )


def find_sure(scores: Scores, uncertain_below: float, doubtful: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The texts (texts,) that are answered without `uncertain`; `doubtful` ones are not, whatever the confidence."""
    sure: NDArray[np.bool_] = scores.max(axis=1) >= uncertain_below
    return sure if doubtful is None else sure & ~doubtful


def log_loss(scores: Scores, labels: Labels) -> float:
    return float(-np.log(np.maximum(scores[np.arange(len(labels)), labels], 1e-15)).mean())


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error over bins of equal mass: mean gap between confidence and accuracy."""
    gaps = [abs(part.confidence - part.accuracy) * part.texts for part in reliability(confidence, right, bins)]
    return sum(gaps) / len(confidence)


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> list[Bin]:
    """Bins of equal mass, the least confident first; fewer where there are fewer answers than bins."""
    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]
    return [
        Bin(
            len(part),
            float(confidence[part].mean()),
            float(right[part].mean()),
            *wilson(int(right[part].sum()), len(part)),
        )
        for part in parts
    ]


def risk_coverage(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> RiskCoverage:
    order = np.argsort(-confidence, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    return RiskCoverage(confidence[order][last_of_ties], last_of_ties + 1, right[order].cumsum()[last_of_ties])


def measure_slice(right: NDArray[np.bool_], sure: NDArray[np.bool_]) -> Slice:
    """Both (texts,)."""
    low, high = wilson(int(right.sum()), len(right))
    answered_accuracy = float(right[sure].mean()) if sure.any() else 1.0
    return Slice(len(right), float(right.mean()), low, high, float(sure.mean()), answered_accuracy)


def measure_slices(
    values: NDArray[Any], starts: Mapping[str, float], right: NDArray[np.bool_], sure: NDArray[np.bool_]
) -> dict[str, Slice]:
    """Those that hold texts, by name. `starts`: name -> the least of `values`, rising. All arrays (texts,)."""
    which = np.searchsorted(list(starts.values()), values, side="right") - 1
    parts = {name: which == place for place, name in enumerate(starts)}
    return {name: measure_slice(right[part], sure[part]) for name, part in parts.items() if part.any()}


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, 1927)."""
    share, spread = hits / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    reach = z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def macro_f1(counts: list[list[int]]) -> float:
    """The mean F1 of the labels that occur or are answered; `counts` as `confusion` gives them."""
    table = np.array(counts)
    return float(_mean_f1(table.diagonal(), table.sum(axis=1), table.sum(axis=0)))


def _mean_f1(hits: NDArray[Any], support: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
    """All (..., labels); gives (...)."""
    either = support + answers
    mean: NDArray[np.float64] = (2 * hits / np.maximum(1, either)).sum(axis=-1) / (either > 0).sum(axis=-1)
    return mean


def macro_f1_interval(counts: list[list[int]], draws: int = 1_000) -> tuple[float, float]:
    """The middle 95% of macro-F1 over bootstrap samples of a confusion matrix, always the same samples.

    Texts are drawn within their right label: otherwise samples that miss a rare label would pull the interval down.
    """
    table, generator = np.array(counts), np.random.default_rng(0)
    support = table.sum(axis=1)
    hits, answers = np.zeros((2, draws, len(table)))
    for label, row in enumerate(table):
        if support[label]:
            places = np.flatnonzero(row)
            drawn = generator.multinomial(support[label], row[places] / support[label], draws)
            answers[:, places] += drawn
            hits[:, label] = drawn[:, places == label].sum(axis=1)
    low, high = np.quantile(_mean_f1(hits, support, answers), [0.025, 0.975])
    return float(low), float(high)


def fit_calibration(
    windows: NDArray[np.float32], owner: NDArray[np.int64], labels: Labels, *, doubt: float = 0.0
) -> Calibration:
    """What makes the log loss of the texts least; `windows` (windows, labels): probabilities, text after text.

    Where every text has one window, that is temperature and damping alone. Nothing is `uncertain` yet. `doubt`: how
    likely each label is taken to be wrong, whatever it is: a dozen texts that are all answered right prove nothing
    (Platt, 1999, "Probabilistic outputs for support vector machines", takes 1 in two more than there are texts).
    """
    logits = np.log(np.maximum(windows, 1e-7, dtype=np.float64))
    count = np.bincount(owner)
    ends = count.cumsum() - 1
    average = np.add.reduceat(logits, ends - count + 1) / count[:, None]
    last, length = logits[ends], np.log(count)[:, None]

    def loss(values: NDArray[np.float64]) -> float:
        log_temperature, damping, share, growth = values
        mixed = (average + share * last) / (1 + share)
        confidence = softmax(mixed, axis=1).max(axis=1, keepdims=True)
        mixed = mixed * (1 + growth * length) * (1 - damping * confidence) / np.exp(log_temperature)
        told = log_softmax(mixed, axis=1)
        right = told[np.arange(len(labels)), labels]
        if not doubt:
            return float(-right.mean())
        others = (told.sum(axis=1) - right) / (told.shape[1] - 1)
        return float(-((1 - doubt) * right + doubt * others).mean())

    of_windows = (0, 5) if count.max() > 1 else (0, 0)
    bounds = [(np.log(0.05), np.log(20)), (-1, _MOST_DAMPED), of_windows, of_windows]
    found = minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=bounds, tol=1e-10).x
    return Calibration(
        temperature=round(float(np.exp(found[0])), 6),
        damping=round(float(found[1]), 6),
        last_window=round(float(found[2]), 6),
        growth=round(float(found[3]), 6),
        uncertain_below=0,
    )


def fit_temperature(scores: Scores, labels: Labels) -> float:
    """The temperature that makes log loss least; `scores` are those at temperature 1."""
    logits = np.log(np.maximum(scores, 1e-15))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 6)


def fit_threshold(scores: Scores, labels: Labels, target: float) -> float:
    """The least confidence at and above which held-out answers are right with at least the share `target`."""
    curve = risk_coverage(scores.max(axis=1), scores.argmax(axis=1) == labels)
    place = curve.reach(target)
    return 1.0 if place is None else float(curve.confidence[place])


def confusion(scores: Scores, labels: Labels) -> list[list[int]]:
    """Rows: the right label; columns: the answer."""
    counts: Any = confusion_matrix(labels, scores.argmax(axis=1), labels=range(scores.shape[1]))
    return [[int(count) for count in row] for row in counts]


def measure_labels(counts: list[list[int]], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """By label: how often it was right and answered, precision, recall (Wilson's 95% interval) and F1.

    A share of nothing is 0; of a label without texts, the recall may be anything.
    """
    table = np.array(counts)
    columns = names, table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    found = {}
    for name, hits, support, answers in zip(*columns, strict=True):
        low, high = wilson(int(hits), int(support)) if support else (0.0, 1.0)
        figures = {
            "precision": hits / max(1, answers), "recall": hits / max(1, support), "recall_low": low,
            "recall_high": high, "f1": 2 * hits / max(1, support + answers),
        }  # fmt: skip
        rounded = {key: round(float(figure), 4) for key, figure in figures.items()}
        found[name] = {"support": int(support), "answers": int(answers), **rounded}
    return found


def find_confusions(counts: list[list[int]], most: int) -> list[tuple[int, int, int]]:
    """(right label, answer, times) of the most frequent confusions, the most frequent first."""
    wrong = np.array(counts)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = np.stack(np.unravel_index(order, wrong.shape), axis=1)
    return [(int(row), int(column), int(wrong[row, column])) for row, column in pairs if wrong[row, column]]
