"""The linear models are measured on the very test texts, and on what of them a window holds."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from training.baseline import measure
from training.datasets import Dataset, Examples


def test_each_model_is_measured_on_each_reading(tiny: Any) -> None:
    found = list(measure(tiny.dataset(3)))
    assert [(one.model.split(",")[0], one.windows) for one in found] == [
        (model, windows) for windows in ("first", "last", "cover") for model in ("linear SVM", "logistic regression")
    ]
    assert all(0.5 < one.accuracy <= 1 for one in found)
    assert all(one.low < one.accuracy < one.high or one.accuracy == 1 for one in found)


def test_reading_cuts_what_is_learned_and_what_is_asked() -> None:
    """Only the last word tells the label, and the first ten are the same for all."""
    right = np.arange(40) % 2
    texts = [" ".join(["same"] * 10 + [("bad", "good")[label]]) for label in right]
    part = Examples(texts, right)
    dataset = Dataset("made up", "tone", {"a": "A", "b": "B"}, ["same", "bad", "good"], part, part, ())
    found = {(one.model.split(",")[0], one.windows): one.accuracy for one in measure(dataset, maxlen=3)}
    assert found["linear SVM", "last"] == found["linear SVM", "cover"] == 1
    assert found["logistic regression", "last"] == found["logistic regression", "cover"] == 1
    assert found["linear SVM", "first"] == found["logistic regression", "first"] == 0.5
