"""A network is told beside what it must beat, whoever wins."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from training import rivals
from training.rivals import ALWAYS, Rival


def test_rivals_learn_from_their_part_and_answer_others(tiny: Any) -> None:
    dataset = tiny.dataset(3)
    found = rivals.measure(rivals.learn(dataset, dataset.train), dataset.test)
    assert [one.name.split(",")[0] for one in found] == [ALWAYS, "linear SVM", "logistic regression"]
    assert found[0].accuracy == pytest.approx(1 / 3)
    assert all(0.5 < one.accuracy <= 1 and one.low <= one.accuracy <= one.high for one in found[1:])


def test_answers_are_compared_text_by_text(tiny: Any) -> None:
    dataset = tiny.dataset(2)
    network = dataset.test.labels == 0
    network[:4] = [False, False, False, True]  # of the texts 0, 1, 2, 3 with labels 0, 1, 0, 1
    (always, *_) = rivals.measure(rivals.learn(dataset, dataset.train), dataset.test, network)
    assert (always.worse, always.better) == (2, 1)
    assert always.p_value == 1


@pytest.mark.parametrize(
    ("accuracy", "worse", "better", "p_value", "says"),
    [
        (
            0.7,
            30,
            5,
            0.001,
            "The network is worse than B: 70.0% to 80.0% on the test texts (right alone: the network 5",
        ),
        (0.7, 6, 5, 0.9, "The network is worse than B: 70.0% to 80.0% on the test texts, which may be chance ("),
        (
            0.9,
            5,
            30,
            0.001,
            "The network is better than B: 90.0% to 80.0% on the test texts (right alone: ",
        ),
        (0.9, 5, 6, 0.9, "The network is not surely better than B: 90.0% to 80.0% on the test texts ("),
        (0.8, 5, 5, 1.0, "The network is not surely better than B: 80.0% to 80.0% on the test texts ("),
    ],
)
def test_verdict_says_who_is_better_and_whether_it_may_be_chance(
    accuracy: float, worse: int, better: int, p_value: float, says: str
) -> None:
    others = [
        Rival(ALWAYS, 0.2, 0.1, 0.3),
        Rival("A", 0.6, 0.5, 0.7),
        Rival("B", 0.8, 0.7, 0.9, worse, better, p_value),
    ]
    assert rivals.judge(accuracy, others).startswith(says)


def test_hopes_name_the_commonest_label(mood: Any) -> None:
    part = mood.examples(["x"] * 3, [1, 1, 0])
    said = rivals.describe_hopes([Rival(ALWAYS, 0.25, 0.2, 0.3), Rival("A", 0.6, 0.5, 0.7)], ["sad", "glad"], part)
    assert said == (
        "what to expect, of the held-out texts right: always 'glad' 25.0% (20.0% to 30.0%), A 60.0% (50.0% to 70.0%)"
    )


def test_a_rival_is_json_and_back() -> None:
    rival = Rival("A", 0.5, np.float64(0.25).item(), 0.75, 3, 2, 1.25e-9)
    assert Rival(**rival.to_json()) == rival
