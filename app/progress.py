"""How far long work has come: a line that renews itself on a terminal, a line every now and then elsewhere."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

_BAR_S: Final = 0.2
_LINE_S: Final = 10.0
"""How long there is nothing new to see, on a terminal and elsewhere."""

_BAR_CHARS: Final = 24


class Display:
    """`total`: what all of it is, in the unit that `show` counts in; None: nobody knows."""

    def __init__(
        self,
        total: int | None,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._stream, self._quiet, self._clock = total, stream or sys.stderr, quiet, clock
        self._live = self._stream.isatty()
        self._started = self._shown = clock()
        self._first: tuple[int, int] | None = None
        self._has_bar = False

    def begin(self, done: int, rows: int) -> None:
        """Where this run begins: speed counts from there."""
        self._first = (done, rows)
        self._started = self._shown = self._clock()

    def show(self, done: int, rows: int, failed: int) -> None:
        now = self._clock()
        if self._quiet or now - self._shown < (_BAR_S if self._live else _LINE_S):
            return
        self._shown = now
        first_done, first_rows = self._first or (0, 0)
        passed = max(now - self._started, 1e-9)
        told = f"{rows:,} rows, {(rows - first_rows) / passed:,.0f}/s"
        if self._total and done > first_done:
            left = (self._total - done) * passed / (done - first_done)
            told = f"{100 * done / self._total:3.0f}%, {told}, {_clock_time(left)} left"
        if failed:
            told += f", {failed:,} bad"
        self._write(self._draw(done, told) if self._live else f"{told}\n")

    def tell(self, line: str) -> None:
        """A line of its own, whatever is shown."""
        if not self._quiet:
            self.clear()
            self._write(f"{line}\n")

    def clear(self) -> None:
        """Leaves no bar behind."""
        if self._has_bar:
            self._write("\r\x1b[K")
            self._has_bar = False

    def _draw(self, done: int, told: str) -> str:
        self._has_bar = True
        if self._total:
            full = min(_BAR_CHARS, _BAR_CHARS * done // self._total)
            told = f"[{'#' * full}{'.' * (_BAR_CHARS - full)}] {told}"
        return f"\r\x1b[K{told[: shutil.get_terminal_size().columns - 1]}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
