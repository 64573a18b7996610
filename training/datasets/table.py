"""A labelled file, row by row: CSV, TSV or JSON lines in UTF-8, with or without a byte order mark, or Parquet.

Knows nothing of labels but that they are names: whoever reads says which there may be. CSV has commas, semicolons, tabs
or bars.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

from app.errors import DataError, FileError, UsageError
from app.files.delimited import choose_delimiter, explain

MAX_FIELD_CHARS: Final = 2**31 - 1
"""Python's own limit is 131,072, less than many a document; this is the most that every platform takes."""


@dataclass(frozen=True, slots=True)
class Row:
    """`line`: the one that the row begins in, from 1; in Parquet, the row's own number.

    `label` has no space around it, and is empty only where missing labels were asked for.
    """

    line: int
    text: str
    label: str


_KINDS: Final = {bool: "true or false", float: "a fraction", list: "a list", dict: "an object"}

Cells = tuple[int, Any, Any]
"""Line, text and label as the file has them."""


def read_table(path: Path, text: str = "text", label: str = "label", *, missing: bool = False) -> Iterator[Row]:
    """The rows of `path` one after the other; `text` and `label` are columns (in JSON lines: keys).

    Quotes are those of CSV, in TSV too; empty lines are passed over. A label that is a whole number in JSON or Parquet
    becomes its digits. With `missing`, a text or a label that is not there is an empty one. Raises DataError, with the
    line, for whatever else is not text with a label; UsageError if both are said to stand in one column.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: a table's name ends with {', '.join(_READERS)}")
    if text == label:
        raise UsageError(f"{path}: {text!r} is said to hold the texts and the labels, too")
    line = 0
    for line, found, named in read(path, (text, label)):
        content = "" if missing and found is None else found
        if not isinstance(content, str):
            raise DataError(f"{path}, line {line}: {text!r} is not text")
        name = _name(named)
        if name is None:
            kind = _KINDS.get(type(named), "something else")
            raise DataError(f"{path}, line {line}: {label!r} is not a name but {kind}: labels are texts or integers")
        if not name and not missing:
            raise DataError(f"{path}, line {line}: {label!r} is empty")
        yield Row(line, content, name)
    if not line:
        raise DataError(f"{path} has no rows")


def _name(cell: Any) -> str | None:
    """None: it is none. A column of whole numbers with gaps is often kept as one of fractions, and its gaps as NaN."""
    if cell is None or cell != cell:  # noqa: PLR0124 - NaN
        return ""
    if type(cell) is int or (type(cell) is float and cell.is_integer()):
        return str(int(cell))
    return cell.strip() if isinstance(cell, str) else None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _decode(stream: BinaryIO, path: Path) -> Iterator[str]:
    """Lines with their ends, decoded one by one, so that a fault has its line."""
    for line, content in enumerate(stream, start=1):
        try:
            yield content.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, line {line}: not UTF-8 ({error.reason})") from error


def _read_lines(path: Path) -> Iterator[str]:
    with _open(path) as stream:
        yield from _decode(stream, path)


def _read_delimited(path: Path, columns: Sequence[str], *, delimiter: str | None = None) -> Iterator[Cells]:
    """Without `delimiter`, the one that finds the columns, as `sentopic classify` has it."""
    csv.field_size_limit(MAX_FIELD_CHARS)
    lines = _read_lines(path)
    head = list[str]()
    while not head or head[-1].isspace():  # the header may stand behind empty lines
        head.append(next(lines, ""))
    delimiter = delimiter or choose_delimiter(head[-1], columns)
    reader = csv.reader(chain(head, lines), delimiter=delimiter, strict=True)
    header: list[str] = []
    places: list[int] = []
    line = 1
    try:
        for fields in reader:
            if not fields:
                pass
            elif not header:
                header = fields
                places = [_find_column(name, header, path) for name in columns]
            elif len(fields) != len(header):
                raise DataError(f"{path}, line {line}: fields: {len(fields)}, columns: {len(header)}")
            else:
                yield line, fields[places[0]], fields[places[1]]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not to be read as a table ({explain(error)})") from error


def _find_column(name: str, header: Sequence[str], path: Path) -> int:
    if header.count(name) != 1:
        how = "several columns" if name in header else "no column"
        raise DataError(f"{path} has {how} {name!r}. Its columns: {', '.join(map(repr, header))}.")
    return header.index(name)


def _read_json_lines(path: Path, keys: Sequence[str]) -> Iterator[Cells]:
    for line, content in enumerate(_read_lines(path), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {line}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {line}: not a JSON object")
        for key in keys:
            if key not in row:
                raise DataError(f"{path}, line {line}: no {key!r}. Its keys: {', '.join(map(repr, row))}.")
        yield line, row[keys[0]], row[keys[1]]


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Cells]:
    try:
        from pyarrow import ArrowException, parquet

        from app.files.unpack import unpack
    except ModuleNotFoundError:
        raise DataError(f"{path}: Parquet is read by pyarrow: pip install 'sentopic[parquet]'") from None
    with _open(path) as stream:
        try:
            file = parquet.ParquetFile(stream, thrift_container_size_limit=100_000)
            for name in columns:
                _find_column(name, file.schema_arrow.names, path)
            line = 0
            for batch in unpack(stream, columns=list(dict.fromkeys(columns))):
                for cells in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                    line += 1
                    yield line, *cells
        except FileError as error:
            raise DataError(f"{path}: {error}") from error
        except (ArrowException, OSError) as error:
            raise DataError(f"{path}: not to be read as Parquet ({' '.join(str(error).split())})") from error


_READERS: Final[dict[str, Callable[[Path, Sequence[str]], Iterator[Cells]]]] = {
    ".csv": _read_delimited,
    ".tsv": partial(_read_delimited, delimiter="\t"),
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
