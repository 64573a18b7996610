"""Labelled texts to evaluate a bundle on: a user's file or a data set's test part, in the bundle's labels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

import numpy as np

from app.bundle import Label
from app.errors import DataError
from training.datasets import Dataset, Examples
from training.datasets.table import Row

LISTED_LABELS: Final = 10


@dataclass(frozen=True)
class Sample:
    """`labels`: names, in the order by which `examples` know them.

    `lines` (texts,): by `unit`, the line of the file that each text begins in, or its place in a test part, from 1.
    """

    source: str
    labels: list[str]
    examples: Examples
    lines: Sequence[int]
    unit: Literal["line", "text"]


def from_dataset(dataset: Dataset, labels: Sequence[Label]) -> Sample:
    names = list(dataset.labels)
    test = zip(dataset.test.texts, dataset.test.labels, strict=True)
    rows = (Row(line, text, names[place]) for line, (text, place) in enumerate(test, start=1))
    return from_rows(f"{dataset.name} (test part)", rows, labels, unit="text")


def from_rows(
    source: str, rows: Iterable[Row], labels: Sequence[Label], *, unit: Literal["line", "text"] = "line"
) -> Sample:
    """A row's label is a name, or, where only one label is meant, a name or display name in any case.

    Raises DataError for the first that is neither.
    """
    exact = {label.name: place for place, label in enumerate(labels)}
    loose = defaultdict[str, set[int]](set)
    for place, label in enumerate(labels):
        loose[label.name.casefold()].add(place)
        loose[label.display_name.casefold()].add(place)
    texts, places, lines = list[str](), list[int](), list[int]()
    unknown = defaultdict[str, list[int]](list)
    for row in rows:
        meant = {exact[row.label]} if row.label in exact else loose.get(row.label.casefold(), set())
        if len(meant) != 1:
            unknown[row.label].append(row.line)
            continue
        texts.append(row.text)
        places.extend(meant)
        lines.append(row.line)
    if unknown:
        raise DataError(f"{source}, {unit} {_say_unknown(unknown, labels)}")
    names = [label.name for label in labels]
    return Sample(source, names, Examples(texts, np.array(places, np.int64)), lines, unit)


def _say_unknown(unknown: dict[str, list[int]], labels: Sequence[Label]) -> str:
    name, lines = next(iter(unknown.items()))
    others = f"; other unknown names: {len(unknown) - 1:,}" if len(unknown) > 1 else ""
    near = sorted(labels, key=lambda label: -_likeness(name, label))
    listed = ", ".join(label.name for label in near[:LISTED_LABELS])
    rest = f" and {len(near) - LISTED_LABELS} more" if len(near) > LISTED_LABELS else ""
    shown = name if len(name) <= 60 else f"{name[:60]}…"
    return f"{lines[0]}: {shown!r} is not a label of the bundle (rows: {len(lines):,}){others}. Labels: {listed}{rest}."


def _likeness(name: str, label: Label) -> float:
    """0 to 1."""
    names = label.name, label.display_name
    return max(SequenceMatcher(None, name.casefold()[:200], one.casefold()).ratio() for one in names)
