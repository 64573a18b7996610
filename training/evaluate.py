"""How good the scores are: accuracy, macro-F1, log loss, calibration, and what stays unanswered."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix, f1_score

from training.datasets.dataset import Labels

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Of calibrated scores (texts, labels) against the right labels. All are fractions but `loss` (nats)."""

    texts: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """Wilson's 95% interval."""
    macro_f1: float
    """Over the labels that occur or are answered: a file need not hold every label."""
    loss: float
    calibration_error: float
    answered: float
    """Share of texts that are not `uncertain`."""
    answered_accuracy: float

    def to_json(self) -> dict[str, float]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


def evaluate(
    scores: Scores, labels: Labels, uncertain_below: float, doubtful: NDArray[np.bool_] | None = None
) -> Evaluation:
    """`uncertain_below` and `doubtful`: see `find_sure`."""
    guesses, confidence = scores.argmax(axis=1), scores.max(axis=1)
    right = guesses == labels
    sure = find_sure(scores, uncertain_below, doubtful)
    low, high = wilson(int(right.sum()), len(right))
    return Evaluation(
        texts=len(labels),
        accuracy=float(right.mean()),
        accuracy_low=low,
        accuracy_high=high,
        macro_f1=float(f1_score(labels, guesses, average="macro", zero_division=0)),
        loss=log_loss(scores, labels),
        calibration_error=calibration_error(confidence, right),
        answered=float(sure.mean()),
        answered_accuracy=float(right[sure].mean()) if sure.any() else 1.0,
    )


def find_sure(scores: Scores, uncertain_below: float, doubtful: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The texts (texts,) that are answered without `uncertain`; `doubtful` ones are not, whatever the confidence."""
    sure: NDArray[np.bool_] = scores.max(axis=1) >= uncertain_below
    return sure if doubtful is None else sure & ~doubtful


def log_loss(scores: Scores, labels: Labels) -> float:
    return float(-np.log(np.maximum(scores[np.arange(len(labels)), labels], 1e-15)).mean())


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error over bins of equal mass: mean gap between confidence and accuracy."""
    order = np.argsort(confidence, kind="stable")
    gaps = [
        abs(confidence[part].mean() - right[part].mean()) * len(part)
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(sum(gaps) / len(confidence))


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, 1927)."""
    share, spread = hits / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    reach = z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return centre - reach, centre + reach


def fit_temperature(scores: Scores, labels: Labels) -> float:
    """The temperature that makes held-out log loss least (Guo et al., 2017); `scores` are those at temperature 1."""
    logits = np.log(np.maximum(scores, 1e-15))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 6)


def fit_threshold(scores: Scores, labels: Labels, target: float) -> float:
    """The least confidence at and above which held-out answers are right with at least the share `target`."""
    confidence = scores.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (scores.argmax(axis=1) == labels)[order]
    accuracy = right.cumsum() / np.arange(1, len(right) + 1)
    last_of_ties = np.append(np.diff(confidence[order]) != 0, True)
    enough = np.flatnonzero((accuracy >= target) & last_of_ties)
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0


def confusion(scores: Scores, labels: Labels) -> list[list[int]]:
    """Rows: the right label; columns: the answer."""
    counts: Any = confusion_matrix(labels, scores.argmax(axis=1), labels=range(scores.shape[1]))
    return [[int(count) for count in row] for row in counts]


def per_label(counts: list[list[int]], names: list[str]) -> dict[str, dict[str, float]]:
    """Precision, recall and support of each label; `counts` as `confusion` gives them."""
    table = np.array(counts)
    hits, support, answers = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    return {
        name: {
            "support": int(support[i]),
            "precision": round(float(hits[i] / max(1, answers[i])), 4),
            "recall": round(float(hits[i] / max(1, support[i])), 4),
        }
        for i, name in enumerate(names)
    }
