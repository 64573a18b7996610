"""The linear model learns from words and pairs, and judges its own texts without having seen them."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from training.datasets import Examples
from training.teacher import Teacher


def texts(count: int, labels: int, seed: int = 0) -> Examples:
    """Of three labels, the first two are told apart by a pair of words alone."""
    generator = np.random.default_rng(seed)
    right = np.arange(count) % labels
    said = {0: "not good", 1: "good not", 2: "other thing"}
    filler = [" ".join(generator.choice(["a", "b", "c", "d"], 6)) for _ in range(count)]
    return Examples([f"{words} {said[label]}" for words, label in zip(filler, right, strict=True)], right)


@pytest.mark.parametrize("labels", [2, 3])
def test_pairs_of_words_tell_what_words_alone_do_not(labels: int) -> None:
    teacher = Teacher(texts(90, labels), labels)
    other = texts(60, labels, seed=1)
    scores = teacher.scores(other.texts)
    assert scores.shape == (60, labels)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert (scores.argmax(axis=1) == other.labels).mean() > 0.95


def test_own_texts_are_judged_unseen() -> None:
    """Labels that nothing tells cannot be known out of fold, though a model that saw them knows them by heart."""
    generator = np.random.default_rng(0)
    words = [f"w{place}" for place in range(400)]
    drawn = Examples([" ".join(generator.choice(words, 8)) for _ in range(200)], generator.integers(0, 2, 200))
    teacher = Teacher(drawn, 2)
    own = teacher.score_own(seed=1)
    assert (own.argmax(axis=1) == drawn.labels).mean() < 0.65
    assert (teacher.scores(drawn.texts).argmax(axis=1) == drawn.labels).mean() > 0.95
    assert np.abs(own - 0.5).max() < 0.3  # and the temperature says so


def test_label_without_a_text_is_never_the_answer() -> None:
    teacher = Teacher(texts(60, 2), 3)
    assert teacher.scores(["good not a", "something else"])[:, 2].max() < 0.01


@pytest.mark.parametrize("label", [0, 1])
def test_label_of_every_text_is_always_the_answer(label: int) -> None:
    drawn = texts(20, 2)
    teacher = Teacher(Examples(drawn.texts, np.full(20, label)), 2)
    assert teacher.scores(["good not a", "something else"])[:, label].min() > 0.99


def test_own_texts_are_judged_by_models_that_saw_none_of_their_group() -> None:
    """A name tells the label of a film that was seen, and nothing of another."""
    generator = np.random.default_rng(0)
    films = np.arange(300) % 30
    drawn = Examples([f"name{film} {generator.choice(list('abcdefgh'))}" for film in films], films % 2)
    alone = Teacher(drawn, 2).score_own(seed=1)
    grouped = Teacher(Examples(drawn.texts, drawn.labels, films), 2).score_own(seed=1)
    assert (alone.argmax(axis=1) == drawn.labels).mean() > 0.95
    assert (grouped.argmax(axis=1) == drawn.labels).mean() < 0.65
