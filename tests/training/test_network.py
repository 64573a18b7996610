"""A network as values, and the Keras model that they become."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.bundle import read_bundle
from app.engines.open import open_engine
from training.datasets import Dataset, Examples
from training.datasets.imdb import LABELS as SENTIMENTS
from training.datasets.reuters import LABELS as TOPICS
from training.fit import fit
from training.models import build, list_layers
from training.network import (
    Convolution,
    Dropout,
    Embedding,
    Layer,
    MaxPooling,
    Recurrent,
    SpatialDropout,
    Summary,
    count_parameters,
    describe,
    least_maxlen,
    to_json,
)
from training.recipes import RECIPES, Recipe, find


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


def test_layers_are_listed_with_those_that_they_read() -> None:
    recipe = dataclasses.replace(find("topic-gru"), network=(Embedding(4), Recurrent("gru", 3), Summary()))
    listed = list_layers(build(recipe, 3))
    assert [layer.reads for layer in listed] == [(), (0,), (1,), (2,), (2,), (3, 4), (5,)]
    assert listed[2].output == (None, 100, 3)
    assert listed[2].parameters == 3 * 3 * (4 + 3 + 2)


def test_shortest_window_leaves_every_layer_a_step() -> None:
    layers = (Embedding(4), Convolution(6, 5), MaxPooling(4), Recurrent("simple_rnn", 3))
    assert least_maxlen(layers) == 8
    recipe = dataclasses.replace(find("topic-gru"), network=layers, maxlen=8)
    assert build(recipe, 3).layers[3].output.shape == (None, 1, 6)
    with pytest.raises(ValueError, match=r"negative|zero"):
        build(dataclasses.replace(recipe, maxlen=7), 3)


def test_description_names_what_learns() -> None:
    layers = (Embedding(4), Dropout(0.1), Convolution(6, 5), MaxPooling(4), Recurrent("simple_rnn", 3), Summary())
    assert describe(layers) == "embedding 4, convolution 6 x 5, RNN 3, maximum and mean over time"
    assert describe(layers, everything=True) == (
        "embedding 4, dropout 0.1, convolution 6 x 5, maximum of each 4 steps, RNN 3, maximum and mean over time"
    )
    dropping = (SpatialDropout(0.2), Recurrent("lstm", 8, dropout=0.3, recurrent_dropout=0.1))
    assert describe(dropping) == "LSTM 8"
    assert describe(dropping, everything=True) == (
        "dropout 0.2 of whole channels, LSTM 8 (dropout 0.3 of what it reads and 0.1 of what it remembers)"
    )
    assert to_json(layers)[2] == {"layer": "Convolution", "filters": 6, "width": 5}


def test_dropouts_of_a_recurrent_layer_reach_keras() -> None:
    layer = build(recipe(Embedding(4), Recurrent("lstm", 5, dropout=0.2, recurrent_dropout=0.3)), 2).get_layer("lstm_1")
    assert (layer.dropout, layer.recurrent_dropout) == (0.2, 0.3)


def labels_of(recipe: Recipe) -> dict[str, str]:
    return SENTIMENTS if recipe.data == "imdb" else TOPICS


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.id)
def test_parameters_are_counted_as_keras_counts_them(recipe: Recipe) -> None:
    labels = len(labels_of(recipe))
    counted = [count for _, count in count_parameters(recipe.network, recipe.num_words, labels)]
    model = build(recipe, labels)
    assert counted == [layer.count_params() for layer in model.layers if layer.count_params()]
    assert sum(counted) == model.count_params()
    if recipe.published and recipe.published.parameters:
        assert tuple(counted) == recipe.published.parameters


@pytest.mark.parametrize(
    ("name", "layer", "parameters"),
    [
        ("imdb-lstm.v1", "LSTM 8", [4_384]),
        ("imdb-stacked-lstm.v1", "LSTM 8", [4_384, 544]),
        ("imdb-gru.v1", "GRU 8", [3_312]),
        ("imdb-lstm-500.v1", "LSTM 32", [8_320]),
    ],
)
def test_recurrent_layers_have_the_published_parameters(name: str, layer: str, parameters: list[int]) -> None:
    counted = count_parameters(RECIPES[name].network, RECIPES[name].num_words, 2)
    assert [count for found, count in counted if found == layer] == parameters


def test_whole_model_of_imdb_lstm_500_has_the_published_parameters() -> None:
    recipe = RECIPES["imdb-lstm-500.v1"]
    assert sum(count for _, count in count_parameters(recipe.network, recipe.num_words, 2)) == 328_353


def superseded_ones_are_slow() -> list[Any]:
    marks = {recipe.id: () if find(recipe.name) is recipe else pytest.mark.slow for recipe in RECIPES.values()}
    return [pytest.param(recipe, marks=marks[recipe.id]) for recipe in RECIPES.values()]


def slice_for(recipe: Recipe) -> Dataset:
    """Texts of the recipe's labels, few and short, over more words than it admits."""
    generator, names = np.random.default_rng(4), labels_of(recipe)
    words = [f"w{place}" for place in range(recipe.num_words + 50)]

    def draw(count: int) -> Examples:
        ranks = generator.zipf(1.3, (count, 30)) % len(words)
        labels = np.arange(count) % len(names)
        groups = np.arange(count) // len(names)
        mislabelled = np.arange(count) % 5 == 4
        return Examples([" ".join(words[rank] for rank in row) for row in ranks], labels, groups, mislabelled)

    texts = tuple(draw(3).texts)
    return Dataset(recipe.data, "slice", names, words, draw(5 * len(names) + 10), draw(20), texts)


@pytest.mark.parametrize("recipe", superseded_ones_are_slow(), ids=lambda recipe: recipe.id)
def test_recipe_trains_on_a_slice_and_reloads_to_the_same_in_both_engines(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It and its teachers, for one epoch each, after one pass of reading."""
    brief = {name: dataclasses.replace(one, epochs=1, pretrain=min(one.pretrain, 1)) for name, one in RECIPES.items()}
    monkeypatch.setattr("training.recipes.RECIPES", brief)
    dataset = slice_for(recipe)
    lines: list[str] = []
    directory = fit(brief[recipe.id], dataset, tmp_path, say=lines.append)
    bundle = read_bundle(directory)
    assert bundle.manifest.recipe["name"] == recipe.id
    encoder = bundle.encoder()
    ids = np.concatenate([encoder.encode(text).windows for text in dataset.test.texts])
    answers: list[Any] = [open_engine(bundle, engine).predict(ids) for engine in ("onnx", "keras")]
    np.testing.assert_allclose(*answers, rtol=0, atol=1e-5)
    warned = [line for line in lines if "cuDNN" in line]
    assert bool(warned) == (recipe.name == "imdb-recurrent-dropout")
