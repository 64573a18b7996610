"""Recipe -> Keras model: window of ids in, one probability a label out. Pure Keras 3, any back end."""

import keras
import numpy as np
from keras import layers

from training.recipes import Recipe

_RECURRENT = {"lstm": layers.LSTM, "gru": layers.GRU}


def build(recipe: Recipe, labels: int) -> keras.Model:
    """Input (batch, maxlen) int32; output (batch, labels), or (batch, 1) where there are two labels.

    With two labels the one output is the probability of the second.
    """
    ids = keras.Input((recipe.maxlen,), dtype="int32", name="ids")
    x = layers.Embedding(recipe.num_words, recipe.embedding, name="embedding")(ids)
    if recipe.embedding_dropout:
        x = layers.SpatialDropout1D(recipe.embedding_dropout)(x)
    pooled = recipe.pooling != "last"
    sequences = []
    for depth, units in enumerate(recipe.units, start=1):
        if depth > 1 and recipe.dropout:
            x = layers.Dropout(recipe.dropout)(x)
        whole = pooled or depth < len(recipe.units)
        x = _RECURRENT[recipe.layer](units, return_sequences=whole, name=f"{recipe.layer}_{depth}")(x)
        sequences.append(x)
    if pooled:
        pools = (layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D)
        x = layers.Concatenate(name="pooled")([pool()(sequence) for sequence in sequences for pool in pools])
    if recipe.dropout:
        x = layers.Dropout(recipe.dropout)(x)
    if labels == 2:
        answer = layers.Dense(1, activation="sigmoid", name="probability")(x)
    else:
        answer = layers.Dense(labels, activation="softmax", name="probabilities")(x)
    return keras.Model(ids, answer, name=recipe.id.replace(".", "_").replace("-", "_"))


def compile_model(model: keras.Model, recipe: Recipe) -> keras.Model:
    binary = model.output_shape[-1] == 1
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate, clipnorm=1.0),
        loss="binary_crossentropy" if binary else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Sets every dropout's generator to what it is at the start of that epoch, however the run got there."""
    for place, layer in enumerate(model._flatten_layers()):  # noqa: SLF001 - cells too, which `layers` leaves out
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([seed * 1_000 + place, epoch]))
