"""A file classified in this process, without a server: rows are read and written while the engine has others.

Constant memory: two chunks of rows at once. Every chunk is safe on disk before the next one counts.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from app.bulk import Bulk, Chunk, Tally
from app.engines.base import Engine, Probabilities
from app.errors import FileError
from app.files.journal import Fingerprint, Journal, Progress
from app.files.lines import Position
from app.files.open import Shape
from app.files.rows import Reader, Row, Told
from app.scribe import Scribe

Watch = Callable[[Sequence[Row], Sequence[Told], Position], None]


class JournalRecord:
    """Keeps a journal of a run. `about`: what the run is; the result's shape is added when it is known."""

    def __init__(self, journal: Journal, about: dict[str, Any], fingerprint: Fingerprint, *, whole: bool) -> None:
        """`whole`: the input is known by all of it, not by what has been read."""
        self._journal, self._about = journal, about
        self._fingerprint, self._whole = fingerprint, whole

    def save(self, shape: Shape, read: Position, written: int, tally: Tally, *, complete: bool = False) -> None:
        """Raises OutputError."""
        sha256 = self._fingerprint.reach(None if self._whole else read.offset)
        done = Progress(read, sha256, written, tally.rows, tally.failed, dict(tally.labels), complete)
        self._journal.save({**self._about, "shape": asdict(shape)}, done)


class Classification:
    """From a reader to a scribe."""

    def __init__(
        self, reader: Reader, bulk: Bulk, engine: Engine, scribe: Scribe, watch: Watch = lambda *_: None
    ) -> None:
        self._reader, self._bulk, self._engine, self._scribe, self._watch = reader, bulk, engine, scribe, watch

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Whether it came to the end of the file, before it was told to stop.

        Raises FileError where no more can be read, once all rows before have been written; OutputError.
        """
        fault: FileError | None = None
        ended = False
        waiting: tuple[Chunk, Future[Probabilities]] | None = None
        with ThreadPoolExecutor(1, "engine") as thread:
            while not (stop() or ended or fault):
                try:
                    chunk = self._bulk.read()
                except FileError as error:
                    chunk, fault = None, error
                ended = chunk is None and not fault
                asked = (chunk, thread.submit(self._predict, chunk)) if chunk else None
                if waiting:
                    self._finish(*waiting)
                waiting = asked
                if waiting and self._reader.is_idle():  # its answers must not wait for rows that may be long in coming
                    self._finish(*waiting)
                    waiting = None
            if waiting:
                self._finish(*waiting)
        if fault:
            raise fault
        return ended

    def _predict(self, chunk: Chunk) -> Probabilities:
        return self._engine.predict(chunk.ids) if len(chunk.ids) else chunk.ids.astype("float32")

    def _finish(self, chunk: Chunk, asked: "Future[Probabilities]") -> None:
        _, told = self._scribe.finish(chunk, asked.result())
        self._watch(chunk.rows, told, chunk.after)
