"""A language model learns what comes next, and its layers start a classifier."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.errors import DataError
from app.text import PAD, Ids
from training import language, models
from training.network import Convolution, Embedding, Recurrent

TWO = (Embedding(8), Recurrent("lstm", 8), Recurrent("gru", 6))


def counting(windows: int = 600, length: int = 10) -> Ids:
    """Windows that count up from 4 to 13 and begin anew, from anywhere; some are padded in front."""
    generator = np.random.default_rng(0)
    ids = (4 + (generator.integers(10, size=(windows, 1)) + np.arange(length)) % 10).astype(np.int32)
    for row in range(0, windows, 3):
        ids[row, : generator.integers(1, length - 1)] = PAD
    return ids


def test_it_learns_what_comes_next(tiny: Any, tmp_path: Path) -> None:
    """A drawn word is the right one in one case of ten, and then out of the running."""
    said: list[str] = []
    recipe = tiny.recipe(network=TWO, pretrain=40)
    language.pretrain(recipe, counting(900), {}, 1, tmp_path / "run", said.append)
    losses = [float(line.split()[3]) for line in said]
    accuracies = [float(line.split()[5]) for line in said]
    assert losses[0] > 6
    assert losses[-1] < 5
    assert accuracies[-1] > 0.5


def test_classifier_starts_with_embedding_and_recurrent_layers_and_nothing_else(tiny: Any, tmp_path: Path) -> None:
    recipe = tiny.recipe(network=TWO, pretrain=1)
    weights = language.pretrain(recipe, counting(), {}, 1, tmp_path / "run", lambda _: None)
    assert list(dict.fromkeys(name.split("/")[0] for name in weights)) == ["embedding", "lstm_1", "gru_2"]
    model = models.build(recipe, 2)
    top = model.layers[-1].get_weights()
    language.start_from(model, weights)
    for name in ("embedding", "lstm_1", "gru_2"):
        for place, array in enumerate(model.get_layer(name).get_weights()):
            assert np.array_equal(array, weights[f"{name}/{place}"])
    assert all(np.array_equal(one, other) for one, other in zip(top, model.layers[-1].get_weights(), strict=True))


def test_reading_begins_with_the_vectors_that_it_is_given(tiny: Any, tmp_path: Path) -> None:
    """After one pass over little, each is still nearest to where it began."""
    recipe = tiny.recipe(network=TWO, pretrain=1)
    vectors = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    learned = language.pretrain(recipe, counting(60), {"embedding/0": vectors}, 1, tmp_path / "run", lambda _: None)
    distances = np.linalg.norm(learned["embedding/0"][:, None] - vectors[None], axis=2)
    assert np.array_equal(distances.argmin(axis=1), np.arange(40))
    assert not np.array_equal(learned["embedding/0"], vectors)


def test_interrupted_reading_goes_on_and_ends_as_if_it_had_not_been(tiny: Any, tmp_path: Path) -> None:
    recipe = tiny.recipe(network=TWO, pretrain=3)

    def interrupt(line: str) -> None:
        if "2/3" in line:
            raise KeyboardInterrupt

    whole = language.pretrain(recipe, counting(300), {}, 7, tmp_path / "whole", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        language.pretrain(recipe, counting(300), {}, 7, tmp_path / "broken", interrupt)
    said: list[str] = []
    resumed = language.pretrain(recipe, counting(300), {}, 7, tmp_path / "broken", said.append)
    assert [line.split()[1] for line in said] == ["3/3"]
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_padding_has_no_weight_and_is_never_drawn() -> None:
    ids = counting(200)
    batches = list(language.make_batches(ids, 40, [1, 0]))
    assert [len(batch) for batch, _, _ in batches] == [language.BATCH] * 2
    for batch, drawn, weights in batches:
        assert np.array_equal(weights > 0, batch[:, 1:] != PAD)
        assert weights.mean() == pytest.approx(1)
        assert drawn.shape == (language.BATCH, language.DRAWN // language.BATCH)
        assert drawn.min() >= 4
        assert drawn.max() <= 13
    read = [tuple(row) for batch, _, _ in batches for row in batch if row.any()]
    assert sorted(read) == sorted(map(tuple, ids))


def test_every_pass_has_an_order_and_draws_of_its_own() -> None:
    ids = counting(200)
    passes = [list(language.make_batches(ids, 40, [1, epoch])) for epoch in (0, 0, 1)]
    for part in (0, 1):
        first, same, other = (np.concatenate([batch[part] for batch in one]) for one in passes)
        assert np.array_equal(first, same)
        assert not np.array_equal(first, other)


def test_words_are_drawn_as_often_as_their_counts_to_the_power_of_three_quarters() -> None:
    ids = np.repeat(np.array([[4], [5]], np.int32), [16, 256], axis=0)
    drawn = [draws for seed in range(20) for _, draws, _ in language.make_batches(ids, 40, [seed])]
    counts = np.bincount(np.concatenate(drawn).ravel(), minlength=6)
    assert counts[5] / counts[4] == pytest.approx(8, rel=0.1)


def test_drawn_word_that_is_the_right_one_is_out_of_the_running() -> None:
    said, size = np.ones((1, 2, 3), np.float32), 3
    right = (np.array([[4, 5]], np.int32), np.ones((1, 2, size), np.float32), np.zeros((1, 2, 1), np.float32))
    drawn = (np.array([[5, 6]], np.int32), np.full((1, 2, size), 2.0, np.float32), np.full((1, 2, 1), 0.5, np.float32))
    found = np.asarray(language.NextWord()(said, right, drawn))
    assert found[0, 0] == pytest.approx([3, 6.5, 6.5])
    assert found[0, 1] == pytest.approx([3, -1e9, 6.5])


def test_network_that_does_not_read_word_by_word_is_refused(tiny: Any, tmp_path: Path) -> None:
    recipe = tiny.recipe(network=(Embedding(8), Convolution(4, 3), Recurrent("gru", 4)), pretrain=1)
    with pytest.raises(DataError, match="convolutions cannot foretell words"):
        language.pretrain(recipe, counting(10), {}, 1, tmp_path / "run", lambda _: None)


def test_what_decides_the_model_names_it(tiny: Any) -> None:
    """Not what comes after: dropout, batches, epochs."""
    base = tiny.recipe(network=TWO, pretrain=1)
    same = tiny.recipe(network=TWO, pretrain=1, epochs=9, batch=8)
    others = [
        tiny.recipe(network=TWO, pretrain=2),
        tiny.recipe(network=TWO[:2], pretrain=1),
        tiny.recipe(network=TWO, pretrain=1, num_words=30),
    ]
    described = [repr(language.describe(recipe)) for recipe in (base, *others)]
    assert repr(language.describe(same)) == described[0]
    assert all(one != other for one, other in itertools.combinations(described, 2))
