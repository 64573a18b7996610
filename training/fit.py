"""Trains one recipe, from labelled texts to a published bundle. Reads from top to bottom."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from app.bundle import MANIFEST, read_bundle
from training import language, models, recipes
from training.batches import Batch, Lessons, make_batches, to_targets
from training.datasets import Dataset, Examples, digest
from training.encoding import encode
from training.evaluate import fit_calibration
from training.network import Recurrent
from training.prepare import Material, Preparation, Shelf
from training.progress import bar
from training.publish import find_changes, place, publish, refuse_to_replace
from training.recipes import Recipe
from training.run import Epoch, Run, Trained

_CHECKED: Final = 512
"""Windows a batch where nothing is learned."""
_FOLDS: Final = 2
"""Parts of the texts without a label, of which a network that teaches answers each without having seen it."""
Say = Callable[[str], None]
Watch = Callable[[int, keras.Model], None]


def fit(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    seed: int = 1,
    resume: bool = False,
    replace: bool = False,
    watch: Watch | None = None,
    say: Say = print,
) -> Path:
    """Trains until the held-out loss stops falling, publishes the epoch that the recipe keeps, returns the bundle.

    A recipe with `refit` then learns anew from all training texts, for as many epochs; temperature and threshold
    stay those of the first model. The checkpoints stand in `out`/runs/<recipe>-<seed>; with `resume` a run that was
    begun goes on from the last one and ends as if it had never stopped. `watch` sees every epoch (from 1) of the model
    that is published, and changes nothing. Raises DataError if data and recipe do not fit, or the run that was begun
    is another; UsageError, before anything is trained, if a bundle stands where this one is to be published: one that
    the resumed run has published itself may be replaced, any other only with `replace`.
    """
    recipes.check(recipe, len(dataset.words))
    training, validation = dataset.parts(recipe.holdout)
    if any(isinstance(layer, Recurrent) and layer.recurrent_dropout for layer in recipe.network):
        say("recurrent dropout: cuDNN has no such thing, so a GPU trains this model no faster than step by step")

    settings = {"recipe": {**recipe.to_json(), "epochs": None}, "seed": seed, "data": dataset.sha256}
    if recipe.unlabelled:
        settings["unlabelled"] = dataset.unlabelled_sha256
    own = f"{dataset.task}-" if dataset.audit else ""  # tables of one size have one recipe
    folder = out / "runs" / f"{own}{recipe.id}-{seed}"
    target = place(out, dataset, recipe)
    replace = replace or (resume and _has_published(folder, target, recipe, seed, dataset))
    if not replace:
        refuse_to_replace(target)
    runs = [Run.resume_or_start(folder, settings) if resume else Run.start(folder, settings)]
    shelf = Shelf.beside(out, say)
    panel = [ask(recipes.RECIPES[name], dataset, (training, validation), seed, shelf) for name in recipe.teachers]
    preparation = Preparation(recipe, dataset, training, seed, shelf)
    material = Material(preparation.lessons(panel), preparation.start())
    watched = None if recipe.refit else watch
    chosen = trained = _learn(runs[0], recipe, dataset, material, validation, watched, say)
    if recipe.refit:
        runs.append(Run.resume_or_start(folder.with_name(f"{folder.name}-refit"), settings))
        again = dataclasses.replace(recipe, epochs=chosen.epoch, patience=None, keep="last")
        lessons = Preparation(recipe, dataset, dataset.learnable, seed, shelf).lessons(panel)
        trained = _learn(runs[1], again, dataset, Material(lessons, material.start), None, watch, say)

    bundle = publish(trained, chosen, recipe, dataset, (training, validation), out, replace=replace)
    for run in runs:
        run.finish()
    return bundle


def _has_published(folder: Path, target: Path, recipe: Recipe, seed: int, dataset: Dataset) -> bool:
    """Whether the run in `folder` may go on over the bundle that is there: killed at its very end, it made it."""
    begun, published = (folder / "state.json").exists(), (target / MANIFEST).exists()
    return begun and published and not find_changes(read_bundle(target).manifest, recipe, seed, dataset)


def ask(
    teacher: Recipe, dataset: Dataset, parts: tuple[Examples, Examples], seed: int, shelf: Shelf
) -> NDArray[np.float64]:
    """What models of another recipe say of the texts without a label: probabilities (texts, labels).

    A network repeats what it was taught of a text. So where the teacher's own lessons are texts without a label too,
    there is one network a fold, which learns from the other folds' texts; else one alone. Each is calibrated on the
    held-out texts, as a published model is.
    """
    scores = np.zeros((len(dataset.unlabelled), len(dataset.labels)))
    if not len(scores):
        return scores
    if not teacher.teacher:
        return _answers(teacher, dataset, parts, list(dataset.unlabelled), seed, shelf)
    fold = np.arange(len(scores)) % _FOLDS
    for one in range(min(_FOLDS, len(fold))):
        unseen = fold == one
        texts = list(compress(dataset.unlabelled, unseen))
        others = dataclasses.replace(dataset, unlabelled=list(compress(dataset.unlabelled, ~unseen)))
        scores[unseen] = _answers(teacher, others, parts, texts, seed, shelf)
    return scores


def _answers(
    teacher: Recipe, dataset: Dataset, parts: tuple[Examples, Examples], texts: list[str], seed: int, shelf: Shelf
) -> NDArray[np.float64]:
    preparation = Preparation(teacher, dataset, parts[0], seed, shelf)

    def make(folder: Path) -> dict[str, NDArray[np.float64]]:
        run = Run.resume_or_start(folder, {"recipe": teacher.to_json(), "seed": seed})
        panel = [ask(recipes.RECIPES[name], dataset, parts, seed, shelf) for name in teacher.teachers]
        material = Material(preparation.lessons(panel), preparation.start())
        trained = _learn(run, teacher, dataset, material, parts[1], None, shelf.say)
        run.finish()
        windows, owner = _predict(trained.model, teacher, dataset, parts[1].texts)
        calibration = fit_calibration(windows, owner, parts[1].labels)
        windows, owner = _predict(trained.model, teacher, dataset, texts)
        edges = np.flatnonzero(np.diff(owner)) + 1
        return {"scores": np.stack([calibration.scores(part) for part in np.split(windows, edges)])}

    return shelf.keep(teacher.id, [*preparation.made_from, teacher.to_json(), digest(texts)], make)["scores"]


def _predict(
    model: keras.Model, recipe: Recipe, dataset: Dataset, texts: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities (windows, labels), and of which text each window is (windows,)."""
    encoder = dataset.encoder(recipe.num_words, recipe.maxlen, recipe.windows)
    examples = encode(encoder, Examples(texts, np.zeros(len(texts), np.int64)))
    starts = range(0, len(examples.ids), _CHECKED)
    p = np.concatenate([model.predict_on_batch(examples.ids[start : start + _CHECKED]) for start in starts])
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p, examples.owner


