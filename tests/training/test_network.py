"""A network as values, and the Keras model that they become."""

import pytest

pytest.importorskip("keras")

from training.models import build
from training.network import (
    Convolution,
    Dropout,
    Embedding,
    Layer,
    MaxPooling,
    Recurrent,
    SpatialDropout,
    Summary,
    describe,
    to_json,
)
from training.recipes import Recipe


def recipe(*layers: Layer) -> Recipe:
    return Recipe(name="x", data="imdb", model="x", num_words=50, maxlen=12, network=layers)


def shapes(*layers: Layer, labels: int = 2) -> list[tuple[str, tuple[int | None, ...]]]:
    model = build(recipe(*layers), labels)
    return [(type(layer).__name__, layer.output.shape) for layer in model.layers[1:]]


def test_recurrent_layer_below_another_hands_on_every_step() -> None:
    assert shapes(Embedding(4), Recurrent("lstm", 5), Dropout(0.1), Recurrent("gru", 3)) == [
        ("Embedding", (None, 12, 4)),
        ("LSTM", (None, 12, 5)),
        ("Dropout", (None, 12, 5)),
        ("GRU", (None, 3)),
        ("Dense", (None, 1)),
    ]


def test_summary_reads_maximum_and_mean_of_every_recurrent_layer() -> None:
    layers = (Embedding(4), SpatialDropout(0.1), Recurrent("lstm", 5), Recurrent("lstm", 3), Summary(), Dropout(0.1))
    assert shapes(*layers, labels=4)[-3:] == [
        ("Concatenate", (None, 16)),
        ("Dropout", (None, 16)),
        ("Dense", (None, 4)),
    ]


def test_convolution_and_pooling_shorten_the_sequence() -> None:
    assert shapes(Embedding(4), Convolution(6, 5), MaxPooling(4), Recurrent("simple_rnn", 3))[1:3] == [
        ("Conv1D", (None, 8, 6)),
        ("MaxPooling1D", (None, 2, 6)),
    ]


def test_description_names_what_learns() -> None:
    layers = (Embedding(4), Dropout(0.1), Convolution(6, 5), MaxPooling(4), Recurrent("simple_rnn", 3), Summary())
    assert describe(layers) == "embedding 4, convolution 6 x 5, RNN 3, maximum and mean over time"
    assert to_json(layers)[2] == {"layer": "Convolution", "filters": 6, "width": 5}


def test_dropouts_of_a_recurrent_layer_reach_keras() -> None:
    layer = build(recipe(Embedding(4), Recurrent("lstm", 5, dropout=0.2, recurrent_dropout=0.3)), 2).get_layer("lstm_1")
    assert (layer.dropout, layer.recurrent_dropout) == (0.2, 0.3)
