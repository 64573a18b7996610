"""The shape that every data set has, and what is held out of it."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from app.errors import DataError
from app.text import split_words
from training.datasets import Dataset, Examples, hold_out, imdb, reuters
from training.datasets.dataset import check, shuffled


def examples(*labels: int) -> Examples:
    return Examples([f"text {place}" for place in range(len(labels))], np.array(labels, np.int64))


def dataset(train: Examples, test: Examples) -> Dataset:
    return Dataset("tiny", "tiny", {"no": "No", "yes": "Yes"}, ["text"], train, test, ())


# Holding out


def test_tutorial_split_is_stratified_by_label() -> None:
    fit, validation = hold_out(examples(*[0] * 50, *[1] * 30, *[2] * 20), "tutorial")
    assert Counter(fit.labels.tolist()) == {0: 40, 1: 24, 2: 16}
    assert Counter(validation.labels.tolist()) == {0: 10, 1: 6, 2: 4}
    assert set(fit.texts) | set(validation.texts) == {f"text {place}" for place in range(100)}
    assert len(set(fit.texts)) == len(fit) == 80


def test_tutorial_split_is_that_of_the_tutorials() -> None:
    whole = examples(*np.random.default_rng(3).integers(0, 4, 203))
    x, x_held, y, y_held = train_test_split(
        np.array(whole.texts), whole.labels, test_size=0.2, stratify=whole.labels, random_state=26
    )
    fit, validation = hold_out(whole, "tutorial")
    assert (fit.texts, validation.texts) == (x.tolist(), x_held.tolist())
    assert (fit.labels.tolist(), validation.labels.tolist()) == (y.tolist(), y_held.tolist())


def test_last_fifth_is_that_of_keras_validation_split() -> None:
    fit, validation = hold_out(examples(*[0, 1] * 51), "last-fifth")
    assert fit.texts == [f"text {place}" for place in range(81)]
    assert validation.texts == [f"text {place}" for place in range(81, 102)]
    assert validation.labels.tolist() == [1, *[0, 1] * 10]


@pytest.mark.parametrize("labels", [[0] * 9 + [1], [0, 0, 1, 1, 2, 2, 3, 3], [0] * 5])
def test_labels_too_rare_to_stratify_are_split_anyway(labels: list[int]) -> None:
    fit, validation = hold_out(examples(*labels), "tutorial")
    assert len(fit) + len(validation) == len(labels)
    assert len(validation) == -(-len(labels) // 5)


@pytest.mark.parametrize("how", ["tutorial", "last-fifth"])
def test_too_few_texts_are_refused(how: str) -> None:
    with pytest.raises(DataError, match="4 training texts are too few to hold out a fifth"):
        hold_out(examples(0, 1, 0, 1), how)  # type: ignore[arg-type]


def test_order_is_that_of_keras_seed() -> None:
    expected = np.arange(100)
    np.random.RandomState(113).shuffle(expected)
    assert shuffled(100, np.random.RandomState(113)).tolist() == expected.tolist()


# The shape


def test_limited_takes_the_first_of_each_part() -> None:
    whole = dataset(examples(0, 1, 0, 1), examples(1, 0))
    assert whole.limited(3).train.texts == ["text 0", "text 1", "text 2"]
    assert whole.limited(3).test.labels.tolist() == [1, 0]
    assert whole.limited(10**15).sha256 == whole.sha256


def test_hash_names_the_exact_content() -> None:
    whole = dataset(examples(0, 1, 0, 1), examples(1, 0))
    others = [
        dataset(examples(0, 1, 1, 1), examples(1, 0)),
        dataset(examples(0, 1, 0, 1), examples(1, 1)),
        dataset(Examples(["text 1", "text 0", "text 2", "text 3"], np.array([0, 1, 0, 1])), examples(1, 0)),
        Dataset("tiny", "tiny", {"no": "No", "yes": "Yes"}, ["word"], whole.train, whole.test, ()),
        Dataset("tiny", "tiny", {"yes": "Yes", "no": "No"}, ["text"], whole.train, whole.test, ()),
    ]
    assert dataset(examples(0, 1, 0, 1), examples(1, 0)).sha256 == whole.sha256
    assert len({whole.sha256, *(other.sha256 for other in others)}) == 6


def test_hash_takes_any_word_and_text() -> None:
    odd = Examples(["\ud800", ""], np.array([0, 1]))
    assert len(Dataset("tiny", "tiny", {"no": "No", "yes": "Yes"}, ["\udfff"], odd, odd, ()).sha256) == 64


def test_texts_and_labels_of_different_number_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 texts, but labels of shape \(1,\)"):
        Examples(["a", "b"], np.array([0]))


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        (examples(), examples(0), r"the training part is empty\. Get the data anew"),
        (examples(0), examples(), "the test part is empty"),
        (examples(0, 2), examples(0), "the training part has a label outside 0 to 1"),
        (examples(0, 1), examples(-1), "the test part has a label outside 0 to 1"),
    ],
)
def test_parts_that_cannot_be_trained_on_are_refused(train: Examples, test: Examples, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        check(dataset(train, test))


def test_first_words_are_those_of_the_text_contract() -> None:
    cut = Examples([" It's GREAT,really\ngreat!", "short"], np.array([0, 2])).first_words(2)
    assert cut.texts == [" It's GREAT", "short"]
    assert cut.labels.tolist() == [0, 2]


@pytest.mark.parametrize("shipped", [imdb, reuters])
def test_probes_are_short_new_and_labelled_as_the_data_is(shipped: Any) -> None:
    texts = [probe.text for probe in shipped.PROBES]
    assert len({*texts, *shipped.EXAMPLES}) == len(texts) + len(shipped.EXAMPLES)
    assert max(len(split_words(text)) for text in texts) < 25
    assert {probe.label for probe in shipped.PROBES} - {None} <= shipped.LABELS.keys()
    kinds = {probe.tries for probe in shipped.PROBES}
    assert {"a product", "a recipe", "a tweet", "another language", "no word at all"} <= kinds


def test_no_group_is_on_both_sides_of_a_grouped_split() -> None:
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 60, 600)
    fit, validation = hold_out(dataclasses.replace(examples(*[0, 1] * 300), groups=groups), "grouped")
    assert fit.groups is not None
    assert validation.groups is not None
    assert not set(fit.groups.tolist()) & set(validation.groups.tolist())
    assert sorted([*fit.texts, *validation.texts]) == sorted(examples(*[0, 1] * 300).texts)
    assert len(validation) == pytest.approx(120, abs=25)
    assert validation.labels.mean() == pytest.approx(0.5, abs=0.1)


def test_texts_of_unknown_groups_cannot_be_held_out_by_them() -> None:
    with pytest.raises(DataError, match="do not say what each text is about"):
        hold_out(examples(*[0, 1] * 20), "grouped")


def test_texts_of_few_groups_cannot_be_held_out_by_them() -> None:
    few = dataclasses.replace(examples(*[0, 1] * 20), groups=np.arange(40) // 10)
    with pytest.raises(DataError, match="fewer than five things"):
        hold_out(few, "grouped")


def test_texts_that_are_read_alike_are_of_one_group() -> None:
    """However they are written; one of which nothing is said is its own group."""
    train = Examples(["text text", "Text, text!", "text", "text text text"], np.array([0, 1, 0, 1]))
    grouped = dataset(train, train).with_groups([("TEXT unheard text", "one film"), ("text", "another")]).train
    assert grouped.groups is not None
    first, same, other, alone = grouped.groups.tolist()
    assert first == same
    assert len({first, other, alone}) == 3
    assert grouped.take(np.array([2, 0])).groups is not None
    assert grouped.take(np.array([2, 0])).groups.tolist() == [other, first]  # type: ignore[union-attr]


def test_texts_that_bear_another_ones_label_can_be_left_out() -> None:
    """The one, not its copy."""
    train = Examples(["text text", "Text, text!", "text", "text"], np.array([0, 1, 1, 1]))
    told = [
        ("text text", "no", False),
        ("text TEXT", "yes", True),
        ("text unheard", "yes", False),
        ("text", "yes", True),
    ]
    found = dataset(train, train).with_mislabelled(told).train
    assert found.mislabelled is not None
    assert found.mislabelled.tolist() == [False, True, False, True]
    kept = found.take(np.array([3, 2, 0])).without_mislabelled()
    assert (kept.texts, kept.labels.tolist()) == (["text", "text text"], [1, 0])


@pytest.mark.parametrize("told", [[], [("text", "no", False)], [("text text", "yes", False)]])
def test_what_is_told_of_other_labels_is_not_taken(told: list[tuple[str, str, bool]]) -> None:
    train = Examples(["text"], np.array([1]))
    with pytest.raises(DataError, match="is of other texts"):
        dataset(train, train).with_mislabelled(told)


def test_two_editions_of_a_text_may_differ_in_a_word() -> None:
    """One in a hundred, no more."""
    train = Examples(["text"] * 100, np.array([1] * 100))
    told = [("text", "yes", True)] * 98
    other = ("text text", "yes", False)
    found = dataset(train, train).with_mislabelled([*told, other, told[0]]).train.mislabelled
    assert found is not None
    assert found.sum() == 99
    with pytest.raises(DataError, match="is of other texts"):
        dataset(train, train).with_mislabelled([*told, other, other])


def test_labels_that_nothing_is_known_of_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match="do not say which labels are another text's"):
        examples(0, 1).without_mislabelled()
