"""Texts that are nearly the same are found, and only these."""

import numpy as np
import pytest

from training.datasets.duplicates import group

LETTER = (
    "the parcel that i ordered on monday has been in the depot near leeds since friday and nobody can tell me why it "
    "does not move please find out and write to me soon thank you very much indeed"
).split()


def groups(*texts: str) -> list[int]:
    return group([text.split() for text in texts]).tolist()


def test_other_number_or_name_makes_no_other_text() -> None:
    other, number = list(LETTER), list(LETTER)
    other[12], number[7] = "cork", "4711"
    again = [*number[:7], "12", *number[8:]]
    assert group([LETTER, ["something", "else"], other, number, again]).tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("where is my order", "where is my refund"),
        ("i want my money back", "i do not want my money back"),
        ("yes", "no"),
        (" ".join(LETTER), " ".join(reversed(LETTER))),
        (" ".join(LETTER), " ".join([*LETTER[:18], *(f"w{place}" for place in range(18))])),
    ],
)
def test_text_that_says_something_else_is_another(one: str, other: str) -> None:
    assert groups(one, other) == [0, 1]


def test_numbers_alone_do_not_tell_texts_apart() -> None:
    assert groups("order 123", "order 456", "order") == [0, 0, 2]


def test_who_is_near_one_of_a_group_belongs_to_it() -> None:
    steps = [list(LETTER) for _ in range(5)]
    for place in range(1, 5):
        for changed in range(place):
            steps[place][4 + changed * 7] = "other"
    assert group(steps).tolist() == [0] * 5
    assert group([steps[0], steps[4]]).tolist() == [0, 1]


def test_order_of_the_texts_and_of_the_world_changes_nothing() -> None:
    draw = np.random.default_rng(0)
    texts = [[f"w{word}" for word in draw.integers(0, 200, 30)] for _ in range(300)]
    texts += [[*text[:14], "changed", *text[15:]] for text in texts[:100]]
    found = group(texts)
    assert (found[300:] == np.arange(100)).mean() >= 0.98
    assert (found[:300] == np.arange(300)).all()
    back = group(texts[::-1])
    same = {frozenset(np.flatnonzero(found == one)) for one in found}
    assert {frozenset(399 - np.flatnonzero(back == one)) for one in back} == same


def test_few_texts_or_empty_ones_are_no_matter() -> None:
    assert groups() == []
    assert groups("a") == [0]
    assert groups("", "", "a b") == [0, 1, 2]
