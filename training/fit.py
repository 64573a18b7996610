"""Trains one recipe, from labelled texts to a published bundle. Reads from top to bottom."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from app.text import TextEncoder
from training import models, recipes
from training.datasets import Dataset, hold_out
from training.encoding import EncodedExamples, encode
from training.network import Recurrent
from training.publish import publish
from training.recipes import Recipe
from training.run import Epoch, Run
from training.vectors import fit_vectors

Say = Callable[[str], None]


def fit(recipe: Recipe, dataset: Dataset, out: Path, *, seed: int = 1, resume: bool = False, say: Say = print) -> Path:
    """Trains until the held-out loss stops falling, publishes the best epoch, and returns the bundle's directory.

    The run's checkpoints stand in `out`/runs/<recipe>-<seed>; with `resume` it goes on from the last one
    and ends as if it had never stopped. Raises DataError if data and recipe do not fit, or there is nothing to resume.
    """
    recipes.check(recipe)
    training, validation = hold_out(dataset.train, recipe.holdout)
    encoder = TextEncoder(dataset.words, recipe.num_words, recipe.maxlen, recipe.windows)
    train, held_out = encode(encoder, training), encode(encoder, validation)
    say(f"{recipe.id} on {dataset.name}: {len(training)} texts ({len(train.ids)} windows) to learn from, "
        f"{len(validation)} held out, {len(dataset.test)} for the test")  # fmt: skip

    if any(isinstance(layer, Recurrent) and layer.recurrent_dropout for layer in recipe.network):
        say("recurrent dropout: cuDNN has no such thing, so a GPU trains this model no faster than step by step")

    settings = {"recipe": {**recipe.to_json(), "epochs": None}, "seed": seed, "data": dataset.sha256}
    folder = out / "runs" / f"{recipe.id}-{seed}"
    run = Run.resume(folder, settings) if resume else Run.start(folder, settings)
    keras.utils.set_random_seed(seed)
    if run.history:
        model = run.load_last()
        say(f"resumed after epoch {len(run.history)}")
    else:
        model = models.compile_model(models.build(recipe, len(dataset.labels)), recipe)
        if recipe.vectors == "svd":
            say("word vectors from the training texts")
            sequences = [encoder.encode_all(text) for text in training.texts]
            vectors = fit_vectors(sequences, recipe.num_words, recipe.embedding, seed)
            model.get_layer("embedding").embeddings.assign(vectors)

    patience = recipe.patience or recipe.epochs
    while len(run.history) < recipe.epochs and run.stale_epochs() < patience:
        epoch = _train_epoch(model, recipe, train, held_out, seed, len(run.history))
        run.record(epoch, model)
        say(_describe(epoch, recipe, best=run.best is epoch))

    bundle = publish(run.load_trained(recipe.keep), recipe, dataset, (training, validation), out)
    run.finish()
    return bundle


def _describe(epoch: Epoch, recipe: Recipe, *, best: bool) -> str:
    return (
        f"epoch {epoch.epoch:3}/{recipe.epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
        f"held out: loss {epoch.val_loss:.4f}  accuracy {epoch.val_accuracy:.4f}  "
        f"{epoch.seconds:.1f} s{' *' if best else ''}"
    )


def _train_epoch(
    model: keras.Model, recipe: Recipe, train: EncodedExamples, held_out: EncodedExamples, seed: int, epoch: int
) -> Epoch:
    """One pass over the windows, in an order and with dropout that seed and epoch alone decide."""
    started = time.perf_counter()
    models.reseed(model, seed, epoch)
    order = np.random.default_rng([seed, epoch]).permutation(len(train.ids))
    history = model.fit(
        train.ids[order],
        train.window_labels[order],
        batch_size=recipe.batch,
        shuffle=False,
        verbose=1 if sys.stderr.isatty() else 0,
    ).history
    seconds = time.perf_counter() - started
    checked = model.evaluate(held_out.ids, held_out.window_labels, batch_size=512, verbose=0, return_dict=True)
    return Epoch(
        epoch=epoch + 1,
        loss=history["loss"][0],
        accuracy=history["accuracy"][0],
        val_loss=checked["loss"],
        val_accuracy=checked["accuracy"],
        seconds=round(seconds, 2),
    )
