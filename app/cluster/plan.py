"""How files of rows are cut into parts, and what tells that a part of them has been answered.

A part's result is a file of its own, called by where its rows come from. Its footer has a receipt. So the results
themselves say what is done, whoever dies, and a part that two have answered is still one file.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Final

from app.errors import UsageError

PLAN: Final = "_sentopic.json"
"""The plan's file beside the results. Whoever reads the directory as one table leaves out what begins so."""

_VERSION: Final = 1
_FEWEST_ROWS: Final = 5_000
"""Of a part: some seconds' work."""

_MOST_ROWS: Final = 200_000
_PARTS: Final = 200
"""So many would be good to have: each machine gets some, and what is lost with one is little."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file of rows. `stamp`: changes when it is another one (its length and all of its footer)."""

    path: str
    rows: int
    size: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a file, from `start` on, by the file's place in the plan."""

    place: int
    start: int
    rows: int

    @property
    def name(self) -> str:
        """Sorts as the rows do."""
        return f"part-{self.place:05}-{self.start:012}.parquet"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a result's footer says. `run`: of which plan it is."""

    run: str
    stamp: str
    start: int
    rows: int
    failed: int
    labels: dict[str, int]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, source: bytes | str) -> "Receipt | None":
        """None for what is none."""
        try:
            return cls(**json.loads(source))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `about`: what must be the same when it goes on: bundle, engine, options."""

    run: str
    about: dict[str, Any]
    inputs: tuple[Input, ...]
    part_rows: int
    complete: bool = False

    def parts(self) -> Iterator[Part]:
        """In the rows' order. A file without rows is one part, so that its columns are told."""
        for place, one in enumerate(self.inputs):
            pieces = max(1, -(-one.rows // self.part_rows))
            ends = [number * one.rows // pieces for number in range(pieces + 1)]
            for start, end in pairwise(ends):
                yield Part(place, start, end - start)

    def is_done(self, part: Part, receipt: Receipt | None) -> bool:
        """Whether a result with this receipt is the part's, of this run and of the file as it is now."""
        wanted = (self.run, self.inputs[part.place].stamp, part.start, part.rows)
        return receipt is not None and wanted == (receipt.run, receipt.stamp, receipt.start, receipt.rows)

    def renew(self, about: Mapping[str, Any], inputs: tuple[Input, ...]) -> "Plan":
        """The same run, of these files as they are now. Raises UsageError if it would be another one."""
        if other := [name for name in about if about[name] != self.about.get(name)]:
            raise UsageError(f"the run was begun with another {other[0]}: --force begins anew")
        if [one.path for one in inputs] != [one.path for one in self.inputs]:
            raise UsageError("the run was begun with other files: --force begins anew")
        return replace(self, inputs=inputs)

    def to_json(self) -> bytes:
        return json.dumps({"version": _VERSION, **asdict(self)}).encode()

    @classmethod
    def from_json(cls, source: bytes) -> "Plan":
        """Raises UsageError."""
        try:
            found = json.loads(source)
            if found.pop("version") != _VERSION:
                raise ValueError
            inputs = tuple(Input(**one) for one in found.pop("inputs"))
            return cls(**found, inputs=inputs)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UsageError(f"{PLAN} there is not what a run leaves behind") from None


def choose_part_rows(rows: int) -> int:
    """For so many rows in all: few enough for little to be lost, and enough that files do not become too many."""
    return min(_MOST_ROWS, max(_FEWEST_ROWS, -(-rows // _PARTS)))
