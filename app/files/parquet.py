"""Parquet, by pyarrow, which is imported when the first file needs it. Columns keep their types.

What is in a file is unpacked elsewhere (`app/files/unpack.py`), its footer too.

A Parquet file cannot be appended to. So rows are appended as Arrow streams, one behind the other, which can be cut off
at any of their ends, and become a Parquet file when all are there.
"""

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.errors import FileError, NoParquetError
from app.files.cells import to_text
from app.files.lines import MAX_LINE_BYTES, Position
from app.files.rows import DEFAULT_TEXT, Format, Row, Told, blank, number_repeats, without_repeats
from app.files.unpack import describe, unpack
from app.files.unpacker import size_of

if TYPE_CHECKING:
    import pyarrow

_GROUP_ROWS: Final = 2**17
"""In a row group of what is written: pyarrow's usual million would all be in memory."""

_GROUP_BYTES: Final = 2**25

NOTE: Final = b"sentopic"
"""In a footer: which part of which run's result a file is."""


class ParquetReader:
    """A row without a text is bad alone; at one of more than `max_row_bytes` the file ends.

    Cells: a batch of rows, and the row's place in it.
    """

    format: Format = "parquet"
    unit = "row"

    def __init__(self, path: Path, text: str | None = None, max_row_bytes: int = MAX_LINE_BYTES) -> None:
        """Raises OSError, FileError or NoParquetError."""
        _arrow()
        _refuse_empty(path)
        self._file = path.open("rb")
        try:
            self.schema: pyarrow.Schema
            self.total: int
            self.schema, self.total = describe(self._file)
            self.text = self._find_text(text)
        except FileError:
            self._file.close()
            raise
        self.columns: list[str] | None = without_repeats(self.schema.names)
        self._row, self._end, self._max_row_bytes = 0, sys.maxsize, max_row_bytes
        self._bytes_read = 0.0
        self._batches: Generator[pyarrow.RecordBatch, None, None] | None = None

    @property
    def position(self) -> Position:
        return Position(self._row, self._row)

    @property
    def bytes_read(self) -> int:
        return int(self._bytes_read)

    def __iter__(self) -> Iterator[Row]:
        self._batches = unpack(self._file, self._row, self._end, max_row_bytes=self._max_row_bytes)
        for batch in self._batches:
            size = size_of(batch) / max(1, batch.num_rows)
            texts = _take_texts(batch.column(self.schema.names.index(self.text)))
            for place, (text, why) in enumerate(texts):
                self._row += 1
                self._bytes_read += size
                yield Row(self._row, text, why, (batch, place))

    def values(self, row: Row) -> dict[str, Any]:
        batch, place = row.cells
        return dict(zip(self.columns or (), (_take(column, place) for column in batch.columns), strict=True))

    def is_idle(self) -> bool:
        return False

    def move(self, position: Position) -> None:
        self._row = position.offset

    def end_before(self, row: int) -> None:
        """It has no more rows than so many, counted from the file's beginning."""
        self._end = row

    def close(self) -> None:
        if self._batches:
            self._batches.close()
        self._file.close()

    def _find_text(self, wanted: str | None) -> str:
        names = self.schema.names
        name = wanted or (names[0] if len(names) == 1 else DEFAULT_TEXT)
        hint = f"looked for {name!r}; its columns: {', '.join(map(repr, names))}"
        if names.count(name) != 1:
            how = "are several columns" if name in names else "is no column"
            raise FileError(f"there {how} of texts", hint=hint)
        kind = self.schema.field(name).type
        types = _arrow().types
        held = kind.value_type if types.is_dictionary(kind) else kind
        if not any(
            fits(held) for fits in (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
        ):
            raise FileError("the column of texts holds something else", hint=f"{hint}; {name!r} is {kind}")
        return name


def _take_texts(column: "pyarrow.Array") -> list[tuple[str, str | None]]:
    """Each text, and why it cannot be answered. Nobody has promised that they are UTF-8."""
    try:
        texts = column.to_pylist()
    except UnicodeDecodeError:
        return [_take_text(column, place) for place in range(len(column))]
    return [_judge(text) for text in texts]


def _judge(text: str | None) -> tuple[str, str | None]:
    return text or "", "the text is missing" if text is None else blank(text)


def _take_text(column: "pyarrow.Array", place: int) -> tuple[str, str | None]:
    try:
        return _judge(column[place].as_py())
    except UnicodeDecodeError:
        return "", "the text is not UTF-8"


def _take(column: "pyarrow.Array", place: int) -> Any:
    """A value; one that Python has no room for, as a moment in the year 300,000, is what Arrow prints of it."""
    try:
        return column[place].as_py()
    except UnicodeDecodeError:
        buffer = getattr(column[place], "as_buffer", None)
        return buffer().to_pybytes().decode("utf-8", "backslashreplace") if buffer else "\N{REPLACEMENT CHARACTER}"
    except (ValueError, OverflowError):
        return " ".join(column.slice(place, 1).to_string().strip("[]").split())


class ParquetWriter:
    """`schema`: of the rows, if they are ParquetReader's, which keep their types; else None, and all become texts."""

    format: Format = "parquet"

    def __init__(
        self,
        columns: Sequence[str],
        names: Sequence[str],
        cells: Callable[[Row], Sequence[Any]],
        schema: "pyarrow.Schema | None" = None,
    ) -> None:
        arrow = _arrow()
        self._cells, self._as_read = cells, schema is not None
        own = schema or arrow.schema([(name, arrow.string()) for name in number_repeats(list(map(_as_utf8, columns)))])
        if own.metadata and NOTE in own.metadata:  # it is a result itself
            own = own.with_metadata({name: value for name, value in own.metadata.items() if name != NOTE} or None)
        kinds = [arrow.string(), arrow.float64(), arrow.bool_(), arrow.list_(arrow.string()), arrow.string()]
        self._told = arrow.schema(list(zip(names, kinds, strict=True)))
        self._schema = arrow.schema([*own, *self._told], metadata=own.metadata)

    def head(self) -> bytes:
        return b""

    def write(self, rows: Sequence[Row], told: Sequence[Told]) -> bytes:
        arrow = _arrow()
        own = self._take_batches(rows) if self._as_read else self._make_columns(rows)
        columns = [
            arrow.array([list(one) if isinstance(one, list | tuple) else one for one in column], field.type)
            for column, field in zip(zip(*told, strict=True), self._told, strict=True)
        ]
        table = arrow.Table.from_arrays([*own, *columns], schema=self._schema)
        sink = arrow.BufferOutputStream()
        with arrow.ipc.new_stream(sink, self._schema) as stream:
            stream.write_table(table)
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    def join(self, appended: Path, target: Path, note: str = "") -> None:
        """Makes a Parquet file of the bytes that have been appended. `target` is there when it is whole.

        `note`: what its footer is to tell of it, as `NOTE`.
        """
        aside = target.with_name(f"{target.name}.joined")
        try:
            self._join(appended, aside, note)
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)  # where the disk is full, half a file is in everybody's way
            raise

    def _join(self, appended: Path, aside: Path, note: str) -> None:
        arrow = _arrow()
        with arrow.OSFile(str(appended)) as source, arrow.parquet.ParquetWriter(aside, self._schema) as sink:
            waiting, rows, size = [], 0, 0
            while source.tell() < source.size():
                for batch in arrow.ipc.open_stream(source):
                    waiting.append(batch)
                    rows += batch.num_rows
                    size += batch.nbytes
                if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                    sink.write_table(arrow.Table.from_batches(waiting, self._schema), rows)
                    waiting, rows, size = [], 0, 0
            sink.write_table(arrow.Table.from_batches(waiting, self._schema))
            if note:
                sink.add_key_value_metadata({NOTE: note})

    def _take_batches(self, rows: Sequence[Row]) -> "list[pyarrow.ChunkedArray]":
        """The rows' columns as they were read: rows that follow each other in a batch are a slice of it."""
        slices = []
        for _, run in groupby(rows, key=lambda row: id(row.cells[0])):
            found = list(run)
            batch, start = found[0].cells
            slices.append(batch.slice(start, len(found)))
        return _arrow().Table.from_batches(slices).columns  # type: ignore[no-any-return]

    def _make_columns(self, rows: Sequence[Row]) -> "list[pyarrow.Array]":
        arrow = _arrow()
        columns = zip(*(self._cells(row) for row in rows), strict=True)
        texts = [[None if one is None else _as_utf8(one) for one in column] for column in columns]
        return [arrow.array(column, arrow.string()) for column in texts]


def _as_utf8(value: Any) -> str:
    """Half a surrogate pair is no UTF-8."""
    return to_text(value).encode("utf-8", "backslashreplace").decode()


def _refuse_empty(path: Path) -> None:
    if not path.stat().st_size:
        raise FileError("it is empty")


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise NoParquetError from None
    return pyarrow
