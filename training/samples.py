"""Labelled texts to evaluate a bundle on: a file, or the test part of a data set or a table, in the bundle's labels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, Literal

import numpy as np

from app.bundle import Label, Manifest
from app.errors import DataError, UsageError
from training.datasets import Dataset, Examples, digest_labelled
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


def from_table(path: Path, text: str, label: str, test: Path | None, bundles: Mapping[str, Manifest]) -> Sample:
    """The test part of the table that `bundles` learned from: cleaned and split as their manifests say.

    `test`: the table that they were tested on, if `fit` was given one. Raises DataError, and UsageError for a `test`
    that is missing or too much, unless each of `bundles` was tested on these very texts.
    """
    from training.datasets import own
    from training.datasets.cleaning import Rare

    manifest = next(iter(bundles.values()))
    for name, one in bundles.items():
        if "test_sha256" not in one.data:
            raise DataError(f"{name} does not say which table it was tested on. Labelled texts for any bundle: --data")
    data, tokenizer = manifest.data, manifest.text.tokenizer
    asked = data.get("test_table")
    if (asked is None) != (test is None):
        raise UsageError(
            f"it was tested on a table of its own: --test {asked}" if asked else "it was fit without --test"
        )
    table = own.Table(
        path=path,
        task=manifest.task,
        text=text,
        label=label,
        test=test,
        tokenizer=tokenizer.name if tokenizer else "keras",
        rare=Rare(min_examples=_whole(data, "min_examples"), other=_name(data, "other")),
        limit=_whole(data, "limit"),
    )
    rows = own.load_test(table)
    found = digest_labelled((row.text, row.label) for row in rows)
    for name, one in bundles.items():
        if one.data["test_sha256"] != found:
            raise DataError(
                f"{path}: its test part is not the one that {name} was tested on: another table, other columns, or "
                "rows that have changed since. Texts that no bundle has learned: --data"
            )
    return from_rows(f"{test or path} (test part)", rows, manifest.labels)


def _whole(data: Mapping[str, str | int], name: str) -> int | None:
    found = data.get(name)
    return found if isinstance(found, int) else None


def _name(data: Mapping[str, str | int], name: str) -> str | None:
    found = data.get(name)
    return found if isinstance(found, str) else None


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
