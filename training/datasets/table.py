"""A labelled file, row by row: CSV, TSV or JSON lines, by its ending; UTF-8, with or without a byte order mark.

Knows nothing of labels but that they are names: whoever reads says which there may be.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from app.errors import DataError

MAX_FIELD_CHARS: Final = 2**31 - 1
"""Python's own limit is 131,072, less than many a document; this is the most that every platform takes."""


@dataclass(frozen=True, slots=True)
class Row:
    """`line`: the one that the row begins in, from 1. `label` has no space around it and is never empty."""

    line: int
    text: str
    label: str


Cells = tuple[int, Any, Any]
"""Line, text and label as the file has them."""


def read_table(path: Path, text: str = "text", label: str = "label") -> Iterator[Row]:
    """The rows of `path` one after the other; `text` and `label` are columns (in JSON lines: keys).

    Quotes are those of CSV, in TSV too; empty lines are passed over. A label that is a whole number in JSON
    becomes its digits. Raises DataError, with the line, for whatever else is not text with a label.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: a table's name ends with {', '.join(_READERS)}")
    line = 0
    with _open(path) as stream:
        for line, found, named in read(_decode(stream, path), path, (text, label)):
            if not isinstance(found, str):
                raise DataError(f"{path}, line {line}: {text!r} is not text")
            name = str(named) if type(named) is int else named
            if not isinstance(name, str):
                raise DataError(f"{path}, line {line}: {label!r} is not a name")
            if not name.strip():
                raise DataError(f"{path}, line {line}: {label!r} is empty")
            yield Row(line, found, name.strip())
    if not line:
        raise DataError(f"{path} has no rows")


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


def _read_delimited(lines: Iterator[str], path: Path, columns: Sequence[str], *, delimiter: str) -> Iterator[Cells]:
    csv.field_size_limit(MAX_FIELD_CHARS)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
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
        raise DataError(f"{path}, line {line}: not to be read as a table ({error})") from error


def _find_column(name: str, header: Sequence[str], path: Path) -> int:
    if header.count(name) != 1:
        how = "several columns" if name in header else "no column"
        raise DataError(f"{path} has {how} {name!r}. Its columns: {', '.join(map(repr, header))}.")
    return header.index(name)


def _read_json_lines(lines: Iterator[str], path: Path, keys: Sequence[str]) -> Iterator[Cells]:
    for line, content in enumerate(lines, start=1):
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


_READERS: Final[dict[str, Callable[[Iterator[str], Path, Sequence[str]], Iterator[Cells]]]] = {
    ".csv": partial(_read_delimited, delimiter=","),
    ".tsv": partial(_read_delimited, delimiter="\t"),
    ".jsonl": _read_json_lines,
}
