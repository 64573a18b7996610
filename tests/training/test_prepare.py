"""What a network starts from is made once, and from nothing that it must not see."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.text import split_words
from training import datasets
from training import prepare as module
from training.batches import to_targets
from training.prepare import prepare


def test_copies_of_training_and_test_texts_are_not_read_as_unlabelled(tiny: Any) -> None:
    """However they are written; a text is read once, and words outside the index make no difference."""
    dataset = tiny.dataset(2)
    copies = [dataset.test.texts[0].upper(), f"{dataset.test.texts[1]}!!! unheard", dataset.train.texts[0]]
    found = dataset.with_unlabelled([*copies, "w1 w2 w3 w4", "W1, w2 w3: w4", "w9 w9", "unheard", ""])
    assert found.unlabelled == ["w1 w2 w3 w4", "w9 w9"]
    assert found.unlabelled_sha256 != dataset.unlabelled_sha256
    assert found.sha256 == dataset.sha256


def test_pieces_are_made_once(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4"])
    recipe = tiny.recipe(teacher=True, unlabelled=True)
    said: list[str] = []
    first = prepare(recipe, dataset, dataset.train, 1, tmp_path, said.append)
    assert [line.split(":")[0] for line in said] == ["vectors", "teacher"]
    monkeypatch.delattr(module, "Teacher")
    again = prepare(recipe, dataset, dataset.train, 1, tmp_path, said.append)
    assert len(said) == 2
    assert np.array_equal(first.lessons.targets, again.lessons.targets)
    assert first.vectors is not None
    assert np.array_equal(first.vectors, again.vectors)


@pytest.mark.parametrize("change", ["seed", "texts", "unlabelled", "labels"])
def test_pieces_of_something_else_are_not_taken(change: str, tiny: Any, tmp_path: Path) -> None:
    recipe, said = tiny.recipe(teacher=True, unlabelled=True), list[str]()
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4"])
    prepare(recipe, dataset, dataset.train, 1, tmp_path, said.append)
    seed, train = 1, dataset.train
    if change == "seed":
        seed = 2
    elif change == "texts":
        train = train.take(np.arange(60))
    elif change == "unlabelled":
        dataset = dataset.with_unlabelled(["w1 w2 w3 w5"])
    else:
        train = dataclasses.replace(train, labels=1 - train.labels)
    prepare(recipe, dataset, train, seed, tmp_path, said.append)
    assert len(said) == 4


def test_target_is_part_label_part_teacher_and_unlabelled_texts_have_only_the_teacher(
    tiny: Any, tmp_path: Path
) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4", "w11 w12 w13"])
    plain, half, none = (
        prepare(tiny.recipe(unlabelled=True, **changes), dataset, dataset.train, 1, tmp_path, lambda _: None).lessons
        for changes in ({}, {"teacher": True}, {"teacher": True, "label_share": 0.0})
    )
    labels = to_targets(dataset.train.labels, 2)
    assert np.array_equal(plain.targets, labels)
    assert len(half) == len(none) == len(labels) + 2
    assert half.targets[: len(labels)] == pytest.approx((labels + none.targets[: len(labels)]) / 2)
    assert np.array_equal(half.targets[len(labels) :], none.targets[len(labels) :])
    assert 0 < none.targets.min() < none.targets.max() < 1


def test_smoothing_gives_every_label_a_share(tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.dataset(3)
    lessons = prepare(tiny.recipe(smoothing=0.3), dataset, dataset.train, 1, tmp_path, lambda _: None).lessons
    assert np.unique(lessons.targets) == pytest.approx([0.1, 0.8])


@pytest.mark.parametrize(("data", "count", "twice"), [("imdb", 48_886, 123), ("reuters", 8_248, 269)])
def test_no_unlabelled_text_is_also_a_test_text(data: str, count: int, twice: int, real_data: Path) -> None:
    """`twice`: training texts that stand in the test part word for word, as published."""
    dataset = datasets.LOADERS[data](real_data, "npz").with_unlabelled(datasets.UNLABELLED[data](real_data))
    index = set(dataset.words)

    def read(text: str) -> tuple[str, ...]:
        return tuple(word for word in split_words(text) if word in index)

    test, train = ({read(text) for text in part.texts} for part in (dataset.test, dataset.train))
    unlabelled = {read(text) for text in dataset.unlabelled}
    assert len(unlabelled) == len(dataset.unlabelled) == count
    assert not unlabelled & (test | train)
    assert sum(read(text) in test for text in dataset.train.texts) == twice
