"""Recurrent layers that have read before they are taught: a language model over texts, labelled or not.

Embedding and recurrent layers learn to tell the next word from words drawn by chance, then start a classifier (Dai and
Le, 2015, "Semi-supervised sequence learning"). The word that comes is compared with `DRAWN` others, the same for the
whole batch, drawn as often as their counts to the power of 0.75; each word has a bias of its own, which takes up how
often it is drawn (sampled softmax; Jean et al., 2015). Words in and out share one table (Press and Wolf, 2017).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from app.errors import DataError
from app.text import PAD, Ids
from training import models, network
from training.progress import bar
from training.recipes import Recipe
from training.run import Epoch, Run

DRAWN: Final = 1024
BATCH: Final = 128
_DROPOUT: Final = 0.1
_RATE: Final = 2e-3
_GRADIENT_NORM: Final = 1.0
_SMOOTHING: Final = 0.75
_NEVER: Final = -1e9

Weights = dict[str, NDArray[np.float32]]
"""By layer and place, as in 'gru_1/0'."""
Say = Callable[[str], None]


@keras.saving.register_keras_serializable("sentopic")
class NextWord(layers.Layer):  # type: ignore[misc] # Keras has no types
    """How well each word fits as the next one, the right one first.

    `call` takes what the steps say (batch, steps, size); the right words' ids (batch, steps), vectors (batch, steps,
    size) and biases (batch, steps, 1); the drawn words' ids (batch, each), vectors and biases likewise. It gives
    (batch, steps, 1 + batch · each) log-odds; a drawn word that is the right one is out of the running.
    """

    def call(self, said: Any, right: tuple[Any, Any, Any], drawn: tuple[Any, Any, Any]) -> Any:
        ops = keras.ops
        ids, vectors, bias = right
        others, other_vectors, other_bias = (ops.reshape(part, (-1, *part.shape[2:])) for part in drawn)
        fit = ops.sum(said * vectors, axis=-1, keepdims=True) + bias
        rest = ops.matmul(said, ops.transpose(other_vectors)) + ops.squeeze(other_bias, -1)
        rest = ops.where(ops.expand_dims(ids, -1) == others, _NEVER, rest)
        return ops.concatenate([fit, rest], axis=-1)

    def compute_output_shape(self, said_shape: Any, right_shape: Any, drawn_shape: Any) -> Any:  # noqa: ARG002
        return (*said_shape[:2], None)


def check(recipe: Recipe) -> None:
    """Raises DataError for a network that reads anything but words, step by step."""
    if any(isinstance(layer, network.Convolution | network.MaxPooling) for layer in recipe.network):
        raise DataError(
            f"{recipe.id}: a network with convolutions cannot foretell words, which it does not read singly"
        )


def build(recipe: Recipe) -> keras.Model:
    """(ids and the ids that follow them, each (batch, maxlen - 1); drawn (batch, each)) -> log-odds of `NextWord`."""
    ids = keras.Input((recipe.maxlen - 1,), dtype="int32", name="ids")
    right = keras.Input((recipe.maxlen - 1,), dtype="int32", name="right")
    drawn = keras.Input((DRAWN // BATCH,), dtype="int32", name="drawn")
    embedding = layers.Embedding(recipe.num_words, recipe.embedding, name="embedding")
    bias = layers.Embedding(recipe.num_words, 1, embeddings_initializer="zeros", name="bias")
    x = layers.SpatialDropout1D(_DROPOUT)(embedding(ids))
    for place, layer in enumerate(each for each in recipe.network if isinstance(each, network.Recurrent)):
        x = models.recurrent(layer, place, whole=True)(x)
        x = layers.Dropout(_DROPOUT)(x)
    said = layers.Dense(recipe.embedding, name="said")(x)
    fits = NextWord(name="next_word")(
        said, (right, embedding(right), bias(right)), (drawn, embedding(drawn), bias(drawn))
    )
    return keras.Model([ids, right, drawn], fits, name="language")


def describe(recipe: Recipe) -> list[Any]:
    """What of a recipe decides the language model."""
    recurrent = [layer for layer in network.to_json(recipe.network) if layer["layer"] == "Recurrent"]
    return [recipe.pretrain, recipe.num_words, recipe.maxlen, recipe.vectors, recipe.embedding, recurrent]


def pretrain(recipe: Recipe, ids: Ids, start: Weights, seed: int, folder: Path, say: Say) -> Weights:
    """Weights of embedding and recurrent layers after `recipe.pretrain` passes over the windows `ids`.

    `start`: what they start from, if not by chance. Interrupted, it goes on from its last pass, in `folder`.
    """
    check(recipe)
    run = Run.resume_or_start(folder, {"model": describe(recipe), "seed": seed})
    keras.utils.set_random_seed(seed)
    steps = -(-len(ids) // BATCH)
    if run.history:
        model = run.load_last()
    else:
        model = build(recipe)
        start_from(model, start)
        rate = keras.optimizers.schedules.CosineDecay(_RATE, recipe.pretrain * steps, alpha=0.01)
        model.compile(
            optimizer=keras.optimizers.Adam(rate, clipnorm=_GRADIENT_NORM),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            jit_compile=False,
        )
    while len(run.history) < recipe.pretrain:
        epoch = _read_once(model, ids, seed, len(run.history))
        run.record(epoch, model)
        say(f"pretraining {epoch.epoch}/{recipe.pretrain}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
            f"{epoch.seconds:.1f} s")  # fmt: skip
    run.finish()
    named = [layer for layer in model.layers if isinstance(layer, (layers.Embedding, layers.RNN))]
    return {
        f"{layer.name}/{place}": array
        for layer in named if layer.name != "bias"
        for place, array in enumerate(layer.get_weights())
    }  # fmt: skip


def start_from(model: keras.Model, weights: Weights) -> None:
    """Gives the classifier `model` what its layers have learned from reading."""
    for name in dict.fromkeys(key.split("/")[0] for key in weights):
        layer = model.get_layer(name)
        layer.set_weights([weights[f"{name}/{place}"] for place in range(len(layer.get_weights()))])


def _read_once(model: keras.Model, ids: Ids, seed: int, epoch: int) -> Epoch:
    """One pass over the windows, in an order, with words drawn and dropout that seed and epoch alone decide."""
    started = time.perf_counter()
    models.reseed(model, seed, epoch)
    sums, words = np.zeros(2), 0
    shown = bar(len(ids))
    for batch, drawn, weights in make_batches(ids, model.get_layer("embedding").input_dim, [seed, epoch]):
        counted = int((weights > 0).sum())
        found = model.train_on_batch(
            [batch[:, :-1], batch[:, 1:], drawn], np.zeros_like(weights), sample_weight=weights, return_dict=True
        )
        sums += counted * np.array([found["loss"], found["accuracy"]])
        words += counted
        shown.add(int((batch[:, -1] != PAD).sum()))
    loss, accuracy = sums / words
    return Epoch(epoch + 1, float(loss), float(accuracy), None, None, round(time.perf_counter() - started, 2))


def make_batches(ids: Ids, num_words: int, seed: list[int]) -> Iterator[tuple[Ids, Ids, NDArray[np.float32]]]:
    """(windows, drawn words, weights of the steps): what pads a window, or the last batch, has no weight."""
    generator = np.random.default_rng(seed)
    counts = np.bincount(ids.ravel(), minlength=num_words).astype(np.float64)
    counts[PAD] = 0
    reach = np.cumsum(counts**_SMOOTHING)
    order = generator.permutation(len(ids))
    for start in range(0, len(ids), BATCH):
        places = order[start : start + BATCH]
        batch = np.full((BATCH, ids.shape[1]), PAD, np.int32)
        batch[: len(places)] = ids[places]
        draws = generator.random((BATCH, DRAWN // BATCH)) * reach[-1]
        drawn = np.searchsorted(reach, draws, side="right").astype(np.int32)
        present = (batch[:, 1:] != PAD).astype(np.float32)
        yield batch, drawn, present * (present.size / max(1.0, present.sum()))
