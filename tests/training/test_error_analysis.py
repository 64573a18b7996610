"""Figures, slices, confusions and flips against what was worked out by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from app.bundle import read_bundle
from app.errors import DataError
from app.settings import SHIPPED
from training import samples
from training.answers import Answers
from training.datasets import Examples
from training.datasets.table import Row
from training.error_analysis import WORDS, Analysis, Comparison, Flip, analyse, compare
from training.evaluate import confusion, measure_slices
from training.samples import Sample

NAMES = ["a", "b", "c"]


def sample(right: list[int], texts: list[str] | None = None) -> Sample:
    texts = texts or [f"text {place}" for place in range(len(right))]
    return Sample("x.csv", NAMES, Examples(texts, np.array(right)), range(2, len(right) + 2), "line")


def analysis(answers: list[int], right: list[int], confidence: float = 0.8) -> Analysis:
    """Answers of one confidence."""
    scores = np.full((len(answers), 3), (1 - confidence) / 2)
    scores[np.arange(len(answers)), answers] = confidence
    manifest: Any = None
    found = Answers(scores, np.array(right), np.ones(len(right)), np.zeros(len(right), bool), 0)
    return Analysis("m", manifest, NAMES, found, found.evaluate(), confusion(scores, found.labels), {}, {}, [])


def test_only_labels_that_occur_or_are_answered_are_told() -> None:
    one = analysis([0, 0, 1], right=[0, 0, 0])
    keys = ("support", "answers", "precision", "recall")
    assert {name: [row[key] for key in keys] for name, row in one.per_label().items()} == {
        "a": [3, 2, 1, 0.6667],
        "b": [0, 1, 0, 0],
    }


def test_flips_say_who_was_right() -> None:
    right = [0, 0, 0, 0, 1]
    texts = ["same", "worse", "better", "other", "same wrong"]
    one, other = analysis([0, 0, 1, 1, 0], right), analysis([0, 1, 0, 2, 0], right, confidence=0.9)
    found = compare(one, other, sample(right, texts))
    assert [(flip.line, flip.change, flip.text) for flip in found.flips] == [
        (3, "right->wrong", "worse"),
        (4, "wrong->right", "better"),
        (5, "wrong->wrong", "other"),
    ]
    first = found.flips[0]
    assert (first.right, first.before, first.after) == ("a", "a", "b")
    assert (first.before_confidence, first.after_confidence) == (pytest.approx(0.8), pytest.approx(0.9))
    document = found.to_json()
    assert (document["flipped"], document["right_to_wrong"], document["wrong_to_wrong"]) == (3, 1, 1)


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1))
def test_flips_account_for_the_difference_in_accuracy(answers: list[tuple[int, int, int]]) -> None:
    right, before, after = (list(column) for column in zip(*answers, strict=True))
    one, other = analysis(before, right), analysis(after, right)
    found = compare(one, other, sample(right))
    gain = found.count("wrong->right") - found.count("right->wrong")
    assert (other.figures.accuracy - one.figures.accuracy) * len(right) == pytest.approx(gain)
    assert len(found.flips) == sum(first != second for first, second in zip(before, after, strict=True))
    assert compare(other, one, sample(right)).p_value == pytest.approx(found.p_value)


def flips(worse: int, better: int) -> Comparison:
    changes = ["right->wrong"] * worse + ["wrong->right"] * better + ["wrong->wrong"] * 5
    return Comparison([Flip(2, change, "a", "b", 0.5, "c", 0.5, "") for change in changes])  # type: ignore[arg-type]


@given(st.integers(0, 60), st.integers(0, 60))
def test_p_value_is_twice_the_tail_of_a_fair_coin(worse: int, better: int) -> None:
    expected = min(1.0, 2 * float(binom.cdf(min(worse, better), worse + better, 0.5)))
    assert flips(worse, better).p_value == pytest.approx(expected)


def test_p_value_of_no_flips_is_one_and_of_ten_to_nought_is_small() -> None:
    assert flips(0, 0).p_value == 1
    assert flips(10, 0).p_value == pytest.approx(2 / 1024)


@pytest.mark.parametrize(
    ("words", "name"),
    [(0, "0"), (1, "1-10"), (10, "1-10"), (11, "11-20"), (50, "21-50"), (51, "51-100"), (100, "51-100"),
     (101, "101-200"), (500, "201-500"), (501, "more"), (10**6, "more")],
)  # fmt: skip
def test_slice_of_words_holds_both_its_ends(words: int, name: str) -> None:
    yes = np.array([True])
    assert list(measure_slices(np.array([words]), WORDS, yes, yes)) == [name]


def test_mistakes_say_where_they_stand() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    rows = [Row(2, "I loved this film", "positive"), Row(5, "I loved this\nwonderful film", "negative")]
    (found,) = analyse({"m": bundle}, samples.from_rows("x.csv", rows, bundle.manifest.labels))
    (mistake,) = found.mistakes
    assert (mistake.line, mistake.right, mistake.answer) == (5, "negative", "positive")
    assert (mistake.text, mistake.confidence) == ("I loved this wonderful film", found.answers.scores[1].max())


def test_long_text_is_shown_by_its_beginning() -> None:
    found = compare(analysis([0], [0]), analysis([1], [0]), sample([0], ["one\ntwo " * 50]))
    assert found.flips[0].text == ("one two " * 50)[:100] + "…"


def test_bundle_with_other_labels_is_refused_before_any_work() -> None:
    bundles = {name: read_bundle(SHIPPED / name) for name in ("sentiment/gru", "topic/gru")}
    texts = samples.from_rows("x.csv", [Row(2, "good", "positive")], bundles["sentiment/gru"].manifest.labels)
    with pytest.raises(DataError, match="topic/gru has other labels than the bundle it is held against: acq, alum, "):
        analyse(bundles, texts)


def test_scores_follow_the_samples_order_of_labels() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    rows = [Row(2, "I loved this wonderful film", "positive"), Row(3, "a terrible awful waste of time", "negative")]
    for labels in (bundle.manifest.labels, bundle.manifest.labels[::-1]):
        (found,) = analyse({"m": bundle}, samples.from_rows("x.csv", rows, labels))
        assert found.figures.accuracy == 1
        assert found.to_json()["confusion"] == {"labels": [label.name for label in labels], "counts": [[1, 0], [0, 1]]}
