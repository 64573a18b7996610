"""What processes that share no memory have counted together: each tells its numbers, and hears the others'.

It stands in a process of its own (`app.replica` says which), and knows no metric by name.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SILENT_S: Final = 30.0
"""Who has told nothing for so long is gone: what it counted stays counted, what it had in hand does not."""

MOST_ROWS: Final = 256
"""Beyond, those that have been silent for longest are added up: they cannot come back."""


class _Row:
    def __init__(self, numbers: NDArray[np.float64], heard: float) -> None:
        self.numbers, self.heard = numbers, heard


class _Page:
    """Of processes whose numbers mean the same."""

    def __init__(self, width: int) -> None:
        self.rows: dict[str, _Row] = {}
        self.gone = np.zeros(width)


class Ledger:
    """One for all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[str, _Page] = {}

    def exchange(self, layout: str, who: str, numbers: bytes, gauges: Sequence[int]) -> bytes:
        """The sum of what all others have told, dead ones too. `numbers` are float64, and mean what `layout` says.

        `gauges`: the places of numbers that tell how things are, rather than how many there have been.
        """
        told, now = np.frombuffer(numbers), self._clock()
        page = self._pages.setdefault(layout, _Page(len(told)))
        page.rows.pop(who, None)  # the order is by when they were heard
        page.rows[who] = _Row(told, now)
        while len(page.rows) > MOST_ROWS:
            page.gone += self._left_by(page.rows.pop(next(iter(page.rows))), -np.inf, gauges)
        others = [self._left_by(row, now - SILENT_S, gauges) for name, row in page.rows.items() if name != who]
        return bytes(np.sum([page.gone, *others], axis=0).tobytes())

    @staticmethod
    def _left_by(row: _Row, silent_since: float, gauges: Sequence[int]) -> NDArray[np.float64]:
        if row.heard >= silent_since > -np.inf:
            return row.numbers
        left = row.numbers.copy()
        left[list(gauges)] = 0
        return left
