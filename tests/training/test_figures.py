"""What is measured for a bundle, by whom, on which texts."""

from typing import Any

import pytest

from training.figures import Figures, measure


@pytest.fixture(scope="module")
def found(mood: Any) -> Figures:
    """The judge is right, the published model the other way round; a test text is read three ways."""
    held_out = mood.examples(["good good good", "bad", "good", "bad bad"], [1, 0, 1, 0])
    test = mood.examples(["good good", "bad bad bad", "good good good bad bad bad bad bad"], [1, 0, 0])
    dataset = mood.dataset(held_out, test)
    return measure(mood.manifest(), mood.engine(), mood.engine(liked=4), dataset, held_out)


def test_judge_answers_held_out_texts_and_the_published_model_the_test(found: Figures) -> None:
    assert found.checked.accuracy == 1
    assert found.tested["cover"].accuracy == 0
    assert found.tested["first"].accuracy == pytest.approx(1 / 3)
    assert found.confusion == [[0, 2], [1, 0]]
    assert found.per_label["sad"]["support"] == 2
    assert found.weaknesses.by_length["all"].accuracy == 1


def test_headline_is_of_the_way_the_bundle_reads(found: Figures) -> None:
    headline = found.headline("cover")
    assert (headline["held_out_accuracy"], headline["test_accuracy"]) == (1, 0)
    assert headline["test_accuracy_first"] == pytest.approx(1 / 3, abs=1e-6)
    assert "test_texts" not in headline


def test_thresholds_are_the_held_out_texts_and_their_effect_the_tests(found: Figures) -> None:
    """All held-out answers are right, so each target is reached by the least confidence, 2/3."""
    assert [target.accuracy for target in found.targets] == [0.9, 0.95, 0.97, 0.98, 0.99]
    assert {round(target.threshold, 4) for target in found.targets} == {0.6667}
    assert {round(target.test.answered, 4) for target in found.targets} == {0.6667}
    assert {target.test.answered_accuracy for target in found.targets} == {0}


def test_values_of_the_pictures_are_few_and_rounded(found: Figures) -> None:
    values = found.to_json()
    assert values["coverage"]["held_out"] == dict.fromkeys(("0.90", "0.95", "0.97", "0.98", "0.99"), 1)
    assert values["coverage"]["test"]["0.90"] == 0
    assert [part["texts"] for part in values["reliability"]["held_out"]] == [1] * 4
    assert values["reliability"]["held_out"][-1] == {
        "texts": 1, "confidence": 0.8, "accuracy": 1, "low": 0.206543, "high": 1
    }  # fmt: skip
    assert set(values) == {
        "held_out", "test", "confusion", "per_label", "reliability", "coverage", "targets", "by_length",
        "by_known_words", "probes",
    }  # fmt: skip
