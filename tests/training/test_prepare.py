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
from training.batches import Lessons, to_targets
from training.datasets import Dataset
from training.prepare import Preparation, Shelf, agree


def test_copies_of_training_and_test_texts_are_not_read_as_unlabelled(tiny: Any) -> None:
    """However they are written; a text is read once, and words outside the index make no difference."""
    dataset = tiny.dataset(2)
    copies = [dataset.test.texts[0].upper(), f"{dataset.test.texts[1]}!!! unheard", dataset.train.texts[0]]
    found = dataset.with_unlabelled([*copies, "w1 w2 w3 w4", "W1, w2 w3: w4", "w9 w9", "unheard", ""])
    assert found.unlabelled == ["w1 w2 w3 w4", "w9 w9"]
    assert found.unlabelled_sha256 != dataset.unlabelled_sha256
    assert found.sha256 == dataset.sha256


def preparation(recipe: Any, dataset: Dataset, folder: Path, say: Any = lambda _: None, seed: int = 1) -> Preparation:
    return Preparation(recipe, dataset, dataset.train, seed, Shelf(folder, say))


def prepared(recipe: Any, dataset: Dataset, folder: Path) -> Lessons:
    return preparation(recipe, dataset, folder).lessons()


def test_pieces_are_made_once(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4"])
    recipe = tiny.recipe(teacher=True, unlabelled=True, pretrain=1)
    said: list[str] = []
    first = preparation(recipe, dataset, tmp_path, said.append)
    lessons, start = first.lessons(), first.start()
    made = ["teacher", "vectors", "language", "pretraining 1/1  loss"]
    assert [line.partition(":")[0][: len(name)] for line, name in zip(said, made, strict=True)] == made
    monkeypatch.delattr(module, "Teacher")
    monkeypatch.delattr(module, "fit_vectors")
    monkeypatch.delattr(module.language, "pretrain")
    again = preparation(recipe, dataset, tmp_path, said.append)
    assert np.array_equal(lessons.targets, again.lessons().targets)
    found = again.start()
    assert list(found) == list(start)
    assert all(np.array_equal(found[name], start[name]) for name in start)
    assert len(said) == len(made)


@pytest.mark.parametrize("change", ["seed", "texts", "unlabelled", "labels", "groups"])
def test_pieces_of_something_else_are_not_taken(change: str, tiny: Any, tmp_path: Path) -> None:
    recipe, said = tiny.recipe(teacher=True, unlabelled=True, pretrain=1), list[str]()
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4"])
    seed, train = 1, dataset.train

    def make() -> None:
        found = Preparation(recipe, dataset, train, seed, Shelf(tmp_path, said.append))
        found.lessons()
        found.start()

    make()
    before = len(said)
    if change == "seed":
        seed = 2
    elif change == "texts":
        train = train.take(np.arange(60))
    elif change == "unlabelled":
        dataset = dataset.with_unlabelled(["w1 w2 w3 w5"])
    elif change == "labels":
        train = dataclasses.replace(train, labels=1 - train.labels)
    else:
        train = dataclasses.replace(train, groups=np.arange(len(train)) // 4)
    make()
    assert len(said) == 2 * before


@pytest.mark.parametrize("change", [{"num_words": 30}, {"maxlen": 9}, {"pretrain": 2}, {"vectors": "random"}])
def test_language_model_of_another_network_is_not_taken(change: dict[str, Any], tiny: Any, tmp_path: Path) -> None:
    dataset, said = tiny.dataset(2), list[str]()
    preparation(tiny.recipe(pretrain=1, vectors="random"), dataset, tmp_path, lambda _: None).start()
    preparation(tiny.recipe(**{"pretrain": 1, **change}), dataset, tmp_path, said.append).start()
    if change == {"vectors": "random"}:
        assert said == []
    else:
        assert said[-1].startswith("pretraining")


def test_target_is_part_label_part_teacher_and_unlabelled_texts_have_only_the_teacher(
    tiny: Any, tmp_path: Path
) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4", "w11 w12 w13"])
    plain, half, none = (
        prepared(tiny.recipe(unlabelled=True, **changes), dataset, tmp_path)
        for changes in ({}, {"teacher": True}, {"teacher": True, "label_share": 0.0})
    )
    labels = to_targets(dataset.train.labels, 2)
    assert np.array_equal(plain.targets, labels)
    assert len(half) == len(none) == len(labels) + 2
    assert half.targets[: len(labels)] == pytest.approx((labels + none.targets[: len(labels)]) / 2)
    assert np.array_equal(half.targets[len(labels) :], none.targets[len(labels) :])
    assert 0 < none.targets.min() < none.targets.max() < 1


def test_texts_that_bear_another_ones_label_are_read_and_not_taught(tiny: Any, tmp_path: Path) -> None:
    """Neither to the network nor to the linear model; what was read of them need not be read anew."""
    dataset, said = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4"]), list[str]()
    wrong = np.arange(len(dataset.train)) % 5 == 4
    known = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, mislabelled=wrong))
    settings = {"teacher": True, "unlabelled": True, "pretrain": 1, "label_share": 1.0}
    plain = preparation(tiny.recipe(**settings), known, tmp_path)
    assert len(plain.lessons()) == len(wrong) + 1
    plain.start()
    mended = preparation(tiny.recipe(**settings, mended=True), known, tmp_path, said.append)
    lessons = mended.lessons()
    mended.start()
    assert len(lessons) == (~wrong).sum() + 1
    assert np.array_equal(lessons.targets[:-1], to_targets(dataset.train.labels[~wrong], 2))
    assert [line.partition(":")[0] for line in said] == ["teacher"]
    assert len(mended.linear_answers()[0]) == (~wrong).sum()


def test_smoothing_gives_every_label_a_share(tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.dataset(3)
    lessons = prepared(tiny.recipe(smoothing=0.3), dataset, tmp_path)
    assert np.unique(lessons.targets) == pytest.approx([0.1, 0.8])


def test_texts_without_a_label_get_the_mean_of_what_teachers_say_in_log_odds(tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.dataset(3).with_unlabelled(["w1 w2 w3 w4", "w11 w12 w13"])
    made = preparation(tiny.recipe(teacher=True, unlabelled=True), dataset, tmp_path)
    alone = made.lessons().targets
    network = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    asked = made.lessons([network]).targets
    assert np.array_equal(asked[:-2], alone[:-2])
    geometric = np.sqrt(alone[-2:] * network)
    assert asked[-2:] == pytest.approx(geometric / geometric.sum(axis=1, keepdims=True), rel=1e-4)
    assert agree([network, network]) == pytest.approx(network)


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
