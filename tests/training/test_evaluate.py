"""Figures against numbers worked out by hand."""

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from app.bundle import Calibration
from training.evaluate import (
    calibration_error,
    confusion,
    evaluate,
    find_confusions,
    fit_calibration,
    fit_temperature,
    fit_threshold,
    log_loss,
    macro_f1,
    macro_f1_interval,
    measure_labels,
    measure_slice,
    measure_slices,
    reliability,
    risk_coverage,
    wilson,
)

SCORES = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
LABELS = np.array([0, 1, 1, 0])


def two(confidence: list[float]) -> np.ndarray:
    return np.array([[1 - share, share] for share in confidence])


def test_figures_of_four_answers() -> None:
    """Right, wrong, right, right. F1 of two labels: 4/5, 2/3; the third neither occurs nor is answered."""
    result = evaluate(SCORES, LABELS, uncertain_below=0.6)
    assert (result.texts, result.accuracy) == (4, 0.75)
    assert result.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert result.loss == pytest.approx(-(log(0.9) + log(0.3) + log(0.7) + log(0.5)) / 4)
    assert (result.answered, result.answered_accuracy) == (0.75, pytest.approx(2 / 3))
    assert result.to_json()["answered_accuracy"] == 0.666667


def test_label_that_is_answered_and_never_right_counts_in_macro_f1() -> None:
    assert evaluate(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]), 0).macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_doubtful_text_is_not_answered_however_sure() -> None:
    assert evaluate(SCORES, LABELS, 0.6, np.array([True, False, False, True])).answered == 0.5
    result = evaluate(SCORES, LABELS, 0.6, np.array([False, True, False, False]))
    assert (result.answered, result.answered_accuracy) == (0.5, 1)


def test_nothing_answered_has_nothing_wrong() -> None:
    result = evaluate(SCORES, LABELS, uncertain_below=0.95)
    assert (result.answered, result.answered_accuracy) == (0, 1)


def test_confusion_has_the_right_label_in_its_rows() -> None:
    assert confusion(SCORES, LABELS) == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_impossible_answer_has_a_finite_loss() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-log(1e-15))


def test_calibration_error_is_the_mean_gap_of_bins_of_equal_mass() -> None:
    """Two bins: confidence 0.55 with accuracy 1/2, and 0.9 with accuracy 1."""
    confidence = np.array([0.9, 0.5, 0.6, 0.9])
    right = np.array([True, False, True, True])
    assert calibration_error(confidence, right, bins=2) == pytest.approx((0.05 * 2 + 0.1 * 2) / 4)
    assert calibration_error(np.array([0.8] * 5), np.array([1, 1, 1, 1, 0], bool), bins=1) == pytest.approx(0)


def test_calibration_error_takes_fewer_answers_than_bins() -> None:
    assert calibration_error(np.array([0.75]), np.array([True])) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 2, 0.0945, 0.9055)],
)
def test_wilson_gives_the_published_intervals(hits: int, count: int, low: float, high: float) -> None:
    """81 of 263 is Newcombe's (1998) example, table I, method 3."""
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_temperature_finds_the_factor_by_which_logits_are_too_large(factor: float) -> None:
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 1.5, (20_000, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < generator.random((20_000, 1))).sum(axis=1)
    scaled = np.exp(logits * factor)
    assert fit_temperature(scaled / scaled.sum(axis=1, keepdims=True), labels) == pytest.approx(factor, rel=0.05)


def windows_of(counts: list[int], truth: Calibration, seed: int) -> tuple[Any, Any, Any]:
    """Windows of texts, and labels drawn with the scores that `truth` gives them."""
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(counts)), counts)
    logits = generator.normal(size=(len(owner), 3)) * 1.5
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = [truth.scores(part) for part in np.split(p, np.cumsum(counts)[:-1])]
    return p.astype(np.float32), owner, np.array([generator.choice(3, p=each) for each in scores])


def test_calibration_finds_what_the_last_window_and_the_length_tell() -> None:
    truth = Calibration(temperature=0.6, last_window=0.8, growth=0.7, uncertain_below=0)
    counts = np.random.default_rng(1).integers(1, 8, 6_000).tolist()
    found = fit_calibration(*windows_of(counts, truth, 2))
    assert found.temperature == pytest.approx(0.6, abs=0.08)
    assert found.last_window == pytest.approx(0.8, abs=0.2)
    assert found.growth == pytest.approx(0.7, abs=0.25)


