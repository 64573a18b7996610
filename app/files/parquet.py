"""Parquet, by pyarrow, which is imported when the first file needs it. Columns keep their types.

A Parquet file cannot be appended to. So rows are appended as Arrow streams, one behind the other, which can be cut off
at any of their ends, and become a Parquet file when all are there.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.errors import FileError, NoParquetError
from app.files.cells import to_text
from app.files.lines import Position
from app.files.rows import DEFAULT_TEXT, Format, Row, Told, blank, without_repeats

if TYPE_CHECKING:
    import pyarrow

_BATCH_ROWS: Final = 1_024
_BUFFER_BYTES: Final = 2**20
_GROUP_ROWS: Final = 2**17
"""In a row group of what is written: pyarrow's usual million would all be in memory."""


class ParquetReader:
    """A row without a text is bad alone. Cells: a batch of rows, and the row's place in it."""

    format: Format = "parquet"
    unit = "row"

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Raises OSError, FileError or NoParquetError."""
        arrow = _arrow()
        _refuse_empty(path)
        self._file = path.open("rb")
        try:
            # Buffered: else a row group's column is read at once, which may be all of a file.
            self._parquet = arrow.parquet.ParquetFile(self._file, buffer_size=_BUFFER_BYTES)
            self.schema: pyarrow.Schema = self._parquet.schema_arrow
            self.text = self._find_text(text)
        except (arrow.ArrowException, OSError) as error:
            self._file.close()
            raise FileError("it is not Parquet, or not all of it") from error
        except FileError:
            self._file.close()
            raise
        self.total: int = self._parquet.metadata.num_rows
        self.columns: list[str] | None = without_repeats(self.schema.names)
        self._row = 0

    @property
    def position(self) -> Position:
        return Position(self._row, self._row)

    def __iter__(self) -> Iterator[Row]:
        arrow = _arrow()
        batches = self._batches(self._row)
        while True:
            try:
                batch = next(batches, None)
            except (arrow.ArrowException, OSError) as error:
                raise FileError("the file is broken here", self._row + 1, unit="row") from error
            if batch is None:
                return
            texts = batch.column(self.schema.names.index(self.text)).to_pylist()
            for place, text in enumerate(texts):
                self._row += 1
                why = "the text is missing" if text is None else blank(text)
                yield Row(self._row, text or "", why, (batch, place))

    def values(self, row: Row) -> dict[str, Any]:
        batch, place = row.cells
        return dict(zip(self.columns or (), (column[place].as_py() for column in batch.columns), strict=True))

    def is_idle(self) -> bool:
        return False

    def move(self, position: Position) -> None:
        self._row = position.offset

    def close(self) -> None:
        self._file.close()

    def _batches(self, start: int) -> "Iterator[pyarrow.RecordBatch]":
        """From the row `start` on; row groups before it are not read."""
        groups = list[int]()
        for number in range(self._parquet.num_row_groups):
            size = self._parquet.metadata.row_group(number).num_rows
            if start >= size and not groups:
                start -= size
            else:
                groups.append(number)
        for batch in self._parquet.iter_batches(_BATCH_ROWS, row_groups=groups) if groups else ():
            if start < batch.num_rows:
                yield batch.slice(start)
            start = max(0, start - batch.num_rows)

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
        own = schema or arrow.schema([(column, arrow.string()) for column in columns])
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

    def join(self, appended: Path, target: Path) -> None:
        """Makes a Parquet file of the bytes that have been appended. `target` is there when it is whole."""
        arrow = _arrow()
        aside = target.with_name(f"{target.name}.joined")
        with arrow.OSFile(str(appended)) as source, arrow.parquet.ParquetWriter(aside, self._schema) as sink:
            waiting, size = [], 0
            while source.tell() < source.size():
                for batch in arrow.ipc.open_stream(source):
                    waiting.append(batch)
                    size += batch.num_rows
                if size >= _GROUP_ROWS:
                    sink.write_table(arrow.Table.from_batches(waiting, self._schema), size)
                    waiting, size = [], 0
            sink.write_table(arrow.Table.from_batches(waiting, self._schema))
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(target)

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
