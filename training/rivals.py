"""What a network for a user's own texts must beat: the commonest label, and linear models taught with the same."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from training.baseline import MODELS
from training.datasets import Dataset, Examples
from training.datasets.dataset import Labels
from training.evaluate import wilson

ALWAYS: Final = "always the commonest label"
_CHANCE: Final = 0.05

Answer = Callable[[Sequence[str]], Labels]


@dataclass(frozen=True)
class Rival:
    """Accuracy on some texts, with Wilson's 95% interval.

    `worse` and `better`: texts that the network alone has wrong, or right. `p_value`: how likely so uneven a split of
    these is by chance (McNemar's exact test).
    """

    name: str
    accuracy: float
    low: float
    high: float
    worse: int = 0
    better: int = 0
    p_value: float = 1.0

    def to_json(self) -> dict[str, Any]:
        rounded = {key: round(getattr(self, key), 6) for key in ("accuracy", "low", "high")}
        return {**asdict(self), **rounded, "p_value": float(f"{self.p_value:.3g}")}


def learn(dataset: Dataset, part: Examples) -> dict[str, Answer]:
    """Each of them by name, taught with `part`. Nothing is chosen."""
    count = len(dataset.labels)
    commonest = int(np.bincount(part.labels, minlength=count).argmax())
    rivals: dict[str, Answer] = {ALWAYS: lambda texts: np.full(len(texts), commonest)}
    for name, teach in MODELS.items():
        linear = teach(part, count, dataset.tokenizer.split)
        rivals[name] = lambda texts, answer=linear: answer(list(texts))  # type: ignore[misc]
    return rivals


def measure(rivals: dict[str, Answer], texts: Examples, network: NDArray[np.bool_] | None = None) -> list[Rival]:
    """On `texts`; `network` (texts,): whether the network has each right."""
    return [_measure(name, answer(texts.texts) == texts.labels, network) for name, answer in rivals.items()]


def _measure(name: str, right: NDArray[np.bool_], network: NDArray[np.bool_] | None) -> Rival:
    accuracy = float(right.mean()), *wilson(int(right.sum()), len(right))
    if network is None:
        return Rival(name, *accuracy)
    worse, better = int((right & ~network).sum()), int((~right & network).sum())
    p_value = float(binomtest(worse, worse + better).pvalue) if worse + better else 1.0
    return Rival(name, *accuracy, worse, better, p_value)


def best(rivals: Sequence[Rival]) -> Rival:
    return max(rivals, key=lambda rival: rival.accuracy)


def describe_hopes(rivals: Sequence[Rival], labels: Sequence[str], part: Examples) -> str:
    """Of held-out texts, before a network has learned."""
    commonest = labels[int(np.bincount(part.labels, minlength=len(labels)).argmax())]
    said = ", ".join(
        f"{f'always {commonest!r}' if rival.name == ALWAYS else rival.name} {rival.accuracy:.1%} "
        f"({rival.low:.1%} to {rival.high:.1%})"
        for rival in rivals
    )
    return f"what to expect, of the held-out texts right: {said}"


def judge(accuracy: float, rivals: Sequence[Rival]) -> str:
    """A sentence on the network beside the best of them, on the same texts."""
    rival = best(rivals)
    beside = f"{accuracy:.1%} to {rival.accuracy:.1%} on the test texts"
    alone = f"right alone: the network {rival.better:,}, the other {rival.worse:,}, p = {rival.p_value:.2g}"
    if accuracy < rival.accuracy:
        doubt = "" if rival.p_value < _CHANCE else ", which may be chance"
        return f"The network is worse than {rival.name}: {beside}{doubt} ({alone})."
    if rival.p_value < _CHANCE:
        return f"The network is better than {rival.name}: {beside} ({alone})."
    return f"The network is not surely better than {rival.name}: {beside} ({alone})."