def test_calibration_of_texts_of_one_window_is_temperature_and_damping() -> None:
    truth = Calibration(temperature=1.7, damping=0.4, uncertain_below=0)
    found = fit_calibration(*windows_of([1] * 12_000, truth, 3))
    assert found.temperature == pytest.approx(1.7, rel=0.15)
    assert found.damping == pytest.approx(0.4, abs=0.15)
    assert (found.last_window, found.growth, found.uncertain_below) == (0, 0, 0)


def test_few_texts_that_are_all_right_do_not_make_a_model_certain() -> None:
    windows = np.full((10, 3), 0.1, np.float32)
    windows[np.arange(10), np.arange(10) % 3] = 0.8
    owner = labels = np.arange(10)
    sure, doubtful = (fit_calibration(windows, owner, labels % 3, doubt=doubt) for doubt in (0.0, 1 / 12))
    assert max(sure.scores(windows[:1])) > 0.9999
    assert max(doubtful.scores(windows[:1])) == pytest.approx(11 / 12, abs=0.001)


def test_doubt_of_one_in_many_changes_next_to_nothing() -> None:
    truth = Calibration(temperature=1.7, damping=0.4, uncertain_below=0)
    given = windows_of([1] * 12_000, truth, 3)
    assert fit_calibration(*given, doubt=1 / 12_002).temperature == pytest.approx(
        fit_calibration(*given).temperature, rel=0.01
    )


@given(st.floats(0.0, 0.8), st.floats(0.501, 0.9999), st.floats(0.501, 0.9999))
def test_damping_as_it_is_fitted_keeps_the_order_of_two_label_answers(damping: float, one: float, other: float) -> None:
    calibration = Calibration(temperature=1, damping=damping, uncertain_below=0)
    sure, surer = (calibration.scores(np.array([[1 - p, p]]))[1] for p in sorted([one, other]))
    assert sure <= surer + 1e-12


def test_temperature_of_answers_all_right_stays_in_its_bounds() -> None:
    assert 0.05 <= fit_temperature(two([0.9, 0.8]), np.array([1, 1])) <= 20


def test_threshold_is_the_least_that_reaches_its_target() -> None:
    scores, labels = two([0.95, 0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 1, 0])
    assert fit_threshold(scores, labels, 1.0) == 0.9
    assert fit_threshold(scores, labels, 0.75) == 0.7
    assert fit_threshold(scores, labels, 0.5) == 0.6


def test_threshold_that_nothing_reaches_is_one() -> None:
    assert fit_threshold(two([0.9, 0.8]), np.array([0, 0]), 0.5) == 1.0


def test_equally_sure_answers_are_above_the_threshold_together() -> None:
    """Right answers that happen to stand before wrong ones of the same confidence must not set it."""
    scores, labels = two([0.9, 0.8, 0.8, 0.8]), np.array([1, 1, 0, 0])
    threshold = fit_threshold(scores, labels, 0.9)
    assert threshold == 0.9
    assert evaluate(scores, labels, threshold).answered_accuracy == 1


def test_threshold_is_not_rounded_above_the_answer_that_set_it() -> None:
    scores, labels = two([0.9999996, 0.9999994]), np.array([1, 1])
    assert evaluate(scores, labels, fit_threshold(scores, labels, 0.9)).answered == 1


def test_threshold_reaches_its_target_on_random_answers() -> None:
    generator = np.random.default_rng(6)
    for _ in range(50):
        confidence = generator.integers(50, 100, 200) / 100
        labels = (generator.random(200) < confidence).astype(np.int64)
        result = evaluate(two(confidence), labels, fit_threshold(two(confidence), labels, 0.9))
        assert result.answered_accuracy >= 0.9


def test_bins_hold_every_answer_the_least_confident_first() -> None:
    confidence = np.array([0.9, 0.5, 0.6, 0.7, 0.8])
    right = np.array([True, False, True, True, True])
    first, second = reliability(confidence, right, bins=2)
    assert (first.texts, first.confidence, first.accuracy) == (3, pytest.approx(0.6), pytest.approx(2 / 3))
    assert (second.texts, second.confidence, second.accuracy) == (2, pytest.approx(0.85), 1)
    assert (first.low, first.high) == wilson(2, 3)


def test_answers_of_one_confidence_are_taken_together() -> None:
    """The most confident first: one right; then three of 0.8, of which two are right; then one wrong."""
    curve = risk_coverage(np.array([0.8, 0.9, 0.8, 0.6, 0.8]), np.array([True, True, False, False, True]))
    assert curve.confidence.tolist() == [0.9, 0.8, 0.6]
    assert curve.coverage.tolist() == [0.2, 0.8, 1]
    assert curve.accuracy.tolist() == [1, 0.75, 0.6]
    assert (curve.coverage_at(1), curve.coverage_at(0.75), curve.coverage_at(0.6)) == (0.2, 0.8, 1)


