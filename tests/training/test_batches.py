"""Texts are batched whole: each once, with all its windows, and what fills a batch up weighs nothing."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("keras")

from training.batches import Lessons, make_batches, to_targets
from training.encoding import EncodedExamples


def lessons(windows: list[int]) -> Lessons:
    """Texts with so many windows; a window's ids name its text and its place there."""
    owner = np.repeat(np.arange(len(windows)), windows)
    place = np.concatenate([np.arange(count) for count in windows])
    ids = np.stack([owner + 10, place + 10], axis=1).astype(np.int32)
    targets = np.arange(len(windows), dtype=np.float32)[:, None]
    labels, known, doubtful = (np.zeros(len(windows), kind) for kind in (np.int64, np.float64, np.bool_))
    return Lessons(EncodedExamples(ids, owner, labels, known, doubtful), targets)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 12), st.randoms())
def test_every_text_is_in_one_batch_with_its_windows(windows: list[int], size: int, dice: random.Random) -> None:
    order = list(range(len(windows)))
    dice.shuffle(order)
    seen: list[int] = []
    for batch in make_batches(lessons(windows), size, np.array(order), window_share=0.25):
        assert batch.ids.shape == (size, 2)
        assert batch.owner.shape == (size,)
        texts, single = batch.weights.reshape(2, size)
        assert texts.sum() == pytest.approx(2 * size * 0.75)
        assert single.sum() == pytest.approx(2 * size * 0.25)
        assert np.count_nonzero(texts) == batch.texts
        assert np.array_equal(single > 0, batch.ids[:, 0] > 0)
        assert np.array_equal(batch.targets[size:], batch.targets[batch.owner])
        for row in range(batch.texts):
            (text,) = {int(first) - 10 for first, _ in batch.ids[batch.owner == row] if first} - {-10}
            assert batch.targets[row, 0] == text
            count = min(windows[text], size)
            own = [int(place) - 10 for first, place in batch.ids[batch.owner == row] if first == text + 10]
            assert own == list(range(windows[text] - count, windows[text]))
            seen.append(text)
        filling = batch.ids[:, 0] == 0
        assert not np.isin(batch.owner[filling], np.arange(batch.texts)).any()
    assert seen == order


def test_batches_are_filled_before_the_next_begins() -> None:
    assert [batch.texts for batch in make_batches(lessons([2, 2, 3, 1, 1]), 4)] == [2, 2, 1]


def test_targets_are_a_share_for_each_label_or_that_of_the_second_of_two() -> None:
    labels = np.array([1, 0, 1])
    assert to_targets(labels, 2).tolist() == [[1], [0], [1]]
    assert to_targets(labels, 3).tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
