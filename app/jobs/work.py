"""One job being done, all but the engine's part. Every call may take its time: none is for an event loop."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from app.answers import Answer, Interpreter
from app.bounds import Bounds
from app.bulk import Bulk, Chunk, ChunkSize, Tally
from app.engines.base import Probabilities
from app.errors import FileError, JobsFullError, LeaseLostError, OutputError, RequestError
from app.files.journal import Spool
from app.files.lines import Position
from app.files.open import Shape, choose_shape, open_reader
from app.files.parquet import ParquetReader, ParquetWriter
from app.files.rows import Reader, Row
from app.jobs.folder import Folder
from app.jobs.job import MAX_ROW_BYTES, Job
from app.jobs.store import JobStore
from app.scribe import Scribe

SIZE: Final = ChunkSize(rows=1_024, windows=1_024, bytes=2_000_000)
_SMOOTHING: Final = 0.3
_MEASURE_BYTES: Final = 4_000_000
"""A result grows by so much before it is looked whether there is room for it."""


class Work:
    """A claimed job. What it finds to be another's meanwhile, it leaves alone, and raises LeaseLostError."""

    def __init__(self, job: Job, store: JobStore, root: Path, interpreter: Interpreter, bounds: Bounds) -> None:
        """Raises FileError where the file cannot be read at all, NoParquetError, OutputError, or as `set` does.

        `bounds`: of all jobs together.
        """
        self._job, self._store, self._folder, self._bounds = job, store, Folder(root, job.id), bounds
        self._name = f"result.{job.attempt}"
        seal = interpreter.manifest.sha256
        shape = job.written_as if job.bundle == seal else None  # one file is never answered by two models
        self._reader = self._open_reader(shape)
        try:
            self._take_over(shape, seal)
            self._spool = Spool(self._folder.path / self._name, job.written if shape else 0)
        except BaseException:
            self._reader.close()
            raise
        self._bulk = Bulk(self._reader, interpreter, SIZE)
        self._scribe = Scribe(self._reader, self._bulk, self._spool, self._choose_shape, record=self)
        if shape:
            self._scribe.resume(shape, job.progress)
        self._total = self._reader.total if isinstance(self._reader, ParquetReader) else job.size
        self._speed = self._pace = 0.0
        """Rows a second, and bytes of the file (in Parquet, rows)."""
        self._saved_at, self._saved = time.monotonic(), (self._scribe.tally.rows, self._reader.position.offset)
        self._measured = 0

    def read(self) -> Chunk | None:
        """Raises FileError where no more of the file can be read."""
        return self._bulk.read()

    def finish(self, chunk: Chunk, probabilities: Probabilities) -> Sequence[Answer | RequestError]:
        """Raises OutputError, JobsFullError, or as `set` does."""
        return self._scribe.finish(chunk, probabilities)[0]

    def end(self) -> None:
        """The result is whole. Raises as `finish` does."""
        shape = self._scribe.end()  # which nothing has recorded of a file without rows
        name, written = self._put_together()
        tally = self._scribe.tally
        told = {"shape": _tell_shape(shape), "rows": tally.rows, **_told(tally), **_ended()}
        self.set(status="done", result=name, written=written, **told)
        self._folder.drop_others(name)

    def keep(self) -> None:
        """No more than this can be answered. Raises as `finish` does."""
        if self._scribe.written:
            name, written = self._put_together()
            self.set(result=name, written=written)
            self._folder.drop_others(name)

    def _put_together(self) -> tuple[str, int]:
        """The result's name and size, fit to be given out."""
        name = self._name
        try:
            if isinstance(self._scribe.writer, ParquetWriter):
                name = f"{name}.parquet"
                self._scribe.writer.join(self._folder.path / self._name, self._folder.path / name)
            return name, (self._folder.path / name).stat().st_size
        except OSError as error:
            raise OutputError((error.strerror or str(error)).lower()) from error

    def set(self, **values: Any) -> None:
        """Raises JobStoreError or LeaseLostError."""
        if not self._store.set(self._job.id, self._job.lease, **values):
            raise LeaseLostError(self._job.id)

    def save(self, shape: Shape, read: Position, written: int, tally: Tally) -> None:
        """Says in the job's row how far it is, and how fast. Raises JobsFullError."""
        now = time.monotonic()
        passed, (rows, offset) = max(now - self._saved_at, 1e-6), self._saved
        share = _SMOOTHING if self._pace else 1.0
        self._speed += share * ((tally.rows - rows) / passed - self._speed)
        self._pace += share * ((read.offset - offset) / passed - self._pace)
        self._saved_at, self._saved = now, (tally.rows, read.offset)
        self.set(
            shape=_tell_shape(shape),
            read_offset=read.offset,
            read_line=read.line,
            written=written,
            tries=0,
            rows_per_s=round(self._speed, 1),
            seconds_left=round((self._total - read.offset) / self._pace, 1),
            **_told(tally),
        )
        if written - self._measured >= _MEASURE_BYTES:
            self._measured = written
            if not self._store.has_room(self._job.owner, 0, self._bounds):
                raise JobsFullError

    def close(self) -> None:
        self._reader.close()
        self._spool.close()

    def _open_reader(self, shape: Shape | None) -> Reader:
        try:
            text = shape.text if shape else self._job.text
            return open_reader(self._folder.input, self._job.format, text, max_line_bytes=MAX_ROW_BYTES)
        except OSError as error:
            raise FileError("the file is gone") from error

    def _take_over(self, shape: Shape | None, seal: str) -> None:
        """From now on the result is a file of this attempt's own: whoever wrote the one before may not be dead."""
        try:
            if shape:
                self._folder.take_over(self._job, self._name)
            else:
                (self._folder.path / self._name).write_bytes(b"")
        except OSError as error:
            raise OutputError((error.strerror or str(error)).lower()) from error
        anew = {"shape": None, "read_offset": 0, "read_line": 0, "written": 0, **_told(Tally())}
        rows = self._reader.total if isinstance(self._reader, ParquetReader) else None
        self.set(result=self._name, bundle=seal, rows=rows, **({} if shape else anew))
        self._folder.drop_others(self._name)

    def _choose_shape(self, reader: Reader, first: Sequence[Row]) -> Shape:
        return choose_shape(reader, first, self._job.format)


def fail(job: Job, store: JobStore, code: str, why: str) -> bool:
    """There will be no result; False if that is no longer ours to say. Raises JobStoreError."""
    return store.set(job.id, job.lease, status="failed", error=json.dumps({"code": code, "detail": why}), **_ended())


def give_back(job: Job, store: JobStore) -> None:
    """Somebody may go on with it at once. Raises JobStoreError."""
    store.set(job.id, job.lease, status="waiting", lease=None, lease_until=0.0, tries=0)


def lay_down(job: Job, store: JobStore) -> None:
    """As `give_back`, but the job may be what has failed: this was one of its tries. Raises JobStoreError."""
    store.set(job.id, job.lease, status="waiting", lease=None, lease_until=0.0)


def _tell_shape(shape: Shape) -> str:
    return json.dumps(asdict(shape))


def _told(tally: Tally) -> dict[str, Any]:
    return {"done": tally.rows, "failed": tally.failed, "labels": json.dumps(dict(tally.labels))}


def _ended() -> dict[str, Any]:
    return {"finished": time.time(), "seconds_left": None, "lease": None}
