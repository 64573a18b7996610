"""Labels of a file are found among the bundle's, or the fault is told so that it can be mended."""

from collections.abc import Iterable

import numpy as np
import pytest

from app.bundle import Label
from app.errors import DataError
from training import samples
from training.datasets import Dataset, Examples
from training.datasets.table import Row

LABELS = [
    Label(name="earn", display_name="Earnings and dividends", share=0.5),
    Label(name="lead", display_name="Lead", share=0.25),
    Label(name="Tin", display_name="tin ", share=0.25),
]


def rows(*labels: str) -> Iterable[Row]:
    return (Row(line, f"text of {label}", label) for line, label in enumerate(labels, start=2))


def test_label_is_a_name_or_a_display_name_in_any_case() -> None:
    sample = samples.from_rows("a.csv", rows("earn", "EARN", "earnings AND dividends", "Lead", "tin"), LABELS)
    assert sample.examples.labels.tolist() == [0, 0, 0, 1, 2]
    assert (sample.labels, list(sample.lines), sample.unit) == (["earn", "lead", "Tin"], [2, 3, 4, 5, 6], "line")


def test_exact_name_comes_before_another_labels_display_name() -> None:
    labels = [Label(name="gas", display_name="Petrol", share=0.5), Label(name="Petrol", display_name="Oil", share=0.5)]
    assert samples.from_rows("a.csv", rows("Petrol"), labels).examples.labels.tolist() == [1]
    with pytest.raises(DataError, match="'petrol' is not a label of the bundle"):
        samples.from_rows("a.csv", rows("petrol"), labels)


def test_unknown_label_is_told_with_its_rows_and_the_near_ones_first() -> None:
    with pytest.raises(DataError) as caught:
        samples.from_rows("a.csv", rows("earn", "leed", "leed", "gold", "leed"), LABELS)
    assert str(caught.value) == (
        "a.csv, line 3: 'leed' is not a label of the bundle (rows: 3); other unknown names: 1. Labels: lead, earn, Tin."
    )


def test_long_lists_are_cut() -> None:
    many = [Label(name=f"l{place}", display_name="", share=0) for place in range(30)]
    with pytest.raises(DataError) as caught:
        samples.from_rows("a.csv", rows("word " * 1_000), many)
    assert len(str(caught.value)) < 250
    assert str(caught.value).endswith(" and 20 more.")


def test_test_part_of_a_data_set_is_a_sample_in_the_bundles_order() -> None:
    part = Examples(["a", "b"], np.array([0, 1]))
    dataset = Dataset("wires", "topic", {"lead": "L", "earn": "E"}, ["a"], part, part, ())
    sample = samples.from_dataset(dataset, LABELS)
    assert (sample.source, sample.unit, list(sample.lines)) == ("wires (test part)", "text", [1, 2])
    assert sample.examples.labels.tolist() == [1, 0]
