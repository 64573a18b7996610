"""The linear model learns from words and pairs, and judges its own texts without having seen them."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from training.datasets import Examples
from training.teacher import Teacher, relearn


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


def test_teacher_learns_from_sure_answers_what_no_label_told() -> None:
    """A pair that stands in no labelled text; of half the texts that have it nothing was said."""
    others = [f"{filler} {said}" for filler in "abcd" * 20 for said in ("really bad", "really fine")]
    answers = np.array([[0.95, 0.05], [0.05, 0.95]] * 80)
    unsure = np.arange(160) // 2 % 4 == 3
    answers[unsure] = 0.5
    found = relearn(texts(60, 2), others, answers)
    assert (found[unsure][::2, 0] > 0.75).all()
    assert (found[unsure][1::2, 1] > 0.75).all()


def test_unsure_answers_teach_nothing() -> None:
    known, others = texts(60, 2), ["a not good", "b good not", "c not good"]
    found = relearn(known, others, np.full((3, 2), 0.5))
    assert found.argmax(axis=1).tolist() == [0, 1, 0]
    assert found == pytest.approx(0.5, abs=0.15)  # as near to the answers as a temperature brings it


def test_weight_of_a_text_is_how_often_it_counts() -> None:
    known = texts(40, 2)
    twice = Teacher(Examples([*known.texts, *known.texts[:10]], np.append(known.labels, known.labels[:10])), 2)
    weights = np.where(np.arange(40) < 10, 2, 1).astype(np.float32)
    probes = texts(20, 2, seed=2).texts
    assert Teacher(known, 2, weights).scores(probes) == pytest.approx(twice.scores(probes), abs=0.02)
