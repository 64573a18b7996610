"""Writes answered chunks of rows, one behind the other, and records what is safe: for files and for jobs alike."""

from collections.abc import Callable, Sequence
from typing import Protocol

from app.answers import Answer
from app.bulk import Bulk, Chunk, Tally
from app.engines.base import Probabilities
from app.errors import RequestError
from app.files.journal import Progress
from app.files.lines import Position
from app.files.open import Shape, open_writer
from app.files.rows import Reader, Row, Told, Writer


class Sink(Protocol):
    """Where results go, each call behind the one before."""

    def append(self, data: bytes) -> int:
        """How many bytes there are then, all of them safe. Raises OutputError."""
        ...


class Record(Protocol):
    """Where it stands how far a run has come."""

    def save(self, shape: Shape, read: Position, written: int, tally: Tally) -> None:
        """Makes it safe that so many bytes of the result are of the input up to there."""
        ...


class Scribe:
    """`tally`, `written`: what there is of the result. `writer`: once it is known what it looks like."""

    def __init__(
        self,
        reader: Reader,
        bulk: Bulk,
        sink: Sink,
        choose: Callable[[Reader, Sequence[Row]], Shape],
        record: Record | None = None,
    ) -> None:
        self._reader, self._bulk, self._sink, self._choose, self._record = reader, bulk, sink, choose, record
        self.tally = Tally()
        self.written = 0
        self.shape: Shape | None = None
        self.writer: Writer | None = None

    def resume(self, shape: Shape, progress: Progress) -> None:
        """Goes on from there, before anything is read."""
        self.shape, self.writer = shape, open_writer(self._reader, shape)
        self.tally.rows, self.tally.failed = progress.rows, progress.failed
        self.tally.labels.update(progress.labels)
        self.written = progress.written
        self._reader.move(progress.read)

    def finish(self, chunk: Chunk, probabilities: Probabilities) -> tuple[list[Answer | RequestError], list[Told]]:
        """Writes the chunk with its answers. Raises OutputError."""
        answers = self._bulk.answer(chunk, probabilities)
        told = self._bulk.tell(answers)
        shape, writer = self._open(chunk.rows)
        self.written = self._sink.append(self._beginning(writer) + writer.write(chunk.rows, told))
        self.tally.add(told)
        if self._record:
            self._record.save(shape, chunk.after, self.written, self.tally)
        return answers, told

    def end(self) -> Shape:
        """Nothing more comes: a file without rows has its header alone. Raises OutputError."""
        shape, writer = self._open([])
        if not self.written:
            self.written = self._sink.append(self._beginning(writer))
        return shape

    def _open(self, first: Sequence[Row]) -> tuple[Shape, Writer]:
        if self.shape is None or self.writer is None:
            self.shape = self._choose(self._reader, first)
            self.writer = open_writer(self._reader, self.shape)
        return self.shape, self.writer

    def _beginning(self, writer: Writer) -> bytes:
        return b"" if self.written else writer.head()
