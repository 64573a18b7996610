"""Trains one recipe, from labelled texts to a published bundle. Reads from top to bottom."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from app.text import Ids, TextEncoder
from training import models, recipes
from training.datasets import Dataset, Examples, hold_out
from training.datasets.dataset import Labels
from training.encoding import EncodedExamples, encode
from training.network import Recurrent
from training.publish import publish
from training.recipes import Recipe
from training.run import Epoch, Run, Trained
from training.vectors import fit_vectors

Say = Callable[[str], None]
Watch = Callable[[int, keras.Model], None]


def fit(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    seed: int = 1,
    resume: bool = False,
    watch: Watch | None = None,
    say: Say = print,
) -> Path:
    """Trains until the held-out loss stops falling, publishes the epoch that the recipe keeps, returns the bundle.

    A recipe with `refit` then learns anew from all training texts, for as many epochs; temperature and threshold
    stay those of the first model. The checkpoints stand in `out`/runs/<recipe>-<seed>; with `resume` a run goes on from
    the last one and ends as if it had never stopped. `watch` sees every epoch (from 1) of the model that is published,
    and changes nothing. Raises DataError if data and recipe do not fit, or there is nothing to resume.
    """
    recipes.check(recipe, len(dataset.words))
    training, validation = hold_out(dataset.train, recipe.holdout)
    if any(isinstance(layer, Recurrent) and layer.recurrent_dropout for layer in recipe.network):
        say("recurrent dropout: cuDNN has no such thing, so a GPU trains this model no faster than step by step")

    settings = {"recipe": {**recipe.to_json(), "epochs": None}, "seed": seed, "data": dataset.sha256}
    folder = out / "runs" / f"{recipe.id}-{seed}"
    runs = [Run.resume(folder, settings) if resume else Run.start(folder, settings)]
    watched = None if recipe.refit else watch
    chosen = trained = _learn(runs[0], recipe, dataset, (training, validation), seed, watched, say)
    if recipe.refit:
        runs.append(Run.resume_or_start(folder.with_name(f"{folder.name}-refit"), settings))
        again = replace(recipe, epochs=chosen.epoch, patience=None, keep="last")
        trained = _learn(runs[1], again, dataset, (dataset.train, None), seed, watch, say)

    bundle = publish(trained, chosen, recipe, dataset, (training, validation), out)
    for run in runs:
        run.finish()
    return bundle


def _learn(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    parts: tuple[Examples, Examples | None],
    seed: int,
    watch: Watch | None,
    say: Say,
) -> Trained:
    """Takes `run` to its end. `parts`: texts to learn from, texts held out."""
    encoder = TextEncoder(dataset.words, recipe.num_words, recipe.maxlen, recipe.windows)
    train = encode(encoder, parts[0])
    held_out = None if parts[1] is None else encode(encoder, parts[1])
    say(f"{recipe.id} on {dataset.name}: {len(parts[0])} texts ({len(train.ids)} windows) to learn from, "
        f"{len(parts[1] or ())} held out, {len(dataset.test)} for the test")  # fmt: skip
    keras.utils.set_random_seed(seed)
    if run.history:
        model = run.load_last()
        say(f"resumed after epoch {len(run.history)}")
    else:
        jit = models.pays_to_compile(recipe, len(train.ids))
        model = models.compile_model(models.build(recipe, len(dataset.labels)), recipe, jit=jit)
        if recipe.vectors == "svd":
            say("word vectors from the training texts")
            sequences = [encoder.encode_all(text) for text in parts[0].texts]
            vectors = fit_vectors(sequences, recipe.num_words, recipe.embedding, seed)
            model.get_layer("embedding").embeddings.assign(vectors)

    patience = recipe.patience or recipe.epochs
    while len(run.history) < recipe.epochs and run.stale_epochs() < patience:
        epoch = _train_epoch(model, recipe, train, held_out, seed, len(run.history))
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
    model: keras.Model,
    recipe: Recipe,
    train: EncodedExamples,
    held_out: EncodedExamples | None,
    seed: int,
    epoch: int,
) -> Epoch:
    """One pass over the windows, in an order and with dropout that seed and epoch alone decide."""
    started = time.perf_counter()
    models.reseed(model, seed, epoch)
    order = np.random.default_rng([seed, epoch]).permutation(len(train.ids))
    learned = mean_over(model.train_on_batch, train.ids[order], train.window_labels[order], recipe.batch)
    seconds = time.perf_counter() - started
    checked = held_out and mean_over(model.test_on_batch, held_out.ids, held_out.window_labels, batch=512)
    return Epoch(
        epoch=epoch + 1,
        loss=learned["loss"],
        accuracy=learned["accuracy"],
        val_loss=checked["loss"] if checked else None,
        val_accuracy=checked["accuracy"] if checked else None,
        seconds=round(seconds, 2),
    )


def mean_over(step: Callable[..., dict[str, float]], ids: Ids, labels: Labels, batch: int) -> dict[str, float]:
    """One pass in batches: the mean over the windows of what `step` reports.

    Not `Model.fit`, whose TensorFlow input pipeline ends each pass by sleeping out its tuner's period, and that
    period doubles: a pass of ten seconds takes up to twenty (`docs/decisions.md`).
    """
    sums: dict[str, float] = {}
    shown = sys.stdout.isatty() and keras.config.is_interactive_logging_enabled()
    bar = keras.utils.Progbar(len(ids), verbose=1 if shown else 0)
    for start in range(0, len(ids), batch):
        rows = slice(start, start + batch)
        count = len(ids[rows])
        for name, value in step(ids[rows], labels[rows], return_dict=True).items():
            sums[name] = sums.get(name, 0.0) + float(value) * count
        bar.add(count)
    return {name: total / len(ids) for name, total in sums.items()}