def _learn(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    material: Material,
    validation: Examples | None,
    watch: Watch | None,
    say: Say,
) -> Trained:
    """Takes `run` to its end."""
    train, held_out, labels = material.lessons, None, len(dataset.labels)
    if validation is not None:
        encoder = dataset.encoder(recipe.num_words, recipe.maxlen, recipe.windows)
        held_out = Lessons(encode(encoder, validation), to_targets(validation.labels, labels))
    windows = len(train.examples.ids)
    say(f"{recipe.id} on {dataset.name}: {len(train)} texts ({windows} windows) to learn from, "
        f"{len(held_out or ())} held out, {len(dataset.test)} for the test")  # fmt: skip
    keras.utils.set_random_seed(run.seed)
    if run.history:
        model = run.load_last()
        say(f"resumed after epoch {len(run.history)}")
    else:
        served = models.build(recipe, labels)
        language.start_from(served, material.start)
        jit = models.pays_to_compile(recipe, windows)
        steps = recipe.epochs * sum(1 for _ in make_batches(train, recipe.batch))
        model = models.compile_model(models.build_learner(served), recipe, steps=steps, jit=jit)

    patience = recipe.patience or recipe.epochs
    while len(run.history) < recipe.epochs and run.stale_epochs() < patience:
        epoch = _train_epoch(model, recipe, train, held_out, run.seed, len(run.history))
        if watch:
            watch(epoch.epoch, model)
        run.record(epoch, model)
        say(_describe(epoch, recipe, best=run.best is epoch))
    return run.load_trained(recipe.keep)


def _describe(epoch: Epoch, recipe: Recipe, *, best: bool) -> str:
    learned = f"epoch {epoch.epoch:3}/{recipe.epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}"
    if epoch.val_loss is None:
        return f"{learned}  {epoch.seconds:.1f} s"
    held_out = f"held out: loss {epoch.val_loss:.4f}  accuracy {epoch.val_accuracy:.4f}"
    return f"{learned}  {held_out}  {epoch.seconds:.1f} s{' *' if best else ''}"


def _train_epoch(
    model: keras.Model, recipe: Recipe, train: Lessons, held_out: Lessons | None, seed: int, epoch: int
) -> Epoch:
    """One pass over the texts, in an order and with dropout that seed and epoch alone decide."""
    started = time.perf_counter()
    models.reseed(model, seed, epoch)
    order = np.random.default_rng([seed, epoch]).permutation(len(train))
    learned = mean_over(model.train_on_batch, make_batches(train, recipe.batch, order, recipe.window_share), len(train))
    seconds = time.perf_counter() - started
    checked = held_out and mean_over(model.test_on_batch, make_batches(held_out, _CHECKED), len(held_out))
    return Epoch(
        epoch=epoch + 1,
        loss=learned["loss"],
        accuracy=learned["accuracy"],
        val_loss=checked["loss"] if checked else None,
        val_accuracy=checked["accuracy"] if checked else None,
        seconds=round(seconds, 2),
    )


def mean_over(step: Callable[..., dict[str, float]], batches: Iterable[Batch], texts: int) -> dict[str, float]:
    """One pass: the mean over the texts of what `step` reports.

    Not `Model.fit`, whose TensorFlow input pipeline ends each pass by sleeping out its tuner's period, and that
    period doubles: a pass of ten seconds takes up to twenty (`docs/decisions.md`).
    """
    sums: dict[str, float] = {}
    shown = bar(texts)
    for batch in batches:
        found = step([batch.ids, batch.owner], batch.targets, sample_weight=batch.weights, return_dict=True)
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + float(value) * batch.texts
        shown.add(batch.texts)
    return {name: total / texts for name, total in sums.items()}
