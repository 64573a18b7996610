"""JSON lines: an object a line. Written again as it stood, with the answer's fields behind its own."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined] # of the standard library, in C
from typing import Any, Final, NoReturn

from app.errors import FileError, LongLineError
from app.files.cells import to_json
from app.files.lines import Lines, Position, decode
from app.files.rows import DEFAULT_TEXT, Format, Row, Told, blank, set_aside

_MOST_DEEP: Final = 200
"""Brackets in each other. What is read here must be read and written wherever it goes, and Python's stack is short."""

_decode_value = json.JSONDecoder().raw_decode


class JsonLinesReader:
    """Any line that is no object with a text is bad alone. Cells: the line without its end, and the object.

    Without `text`, the first line says which field it is: `text`, or its only one. `goes_on`: a line that is too long
    is bad alone, too.
    """

    format: Format = "jsonl"
    unit = "line"
    columns: list[str] | None = None

    def __init__(self, lines: Lines, text: str | None = None, *, goes_on: bool = False) -> None:
        self._lines, self._goes_on = lines, goes_on
        self._named, self.text = text is not None, text or DEFAULT_TEXT
        self._position = Position()

    @property
    def position(self) -> Position:
        return self._position

    @property
    def bytes_read(self) -> int:
        return self.position.offset

    def __iter__(self) -> Iterator[Row]:
        while True:
            try:
                line = next(self._lines, b"")
            except LongLineError as error:
                if not self._goes_on:
                    raise
                self._lines.skip_line()
                row: Row | None = Row(self._lines.number, "", error.why, ("", {}))
            else:
                if not line:
                    return
                row = self._read(self._lines.number, line) if line.strip() else None
            self._position = Position(self._lines.offset, self._lines.number)
            if row:
                yield row

    def values(self, row: Row) -> dict[str, Any]:
        line, found = row.cells
        return found if found is not None else {self.text: line}

    def is_idle(self) -> bool:
        return self._lines.is_idle()

    def move(self, position: Position) -> None:
        self._lines.move(position)
        self._position = position

    def close(self) -> None:
        self._lines.close()

    def _read(self, number: int, content: bytes) -> Row:
        line, fault = decode(content.strip())
        if fault:
            return Row(number, "", fault, (line, None))
        try:
            found = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", None)
            return Row(number, "", f"not JSON ({why})" if why else "not JSON", (line, None))
        if _is_deep(line, found):
            return Row(number, "", f"more than {_MOST_DEEP} brackets in each other", (line, None))
        if not isinstance(found, dict):
            return Row(number, "", "not a JSON object", (line, None))
        if not self._named:
            self._name(found, number)
        text = found.get(self.text)
        if not isinstance(text, str):
            why = "the text is missing" if text is None else "the text is a number, a list or an object"
            return Row(number, "", why, (line, found))
        return Row(number, text, blank(text), (line, found))

    def _name(self, first: Mapping[str, Any], line: int) -> None:
        """Raises FileError if the first row does not tell where texts are."""
        self._named = True
        if len(first) == 1:
            self.text = next(iter(first))
        if self.text not in first:
            hint = f"looked for {self.text!r}; its fields: {', '.join(map(repr, first))}"
            raise FileError("there is no field of texts", line, hint=hint)


class JsonLinesWriter:
    """The answer's fields behind the row's own, always the last. `names`: theirs in every row.

    So a row's own field of such a name gets another one.
    """

    format: Format = "jsonl"

    def __init__(self, names: Sequence[str], values: Callable[[Row], Mapping[str, Any]], *, as_read: bool) -> None:
        """`as_read`: rows are JsonLinesReader's, and stay as they stand."""
        self._names, self._values, self._as_read = names, values, as_read

    def head(self) -> bytes:
        return b""

    def write(self, rows: Sequence[Row], told: Sequence[Told]) -> bytes:
        page = "".join(self._write(row, one) for row, one in zip(rows, told, strict=True))
        return page.encode("utf-8", "backslashreplace")  # which makes a JSON escape of half a surrogate pair

    def _write(self, row: Row, told: Told) -> str:
        line, found = row.cells if self._as_read else ("", None)
        own = self._values(row) if found is None else found
        if found is None:
            line = to_json(own)
        if aside := set_aside(own, self._names):
            line = _rename(line, aside)
        answer = to_json(dict(zip(self._names, told, strict=True)))
        return f"{line[:-1]}{', ' if own else ''}{answer[1:]}\n" if own else f"{answer}\n"


def _rename(line: str, names: Mapping[str, str]) -> str:
    """An object's fields, each as often as it has it; all else stays as it stands."""
    pieces, kept = [], 0
    at = line.index("{") + 1
    while True:
        start = WHITESPACE.match(line, at).end()
        name, end = scanstring(line, start + 1, True)
        if name in names:
            pieces += [line[kept:start], to_json(names[name])]
            kept = end
        at = WHITESPACE.match(line, line.index(":", end) + 1).end()
        _, at = _decode_value(line, at)
        at = WHITESPACE.match(line, at).end() + 1
        if line[at - 1] == "}":
            return "".join([*pieces, line[kept:]])


def _is_deep(line: str, found: Any) -> bool:
    if line.count("[") + line.count("{") <= _MOST_DEEP:
        return False
    layer, deep = [found], 0
    while layer := [one for one in layer if isinstance(one, dict | list)]:
        deep += 1
        layer = [inner for one in layer for inner in (one.values() if isinstance(one, dict) else one)]
    return deep > _MOST_DEEP


def _refuse(_: str) -> NoReturn:
    raise ValueError("a number that JSON does not have")
