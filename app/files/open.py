"""From a file and its name to its reader, and from a reader to the writer of its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.errors import FileError
from app.files.cells import OTHER, fit_columns, to_text
from app.files.delimited import DelimitedReader, DelimitedWriter
from app.files.jsonl import JsonLinesReader, JsonLinesWriter
from app.files.lines import MAX_LINE_BYTES, FileSource, Lines, Position, Source
from app.files.parquet import ParquetReader, ParquetWriter
from app.files.plain import PlainReader, PlainWriter
from app.files.rows import (
    MAX_COLUMNS,
    MAX_NAMES_CHARS,
    Format,
    Reader,
    Row,
    Writer,
    free_name,
    name_columns,
    set_aside,
)

ENDINGS: Final[dict[str, Format]] = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".txt": "lines",
}  # fmt: skip
_TABBED: Final = ".tsv"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a result's file is written by, the same from its first row to its last.

    `text`: the column that has the texts. `columns`: of the rows; for JSON lines those of the first ones, as each has
    its own. `names`: of what is written beside them. `other`: the column for what has none.
    """

    format: Format
    text: str
    columns: list[str]
    names: list[str]
    other: str | None = None
    delimiter: str = ","


def tell_format(name: str) -> Format | None:
    """By a file's ending."""
    return ENDINGS.get(Path(name).suffix.lower())


def open_reader(
    source: Source | Path,
    form: Format,
    text: str | None = None,
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
    goes_on: bool = False,
) -> Reader:
    """`text`: the column that has the texts. `goes_on`: see the readers of lines.

    Raises FileError, OSError or NoParquetError. A path's reader can be moved.
    """
    if form == "parquet":
        if not isinstance(source, Path):
            raise FileError("Parquet can only be read from a file")
        return ParquetReader(source, text, max_line_bytes)
    opened = FileSource(source) if isinstance(source, Path) else source
    try:
        lines = Lines(opened, max_line_bytes)
        if form == "csv":
            tabbed = isinstance(source, Path) and source.suffix.lower() == _TABBED
            return DelimitedReader(lines, text, "\t" if tabbed else None)
        return JsonLinesReader(lines, text, goes_on=goes_on) if form == "jsonl" else PlainReader(lines, goes_on=goes_on)
    except BaseException:
        opened.close()
        raise


def choose_shape(reader: Reader, first: Sequence[Row], form: Format, ending: str = "") -> Shape:
    """By the file's columns, or else by those of its first rows. `ending`: of the result's file."""
    columns = reader.columns or list(dict.fromkeys(name for row in first for name in reader.values(row)))
    names = name_columns(columns)
    columns = _bound(columns, reader.text)
    other = None
    if reader.columns is None and form in {"csv", "parquet"}:
        other = free_name(OTHER, columns)
        columns.append(other)
    delimiter = reader.delimiter if isinstance(reader, DelimitedReader) else ","
    delimiter = "\t" if ending.lower() == _TABBED else delimiter
    return Shape(form, reader.text, columns, names, other, delimiter)


def _bound(columns: Sequence[str], text: str) -> list[str]:
    """As many as a table may have; the rest of rows that have more is `other`."""
    kept, chars = [text] if text in columns else [], 0
    for column in columns:
        chars += len(column)
        if len(kept) < MAX_COLUMNS and chars <= MAX_NAMES_CHARS and column != text:
            kept.append(column)
    return kept if len(kept) < len(columns) else list(columns)


def open_writer(reader: Reader, shape: Shape) -> Writer:
    """Raises NoParquetError."""

    def fit(row: Row) -> list[object]:
        values = reader.values(row)
        if reader.columns is None:
            aside = set_aside(values, shape.names)
            values = {aside.get(name, name): value for name, value in values.items()}
        return fit_columns(values, shape.columns, shape.other)

    same = reader.format == shape.format
    if shape.format == "csv":
        own = reader.header if isinstance(reader, DelimitedReader) else shape.columns
        cells = (lambda row: row.cells) if same else lambda row: [to_text(value) for value in fit(row)]
        return DelimitedWriter([*own, *shape.names], cells, shape.delimiter)
    if shape.format == "jsonl":
        return JsonLinesWriter(shape.names, reader.values, as_read=same)
    if shape.format == "parquet":
        schema = reader.schema if isinstance(reader, ParquetReader) else None
        return ParquetWriter(shape.columns, shape.names, fit, schema)
    return PlainWriter(lambda row: to_text(reader.values(row).get(reader.text)))


__all__ = ["ENDINGS", "Position", "Shape", "choose_shape", "open_reader", "open_writer", "tell_format"]