def test_accuracy_that_nothing_reaches_covers_nothing() -> None:
    assert risk_coverage(np.array([0.9, 0.8]), np.array([False, True])).coverage_at(0.9) == 0


def test_slice_counts_what_is_right_and_what_is_answered() -> None:
    found = measure_slice(np.array([True, True, False, True]), np.array([True, False, True, False]))
    assert (found.texts, found.accuracy, found.answered, found.answered_accuracy) == (4, 0.75, 0.5, 0.5)
    assert (found.accuracy_low, found.accuracy_high) == wilson(3, 4)
    assert measure_slice(np.array([False]), np.array([False])).answered_accuracy == 1


@given(st.lists(st.tuples(st.integers(0, 700), st.booleans(), st.booleans()), min_size=1))
def test_slices_share_out_all_texts(texts: list[tuple[int, bool, bool]]) -> None:
    words, right, sure = (np.array(column) for column in zip(*texts, strict=True))
    parts = measure_slices(words, {"few": 0, "some": 1, "many": 100}, right, sure).values()
    assert sum(part.texts for part in parts) == len(texts)
    assert sum(part.accuracy * part.texts for part in parts) == pytest.approx(right.sum())
    assert sum(part.answered * part.texts for part in parts) == pytest.approx(sure.sum())
    assert all(part.accuracy_low <= part.accuracy + 1e-9 <= part.accuracy_high + 2e-9 for part in parts)


def test_labels_have_precision_recall_and_f1() -> None:
    found = measure_labels([[6, 2, 0], [1, 3, 0], [0, 0, 0]], ["a", "b", "c"])
    first, second, third = (found[name] for name in "abc")
    assert (first["support"], first["answers"]) == (8, 7)
    assert (first["precision"], first["recall"]) == (round(6 / 7, 4), 0.75)
    assert (first["recall_low"], first["recall_high"]) == pytest.approx(wilson(6, 8), abs=5e-5)
    assert second["f1"] == round(2 * 3 / (4 + 5), 4)
    assert (third["support"], third["recall"], third["recall_low"], third["recall_high"]) == (0, 0, 0, 1)


def test_confusions_are_the_most_frequent_and_never_right_answers() -> None:
    counts = [[90, 2, 0], [7, 50, 1], [0, 0, 3]]
    assert find_confusions(counts, 2) == [(1, 0, 7), (0, 1, 2)]
    assert find_confusions(counts, 9) == [(1, 0, 7), (0, 1, 2), (1, 2, 1)]
    assert counts[0][0] == 90


def test_interval_of_macro_f1_is_that_of_accuracy_where_two_labels_are_alike() -> None:
    assert macro_f1_interval([[410, 90], [90, 410]]) == pytest.approx(wilson(820, 1_000), abs=0.003)


def test_interval_of_macro_f1_does_not_suffer_from_samples_without_a_rare_label() -> None:
    assert macro_f1_interval([[99, 0], [0, 1]]) == (1, 1)


def test_label_that_neither_occurs_nor_is_answered_changes_neither_macro_f1_nor_its_interval() -> None:
    counts = [[40, 3, 2], [5, 20, 0], [1, 1, 2]]
    wider = [[*row, 0] for row in counts] + [[0] * 4]
    assert macro_f1(wider) == macro_f1(counts)
    assert macro_f1_interval(wider) == macro_f1_interval(counts)


def test_interval_of_macro_f1_has_samples_in_which_a_label_without_texts_is_answered_and_not() -> None:
    """One answer of 20: a label that does not occur, F1 0, is answered in 1 - 0.95^20 = 64% of the samples."""
    low, high = macro_f1_interval([[19, 1], [0, 0]])
    assert low < 0.5
    assert high == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_macro_f1_is_that_of_scikit_learn(texts: list[tuple[int, int]]) -> None:
    labels, guesses = (list(column) for column in zip(*texts, strict=True))
    expected = f1_score(labels, guesses, average="macro", zero_division=0)
    assert macro_f1(confusion(np.eye(5)[guesses], np.array(labels))) == pytest.approx(expected)


def test_interval_of_macro_f1_is_the_same_each_time() -> None:
    counts = [[40, 3, 2], [5, 20, 0], [1, 1, 2]]
    low, high = macro_f1_interval(counts)
    assert (low, high) == macro_f1_interval(counts)
    assert low < 0.75 < high
