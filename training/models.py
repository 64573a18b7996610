"""Recipe -> Keras model: window of ids in, one probability a label out. Pure Keras 3, any back end."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import keras
import numpy as np
from keras import layers

from training import network
from training.network import OVER_TIME
from training.recipes import Recipe

_RECURRENT = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
_WORTH_COMPILING: Final = 5_000
_SMALL: Final = 32
_EPSILON: Final = 1e-7
_OPTIMIZERS = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}


def build(recipe: Recipe, labels: int) -> keras.Model:
    """Input (batch, maxlen) int32; output (batch, labels), or (batch, 1) where there are two labels.

    With two labels the one output is the probability of the second.
    """
    ids = x = keras.Input((recipe.maxlen,), dtype="int32", name="ids")
    sequences: list[Any] = []
    for place, layer in enumerate(recipe.network):
        above = recipe.network[place + 1 :]
        x = _add(layer, x, sequences, recipe, whole=any(isinstance(other, OVER_TIME) for other in above))
        if isinstance(layer, network.Recurrent):
            sequences.append(x)
    if labels == 2:
        answer = layers.Dense(1, activation="sigmoid", name="probability")(x)
    else:
        answer = layers.Dense(labels, activation="softmax", name="probabilities")(x)
    return keras.Model(ids, answer, name=recipe.id.replace(".", "_").replace("-", "_"))


def _add(  # noqa: PLR0911 - one line a kind
    layer: network.Layer, x: Any, sequences: list[Any], recipe: Recipe, *, whole: bool
) -> Any:
    """What `layer` makes of `x`; a recurrent one hands on every step if `whole`, else its last state."""
    match layer:
        case network.Embedding(size):
            return layers.Embedding(recipe.num_words, size, name="embedding")(x)
        case network.SpatialDropout(rate):
            return layers.SpatialDropout1D(rate)(x)
        case network.Dropout(rate):
            return layers.Dropout(rate)(x)
        case network.Convolution(filters, width):
            return layers.Conv1D(filters, width, activation="relu")(x)
        case network.MaxPooling(width):
            return layers.MaxPooling1D(width)(x)
        case network.Summary():
            pools = (layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
            return layers.Concatenate(name="pooled")([pool()(sequence) for sequence in sequences for pool in pools])
        case network.Recurrent():
            return recurrent(layer, len(sequences), whole=whole)(x)


def recurrent(layer: network.Recurrent, place: int, *, whole: bool) -> keras.layers.Layer:
    """The recurrent layer at that place, from 0; it hands on every step if `whole`, else its last state."""
    return _RECURRENT[layer.kind](
        layer.units,
        return_sequences=whole,
        dropout=layer.dropout,
        recurrent_dropout=layer.recurrent_dropout,
        name=f"{layer.kind}_{place + 1}",
    )


@keras.saving.register_keras_serializable("sentopic")
class AverageWindows(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Probabilities of windows -> of their texts: log-odds averaged, as `app.bundle.Manifest.scores` does.

    `call` takes probabilities (size, outputs) and owner (size,), the row of the text that a window is of; it gives
    (2 size, outputs): first a row a text (of no text: 1/2, or the same for every label), then the windows' own.
    """

    def call(self, probabilities: Any, owner: Any) -> Any:
        count = keras.ops.shape(probabilities)[0]
        p = keras.ops.clip(probabilities, _EPSILON, 1 - _EPSILON)
        binary = p.shape[-1] == 1
        evidence = keras.ops.log(p) - keras.ops.log1p(-p) if binary else keras.ops.log(p)
        sums = keras.ops.segment_sum(evidence, owner, num_segments=count)
        windows = keras.ops.segment_sum(keras.ops.ones_like(evidence[:, :1]), owner, num_segments=count)
        mean = sums / keras.ops.maximum(windows, 1.0)
        texts = keras.ops.sigmoid(mean) if binary else keras.ops.softmax(mean)
        return keras.ops.concatenate([texts, probabilities])

    def compute_output_shape(self, probabilities_shape: Any, owner_shape: Any) -> Any:  # noqa: ARG002 - Keras' names
        return (None, probabilities_shape[1])


@keras.saving.register_keras_serializable("sentopic")  # type: ignore[untyped-decorator] # Keras has no types
def accuracy(targets: Any, probabilities: Any) -> Any:
    """Whether the likeliest label is also the target's: targets may be shares."""
    if probabilities.shape[-1] == 1:
        right = (targets > 0.5) == (probabilities > 0.5)
        return keras.ops.cast(keras.ops.squeeze(right, -1), "float32")
    right = keras.ops.argmax(targets, -1) == keras.ops.argmax(probabilities, -1)
    return keras.ops.cast(right, "float32")


def build_learner(served: keras.Model) -> keras.Model:
    """The model that learns: (ids, owner) -> probabilities of texts and windows, by way of `served`."""
    owner = keras.Input((), dtype="int32", name="owner")
    return keras.Model([served.input, owner], AverageWindows(name="averaged")(served(served.input), owner))


def served_model(learner: keras.Model) -> keras.Model:
    return next(layer for layer in learner.layers if isinstance(layer, keras.Model))


@dataclass(frozen=True)
class LayerShape:
    """A layer as it is drawn; `reads`: the places of the layers whose output it takes."""

    name: str
    output: tuple[int | None, ...]
    parameters: int
    reads: tuple[int, ...]


def list_layers(model: keras.Model) -> list[LayerShape]:
    places = {layer.name: place for place, layer in enumerate(model.layers)}
    found = []
    for place, layer in enumerate(model.layers):
        makers = [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]  # noqa: SLF001
        reads = sorted(places[name] for name in makers if places.get(name, place) < place)
        found.append(LayerShape(layer.name, tuple(layer.output.shape), layer.count_params(), tuple(reads)))
    return found


def compile_model(
    model: keras.Model, recipe: Recipe, *, steps: int = 1, jit: bool | Literal["auto"] = "auto"
) -> keras.Model:
    """A learner, ready to learn in so many steps. `jit`: as `pays_to_compile` says; "auto" is Keras' own choice."""
    binary = model.output_shape[-1] == 1
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)
    model.compile(
        optimizer=_OPTIMIZERS[recipe.optimizer](rate, clipnorm=recipe.gradient_norm),
        loss="binary_crossentropy" if binary else "categorical_crossentropy",
        weighted_metrics=[accuracy],
        jit_compile=jit,
    )
    return model


def pays_to_compile(recipe: Recipe, windows: int) -> bool | Literal["auto"]:
    """Whether XLA makes a run over so many windows faster: `compile_model`'s `jit`.

    On a CPU it takes a small recurrent step in half the time, a large LSTM's in four times and a convolution in eight
    times the time, and seconds to compile (`docs/decisions.md`); on a GPU it would stand in the way of cuDNN.
    """
    small = all(
        layer.units <= _SMALL if isinstance(layer, network.Recurrent) else not isinstance(layer, network.Convolution)
        for layer in recipe.network
    )
    if _has_gpu() or not small or windows < _WORTH_COMPILING:
        return "auto"
    return True


def _has_gpu() -> bool:
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # what JAX says where there is none
        return False


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Sets every dropout's generator to what it is at the start of that epoch, however the run got there."""
    for place, layer in enumerate(model._flatten_layers()):  # noqa: SLF001 - cells too, which `layers` leaves out
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([seed * 1_000 + place, epoch]))
