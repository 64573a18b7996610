"""A set of words, beside Python's own."""

import os
import pickle
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.rare import RareWords

words = st.text(st.characters(exclude_categories=()), max_size=6)


@given(st.lists(words, unique=True, max_size=60), st.lists(words))
@example([], ["", "a"])
@example(["ab", "b", "\ud800"], ["a", "b\xff", "\xff", "ab\xffb", "\udfff"])
def test_it_holds_its_words_and_no_other(held: list[str], asked: list[str]) -> None:
    rare = RareWords(held)
    assert [word in rare for word in held + asked] == [word in {*held} for word in held + asked]


def test_parts_and_joins_of_its_words_are_not_in_it() -> None:
    held = [f"word{number}" for number in range(1_000)]
    rare = RareWords(held)
    for first, second in pairwise(held):
        assert all(word not in rare for word in (first[1:], f"{first}x", f"{first}\n{second}", first + second))


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_whose_hashes_differ_can_be_handed_it(seed: str) -> None:
    held = [f"word{number}" for number in range(1_000)]
    read = (
        "import pickle, sys\n"
        "rare = pickle.load(sys.stdin.buffer)\n"
        "print(sum(f'word{number}' in rare for number in range(2_000)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", read],
        input=pickle.dumps(RareWords(held)),
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert int(answer.stdout) == len(held)
