"""What is measured of a calibrated model for its bundle. Chooses nothing, reads and writes no file, knows no Keras."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from app.bundle import Manifest
from app.engines.base import Engine
from app.text import Windows
from training import rivals, weaknesses
from training.answers import Answers, answer
from training.datasets import Dataset, Examples
from training.evaluate import Evaluation, Slice, confusion, fit_threshold, measure_labels, reliability, risk_coverage
from training.rivals import Rival, best
from training.weaknesses import Weaknesses

TARGETS: Final = (0.90, 0.95, 0.97, 0.98, 0.99)
"""Accuracies of what is answered, at which the coverage is told."""


@dataclass(frozen=True)
class Target:
    """What the least threshold that reaches `accuracy` on the held-out texts gives on the test texts."""

    accuracy: float
    threshold: float
    test: Slice


@dataclass(frozen=True)
class Figures:
    """Held-out texts are answered by the model that did not learn from them, all others by the published one."""

    held_out: Answers
    test: Answers
    """Read as the bundle reads them."""
    checked: Evaluation
    """Of the held-out texts."""
    tested: dict[Windows, Evaluation]
    """Of the test texts, by how they are read."""
    confusion: list[list[int]]
    """Of the test texts. Rows: the right label; columns: the answer."""
    per_label: dict[str, dict[str, float]]
    """Of the test texts: see `measure_labels`."""
    targets: list[Target]
    weaknesses: Weaknesses
    rivals: list[Rival] = field(default_factory=list)
    """On the test texts; of a user's own data alone."""

    def headline(self, own: Windows) -> dict[str, float]:
        """For the manifest. `own`: how the bundle reads a text."""
        shown = self.tested[own].to_json()
        return {
            "held_out_accuracy": self.checked.to_json()["accuracy"],
            **{f"test_accuracy_{windows}": result.to_json()["accuracy"] for windows, result in self.tested.items()},
            **{f"test_{key}": shown[key] for key in shown if key != "texts"},
            **({"baseline_accuracy": round(best(self.rivals).accuracy, 6)} if self.rivals else {}),
        }

    def to_json(self) -> dict[str, Any]:
        """For `metrics.json`. Of texts, only the project's own are in it."""
        parts = {"held_out": self.held_out, "test": self.test}
        bins = {name: reliability(answers.confidence, answers.right) for name, answers in parts.items()}
        found: dict[str, Any] = _rounded(
            {
                "reliability": {name: [asdict(one) for one in own] for name, own in bins.items()},
                "coverage": {name: _coverage(answers) for name, answers in parts.items()},
                "targets": [asdict(target) for target in self.targets],
                **self.weaknesses.to_json(),
            }
        )
        return {
            "held_out": self.checked.to_json(),
            "test": {windows: result.to_json() for windows, result in self.tested.items()},
            "confusion": self.confusion,
            "per_label": self.per_label,
            **found,
            **({"rivals": [rival.to_json() for rival in self.rivals]} if self.rivals else {}),
        }


def measure(
    manifest: Manifest,
    judge: Engine,
    engine: Engine,
    dataset: Dataset,
    held_out: Examples,
    learned: Examples | None = None,
) -> Figures:
    """`judge` answers the held-out texts, which `engine`, the published model, may have learned from.

    `learned`: what the published model learned from, if others are to learn from it too, to be told beside it.
    """
    checked = answer(judge, manifest, dataset.words, held_out)
    readings: tuple[Windows, ...] = ("first", "last", "cover")
    tested = {windows: answer(engine, manifest, dataset.words, dataset.test, windows) for windows in readings}
    own = tested[manifest.text.windows]
    counts = confusion(own.scores, own.labels)
    return Figures(
        held_out=checked,
        test=own,
        checked=checked.evaluate(),
        tested={windows: answers.evaluate() for windows, answers in tested.items()},
        confusion=counts,
        per_label=measure_labels(counts, list(dataset.labels)),
        targets=[_reach(target, checked, own) for target in TARGETS],
        weaknesses=weaknesses.find(manifest, judge, engine, dataset, held_out, checked),
        rivals=rivals.measure(rivals.learn(dataset, learned), dataset.test, own.right) if learned else [],
    )


def _reach(target: float, held_out: Answers, test: Answers) -> Target:
    threshold = fit_threshold(held_out.scores, held_out.labels, target)
    return Target(target, threshold, replace(test, uncertain_below=threshold).as_slice())


def _coverage(answers: Answers) -> dict[str, float]:
    """By target: the largest share of texts, taken most confident first, whose answers reach it on these very texts."""
    curve = risk_coverage(answers.confidence, answers.right)
    return {f"{target:.2f}": curve.coverage_at(target) for target in TARGETS}


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value
