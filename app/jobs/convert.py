"""A job's result in another format than it was written in, as it is read."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from app.files.cells import OTHER, fit_columns, to_text
from app.files.delimited import DelimitedReader, DelimitedWriter
from app.files.jsonl import JsonLinesWriter
from app.files.lines import FileSource, Lines
from app.files.open import Shape, open_reader
from app.files.parquet import ParquetWriter
from app.files.plain import PlainWriter
from app.files.rows import Format, Reader, Row, Told, Writer, free_name
from app.jobs.job import MAX_ROW_BYTES

_ROWS: Final = 1_000
_ROWS_BYTES: Final = 4_000_000
_BLOCK_BYTES: Final = 2**18
_LINE_BYTES: Final = 20 * MAX_ROW_BYTES
"""Of a result: a row that was read, with more quotes and escapes than it had."""


def convert(path: Path, shape: Shape, to: Format, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[bytes]:
    """`shape`: what it was written by. Raises NoParquetError before it gives anything, or OSError.

    Once it is not wanted any more, it ends somewhere.
    """
    reader = _open(path, shape)
    try:
        writer = _open_writer(shape, to)
        all_rows = _read(reader, shape) if path.stat().st_size else iter(())  # lines of no rows are no bytes
        rows = takewhile(lambda _: is_wanted(), all_rows)
        if isinstance(writer, ParquetWriter):
            yield from _join(writer, rows, reader, path.with_name(f"converted.{secrets.token_hex(4)}"))
            return
        yield writer.head()
        while found := _take(rows, reader):
            yield writer.write([row for row, _ in found], [told for _, told in found])
    finally:
        reader.close()


def _open(path: Path, shape: Shape) -> Reader:
    if shape.format == "csv":
        return DelimitedReader(Lines(FileSource(path), _LINE_BYTES), shape.text, shape.delimiter)
    return open_reader(path, shape.format, shape.text, max_line_bytes=_LINE_BYTES)


def _open_writer(shape: Shape, to: Format) -> Writer:
    """Of rows whose cells are their values by column."""
    columns, other = list(shape.columns), shape.other
    if shape.format == "jsonl" and to in {"csv", "parquet"}:
        other = free_name(OTHER, columns)
        columns.append(other)

    def fit(row: Row) -> list[Any]:
        return fit_columns(row.cells, columns, other)

    if to == "csv":
        return DelimitedWriter([*columns, *shape.names], lambda row: [to_text(value) for value in fit(row)], ",")
    if to == "jsonl":
        return JsonLinesWriter(shape.names, lambda row: row.cells, as_read=False)
    if to == "parquet":
        return ParquetWriter(columns, shape.names, fit)
    return PlainWriter(lambda row: to_text(row.cells.get(shape.text)))


def _read(reader: Reader, shape: Shape) -> Iterator[tuple[Row, Told]]:
    for row in reader:
        if shape.format == "lines":
            values, told = _split(row.text, shape.text)
        else:
            found = list(reader.values(row).items())
            own, answer = found[: -len(shape.names)], found[-len(shape.names) :]  # it is the answer by its place
            told = _tell([value for _, value in answer])
            names = [name for name, _ in own] if shape.format == "jsonl" else shape.columns
            values = dict(zip(names, (value for _, value in own), strict=True))
        yield Row(row.line, "", None, values), told


def _take(rows: Iterator[tuple[Row, Told]], reader: Reader) -> list[tuple[Row, Told]]:
    """The next ones, as many as are to be in memory at once."""
    found: list[tuple[Row, Told]] = []
    start = reader.bytes_read
    while len(found) < _ROWS and reader.bytes_read - start < _ROWS_BYTES and (row := next(rows, None)):
        found.append(row)
    return found


def _tell(found: list[Any]) -> Told:
    label, confidence, uncertain, warnings, error = (None if value == "" else value for value in found)
    if label is None or confidence is None:
        return Told(None, None, None, (), error)
    told = warnings.split() if isinstance(warnings, str) else list(warnings or ())
    return Told(label, float(confidence), uncertain in {True, "true"}, told, error)


def _split(line: str, text: str) -> tuple[Mapping[str, str], Told]:
    """A plain line of a result, as `PlainWriter` writes it."""
    label, confidence, notes, rest = line.split("\t", 3)
    if not label:
        return {text: rest}, Told(None, None, None, (), notes.removeprefix("error: "))
    warnings = [note for note in notes.split(",") if note not in {"", "uncertain"}]
    return {text: rest}, Told(label, float(confidence), "uncertain" in notes.split(","), warnings, None)


def _join(writer: ParquetWriter, rows: Iterator[tuple[Row, Told]], reader: Reader, spool: Path) -> Iterator[bytes]:
    """A Parquet file has its index at its end, so that it is written before it is sent."""
    target = spool.with_name(f"{spool.name}.parquet")
    try:
        with spool.open("wb") as file:
            while found := _take(rows, reader):
                file.write(writer.write([row for row, _ in found], [told for _, told in found]))
        writer.join(spool, target)
        spool.unlink()
        with target.open("rb") as file:
            target.unlink()  # whatever becomes of this process, it takes no room any more
            while block := file.read(_BLOCK_BYTES):
                yield block
    finally:
        spool.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
