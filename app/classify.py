"""A file classified in this process, without a server: rows are read and written while the engine has others.

Constant memory: two chunks of rows at once. Every chunk is safe on disk before the next one counts.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol

from app.bulk import Bulk, Chunk, Tally
from app.engines.base import Engine, Probabilities
from app.errors import FileError
from app.files.journal import Fingerprint, Journal, Progress
from app.files.lines import Position
from app.files.open import Shape, open_writer
from app.files.rows import Reader, Row, Told, Writer


class Sink(Protocol):
    """Where results go, each call behind the one before."""

    def append(self, data: bytes) -> int:
        """How many bytes there are then. Raises OutputError."""
        ...


class Record:
    """Keeps a journal of a run. `about`: what the run is; the result's shape is added when it is known."""

    def __init__(self, journal: Journal, about: dict[str, Any], fingerprint: Fingerprint, *, whole: bool) -> None:
        """`whole`: the input is known by all of it, not by what has been read."""
        self._journal, self._about = journal, about
        self._fingerprint, self._whole = fingerprint, whole

    def save(self, shape: Shape, read: Position, written: int, tally: Tally, *, complete: bool = False) -> None:
        sha256 = self._fingerprint.reach(None if self._whole else read.offset)
        done = Progress(read, sha256, written, tally.rows, tally.failed, dict(tally.labels), complete)
        self._journal.save({**self._about, "shape": asdict(shape)}, done)


Watch = Callable[[Sequence[Row], Sequence[Told], Position], None]


class Classification:
    """From a reader to a sink. `tally` and `shape`: what there is already of a run that goes on."""

    def __init__(
        self,
        reader: Reader,
        bulk: Bulk,
        engine: Engine,
        sink: Sink,
        choose: Callable[[Reader, Sequence[Row]], Shape],
        *,
        record: Record | None = None,
        watch: Watch = lambda *_: None,
    ) -> None:
        self._reader, self._bulk, self._engine, self._sink = reader, bulk, engine, sink
        self._choose, self._record, self._watch = choose, record, watch
        self.tally = Tally()
        self.written = 0
        self.shape: Shape | None = None
        self.writer: Writer | None = None

    def resume(self, shape: Shape, progress: Progress) -> None:
        self.shape, self.writer = shape, open_writer(self._reader, shape)
        self.tally.rows, self.tally.failed = progress.rows, progress.failed
        self.tally.labels.update(progress.labels)
        self.written = progress.written
        self._reader.move(progress.read)

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
                ended = chunk is None
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
        if ended:
            self._end()
        return ended

    def _predict(self, chunk: Chunk) -> Probabilities:
        return self._engine.predict(chunk.ids) if len(chunk.ids) else chunk.ids.astype("float32")

    def _finish(self, chunk: Chunk, asked: "Future[Probabilities]") -> None:
        told = self._bulk.tell(self._bulk.answer(chunk, asked.result()))
        shape, writer = self._open(chunk.rows)
        self.written = self._sink.append(self._beginning(writer) + writer.write(chunk.rows, told))
        self.tally.add(told)
        if self._record:
            self._record.save(shape, chunk.after, self.written, self.tally)
        self._watch(chunk.rows, told, chunk.after)

    def _end(self) -> None:
        shape, writer = self._open([])
        if not self.written:
            self.written = self._sink.append(self._beginning(writer))
        if self._record:
            self._record.save(shape, self._reader.position, self.written, self.tally, complete=True)

    def _open(self, first: Sequence[Row]) -> tuple[Shape, Writer]:
        if self.shape is None or self.writer is None:
            self.shape = self._choose(self._reader, first)
            self.writer = open_writer(self._reader, self.shape)
        return self.shape, self.writer

    def _beginning(self, writer: Writer) -> bytes:
        return b"" if self.written else writer.head()
