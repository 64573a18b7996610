"""Plain lines: a text each. Written with the answer in front of it, so that a text may hold tabs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app.errors import LongLineError
from app.files.cells import format_told
from app.files.lines import Lines, Position, decode
from app.files.rows import DEFAULT_TEXT, Format, Row, Told, blank


class PlainReader:
    """Every line is a row, an empty one too, so that lines of the result stand beside those of the file.

    Cells: the text. `goes_on`: a line that is too long is bad alone.
    """

    format: Format = "lines"
    unit = "line"
    text = DEFAULT_TEXT

    def __init__(self, lines: Lines, *, goes_on: bool = False) -> None:
        self._lines, self._goes_on = lines, goes_on
        self.columns: list[str] | None = [DEFAULT_TEXT]

    @property
    def position(self) -> Position:
        return Position(self._lines.offset, self._lines.number)

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
                yield Row(self._lines.number, "", error.why, "")
                continue
            if not line:
                return
            text, fault = decode(line.removesuffix(b"\n").removesuffix(b"\r"))
            yield Row(self._lines.number, text, fault or blank(text), text)

    def values(self, row: Row) -> dict[str, Any]:
        return {DEFAULT_TEXT: row.cells}

    def is_idle(self) -> bool:
        return self._lines.is_idle()

    def move(self, position: Position) -> None:
        self._lines.move(position)

    def close(self) -> None:
        self._lines.close()


class PlainWriter:
    """Label, confidence, notes and text, with tabs between. Notes, by commas: `uncertain`, warnings, or an error.

    A text's own line breaks become spaces.
    """

    format: Format = "lines"

    def __init__(self, text: Callable[[Row], str]) -> None:
        self._text = text

    def head(self) -> bytes:
        return b""

    def write(self, rows: Sequence[Row], told: Sequence[Told]) -> bytes:
        page = "".join(self._write(row, one) for row, one in zip(rows, told, strict=True))
        return page.encode("utf-8", "backslashreplace")

    def _write(self, row: Row, told: Told) -> str:
        label, confidence, *_ = format_told(told)
        notes = [*(["uncertain"] if told.uncertain else []), *told.warnings]
        if told.error is not None:
            notes.append(f"error: {told.error}")
        text = self._text(row).replace("\r\n", " ").replace("\n", " ")
        return f"{label}\t{confidence}\t{','.join(notes)}\t{text}\n"
