"""A machine's side of `sentopic classify --cluster`: one part after the other answered and put in its place.

Knows no Ray: what comes in and goes out are plain values.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.bulk import Bulk
from app.classify import Classification
from app.cluster.cargo import Desk
from app.cluster.place import Copy, Place
from app.cluster.plan import PLAN, Input, Part, Plan, Receipt
from app.cluster.reasons import explain
from app.errors import ClusterError, FileError, LeaseLostError, OutputError
from app.files.journal import Spool
from app.files.lines import Position
from app.files.open import choose_shape
from app.files.parquet import NOTE, ParquetReader, ParquetWriter
from app.files.rows import Row, Told
from app.scribe import Scribe

MOST_TOLD = 10
"""Bad rows of a part that are told one by one."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What all parts of a run have in common. `text`: the column that has the texts."""

    run: str
    source: str
    target: str
    text: str


class Clerk:
    """`close` it: it has files of its own."""

    def __init__(self, errand: Errand, desk: Desk) -> None:
        """Raises UsageError or NoParquetError."""
        self._errand, self._desk = errand, desk
        self._source, self._target = Place(errand.source), Place(errand.target)
        self._folder = TemporaryDirectory(prefix="sentopic-")
        self._copy: tuple[str, Copy] | None = None

    def answer(self, part: Part, source: Input) -> tuple[Receipt, list[tuple[int, str]]]:
        """Puts the part's result in its place; the receipt, and the first bad rows with what is wrong with them.

        Raises FileError where the file cannot be read, ClusterError where it is not the one of the plan, OutputError,
        and LeaseLostError once another run has the place.
        """
        bad: list[tuple[int, str]] = []

        def watch(rows: Sequence[Row], told: Sequence[Told], _: Position) -> None:
            faults = [(row.line, one.error) for row, one in zip(rows, told, strict=True) if one.error is not None]
            bad.extend(faults[: MOST_TOLD - len(bad)])

        spool, result = (Path(self._folder.name) / name for name in ("spool", "result"))
        spool.unlink(missing_ok=True)
        with ExitStack() as stack:
            reader = self._open(part, source)
            stack.callback(reader.close)
            sink = Spool(spool)
            stack.callback(sink.close)
            bulk = Bulk(reader, self._desk.interpreter)
            scribe = Scribe(reader, bulk, sink, lambda reader, first: choose_shape(reader, first, "parquet"))
            Classification(reader, bulk, self._desk.engine, scribe, watch).run()
            scribe.end()
        tally = scribe.tally
        if tally.rows != part.rows:
            raise FileError("it has not the rows that its footer tells of", part.start + tally.rows + 1, unit="row")
        self._check(source)  # whoever wrote over it meanwhile may have changed what had not been read yet
        receipt = Receipt(self._errand.run, source.stamp, part.start, tally.rows, tally.failed, dict(tally.labels))
        self._deliver(part, receipt, scribe.writer, spool, result)
        return receipt, bad

    def close(self) -> None:
        if self._copy:
            self._copy[1].close()
        self._folder.cleanup()

    def _open(self, part: Part, source: Input) -> ParquetReader:
        end = part.start + part.rows
        if self._source.is_local:
            self._check(source)
        with _told(source):
            path = Path(source.path) if self._source.is_local else self._fetch(part, source)
            reader = ParquetReader(path, self._errand.text)
        reader.move(Position(part.start, part.start))
        reader.end_before(end)
        return reader

    def _check(self, source: Input) -> None:
        """Raises ClusterError unless the file is the plan's."""
        with _told(source):
            stamp = self._source.read_footer(source.path).stamp
        if stamp != source.stamp:
            raise _changed(source)

    def _fetch(self, part: Part, source: Input) -> Path:
        """What is needed of an object store's file, on this disk; the last file's pieces stay there."""
        if self._copy is None or self._copy[0] != source.path:
            if self._copy:
                self._copy[1].close()
                self._copy = None
            self._copy = source.path, Copy(self._source, source.path, Path(self._folder.name) / "copy.parquet")
        copy = self._copy[1]
        if copy.footer.stamp != source.stamp:
            raise _changed(source)
        copy.fetch(part.start, part.start + part.rows)
        return copy.path

    def _deliver(self, part: Part, receipt: Receipt, writer: Any, spool: Path, result: Path) -> None:
        assert isinstance(writer, ParquetWriter)  # noqa: S101 - by the shape's format
        try:
            writer.join(spool, result, receipt.to_json())
        except OSError as error:
            raise OutputError(f"{result}: {explain(error)}") from error
        found = self._target.read(PLAN)
        if found is None or Plan.from_json(found).run != self._errand.run:
            raise LeaseLostError("another run writes there now")
        self._target.put(part.name, result)
        for path in (spool, result):
            with suppress(OSError):
                path.unlink()


def read_receipt(place: Place, name: str) -> Receipt | None:
    """What a result's footer says; None if it says nothing. Raises OutputError."""
    import pyarrow

    try:
        with place.system.open_input_file(f"{place.path}/{name}") as file:
            import pyarrow.parquet

            found = pyarrow.parquet.ParquetFile(file).metadata.metadata or {}
    except FileNotFoundError:
        return None
    except pyarrow.ArrowException:
        return None
    except OSError as error:
        raise OutputError(f"{name}: {explain(error)}") from error
    return Receipt.from_json(found[NOTE]) if NOTE in found else None


@contextmanager
def _told(source: Input) -> Iterator[None]:
    """Raises ClusterError where the file cannot be read."""
    try:
        yield
    except OSError as error:
        raise ClusterError(f"{source.path}: a machine of the cluster cannot read it ({explain(error)})") from error


def _changed(source: Input) -> ClusterError:
    return ClusterError(f"{source.path} is not on all machines the file that the run began with")
