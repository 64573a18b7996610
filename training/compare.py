"""Recipes side by side: each trained with several seeds, each model asked the test texts once, one report."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from app.bundle import MANIFEST, Bundle, Calibration, read_bundle
from app.engines.base import Precision, Probabilities
from app.engines.open import open_engine
from app.errors import DataError
from app.text import Ids
from training.batches import Lessons, make_batches, to_targets
from training.datasets import Dataset
from training.encoding import encode, score_texts
from training.evaluate import log_loss
from training.fit import Watch, fit, mean_over
from training.publish import find_changes
from training.recipes import Recipe
from training.run import Epoch, Run

Load = Callable[[str], Dataset]
_WATCHED: Final = "watched.json"
_EPOCHS: Final[tuple[Literal["best", "last"], ...]] = ("best", "last")


@dataclass(frozen=True)
class Trial:
    """One model of a recipe. `scores` (test texts, labels) are uncalibrated, as the published losses are."""

    recipe: Recipe
    seed: int
    bundle: Bundle
    history: tuple[Epoch, ...]
    scores: NDArray[np.float64]
    loss: float
    accuracy: float
    best_epoch: float
    """Accuracy of the epoch with the least held-out loss, whichever is published."""
    last_epoch: float
    watched: tuple[float, ...]
    """Test accuracy after each epoch, for recipes whose published figure was picked so; else empty."""

    @property
    def epoch_seconds(self) -> float:
        return mean(epoch.seconds for epoch in self.history)


@dataclass(frozen=True)
class Figures:
    """A recipe's test figures over its seeds: means, and the spread as a standard deviation (0 for one seed)."""

    seeds: int
    loss: float
    loss_spread: float
    accuracy: float
    accuracy_spread: float
    best_epoch: float
    last_epoch: float
    picked_on_test: float | None
    """The best epoch's, had the test part been watched."""
    epoch_seconds: float
    epochs: float


def run_trials(
    recipes: Sequence[tuple[Recipe, int]], load: Load, out: Path, say: Callable[[str], None]
) -> Iterator[Trial]:
    """`recipes`: each with its number of seeds, which are counted from 1.

    Trains what `out`/<recipe>-<seed> does not hold yet, going on with what was interrupted.
    """
    for recipe, seeds in recipes:
        dataset = load(recipe.data)
        for seed in range(1, seeds + 1):
            folder = folder_of(out, recipe, seed)
            directory = folder / dataset.task / recipe.model
            if (directory / MANIFEST).exists():
                _check_same(directory, recipe, seed, dataset)
            else:
                train(recipe, seed, dataset, folder, say)
            yield _ask(recipe, seed, read_bundle(directory), dataset, folder)


def folder_of(out: Path, recipe: Recipe, seed: int) -> Path:
    """Where a run has all that it makes."""
    return out / f"{recipe.id}-{seed}"


def train(recipe: Recipe, seed: int, dataset: Dataset, folder: Path, say: Callable[[str], None]) -> None:
    """One run, here. What was interrupted goes on."""
    fit(recipe, dataset, folder, seed=seed, resume=True, watch=_watch(recipe, dataset, folder / _WATCHED), say=say)


def summarise(trials: Sequence[Trial]) -> Figures:
    losses, accuracies = [trial.loss for trial in trials], [trial.accuracy for trial in trials]
    return Figures(
        seeds=len(trials),
        loss=round(mean(losses), 4),
        loss_spread=round(_spread(losses), 4),
        accuracy=round(mean(accuracies), 4),
        accuracy_spread=round(_spread(accuracies), 4),
        best_epoch=round(mean(trial.best_epoch for trial in trials), 4),
        last_epoch=round(mean(trial.last_epoch for trial in trials), 4),
        picked_on_test=round(mean(max(trial.watched) for trial in trials), 4) if trials[0].watched else None,
        epoch_seconds=round(mean(trial.epoch_seconds for trial in trials), 1),
        epochs=round(mean(len(trial.history) for trial in trials), 1),
    )


def hardest(trials: Sequence[Trial], labels: NDArray[np.int64], count: int) -> list[tuple[int, int, float, float]]:
    """(test text, the answer, the right label's score, the answer's), where the trials give the right least."""
    together = np.mean([trial.scores for trial in trials], axis=0)
    right = together[np.arange(len(labels)), labels]
    worst = np.argsort(right, kind="stable")[:count]
    answers = together.argmax(axis=1)
    return [(int(i), int(answers[i]), float(right[i]), float(together[i, answers[i]])) for i in worst]


class _AsTrained:
    """A Keras model as it came from training, with an engine's face."""

    name = "trained"
    precision: Precision = "float32"
    block_bytes = 0

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def predict(self, ids: Ids) -> Probabilities:
        p: Probabilities = np.asarray(self._model.predict(ids, verbose=0, batch_size=512))
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p


def _check_same(directory: Path, recipe: Recipe, seed: int, dataset: Dataset) -> None:
    """A bundle of another run must not pass for one of this."""
    if differs := find_changes(read_bundle(directory).manifest, recipe, seed, dataset):
        raise DataError(f"{directory} holds another model: its {', '.join(differs)} differs. Compare in another --out.")


def _watch(recipe: Recipe, dataset: Dataset, path: Path) -> Watch | None:
    """Writes down the test accuracy of each epoch where the published figure was picked so. Nothing is chosen by it."""
    if not (recipe.published and recipe.published.picked_on_test):
        return None
    encoder = dataset.encoder(recipe.num_words, recipe.maxlen, recipe.windows)
    test = Lessons(encode(encoder, dataset.test), to_targets(dataset.test.labels, len(dataset.labels)))

    def watch(epoch: int, model: keras.Model) -> None:
        found = json.loads(path.read_text()) if path.exists() else {}
        measured = mean_over(model.test_on_batch, make_batches(test, 512), len(test))["accuracy"]
        path.write_text(json.dumps({**found, str(epoch): round(measured, 6)}))

    return watch


def _ask(recipe: Recipe, seed: int, bundle: Bundle, dataset: Dataset, folder: Path) -> Trial:
    """The test texts through the published model, and through the best and the last epoch's of the held-out run."""
    run = Run.open(folder / "runs" / folder.name)
    watched = json.loads((folder / _WATCHED).read_text()) if (folder / _WATCHED).exists() else {}
    plain = bundle.manifest.model_copy(update={"calibration": Calibration(temperature=1, uncertain_below=0)})
    test = encode(bundle.encoder(), dataset.test)
    scores = score_texts(open_engine(bundle, "onnx"), plain, test)
    report: dict[str, Any] = json.loads((bundle.directory / "metrics.json").read_text(encoding="utf-8"))
    history = tuple(Epoch(**epoch) for epoch in report["history"])

    def accuracy(found: NDArray[np.float64]) -> float:
        return float((found.argmax(axis=1) == test.labels).mean())

    best, last = (
        accuracy(score_texts(_AsTrained(run.load_epoch(which)), plain, test, len(test.ids))) for which in _EPOCHS
    )
    return Trial(
        recipe=recipe,
        seed=seed,
        bundle=bundle,
        history=history,
        scores=scores,
        loss=log_loss(scores, test.labels),
        accuracy=accuracy(scores),
        best_epoch=best,
        last_epoch=last,
        watched=tuple(watched.values()),
    )


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0
