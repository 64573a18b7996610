"""CSV: a header, then rows; separated by commas, semicolons, tabs or bars."""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

from app.errors import FileError
from app.files.cells import format_told
from app.files.lines import Lines, Position, decode
from app.files.rows import DEFAULT_TEXT, Format, Row, Told, blank, without_repeats

DELIMITERS: Final = ",;\t|"
csv.field_size_limit(2**31 - 1)  # lines are bounded; Python's own limit is less than many a document


def choose_delimiter(header: str, wanted: Collection[str]) -> str:
    """The one that finds most of the wanted columns in the first line, and of those the one with most columns."""

    def judge(delimiter: str) -> tuple[int, int]:
        try:
            found = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            found = []
        return len(set(wanted) & set(found)), len(found)

    return max(DELIMITERS, key=judge)


def explain(error: csv.Error) -> str:
    """In plain words, where Python's own speak of its options."""
    return "a carriage return outside of quotes" if "new-line character" in str(error) else str(error)


class DelimitedReader:
    """A row with broken quotes, too many fields or too few, or bytes that are not UTF-8 is bad alone.

    Where a quote is not closed in its line, nobody can tell where the next row begins: there the file ends.
    """

    format: Format = "csv"
    unit = "line"

    def __init__(self, lines: Lines, text: str | None = None, delimiter: str | None = None) -> None:
        self._lines = lines
        self._pushed: bytes | None = None
        self._record: bytes | bytearray = b""
        """The row that is being read, as it stands in the file. Not its lines: of millions, each would cost its own."""
        self._fault = ""
        self.delimiter = delimiter or self._choose_delimiter(text)
        self._csv = csv.reader(self._give_lines(), delimiter=self.delimiter, strict=True)
        self.header = self._read_header()
        self.columns: list[str] | None = without_repeats(self.header)
        self._place = self._find_text(text)
        self.text = self.header[self._place]
        self._position = Position(lines.offset, lines.number)

    @property
    def position(self) -> Position:
        return self._position

    @property
    def bytes_read(self) -> int:
        return self.position.offset

    def __iter__(self) -> Iterator[Row]:
        while True:
            line = self._position.line + 1
            self._record, self._fault = b"", ""
            try:
                fields = next(self._csv)
            except StopIteration:
                return
            except csv.Error as error:
                row = self._spoiled(line, self._explain(error, line))
            else:
                if not fields:  # an empty line
                    self._position = Position(self._lines.offset, self._lines.number)
                    continue
                row = self._read(line, fields)
            self._position = Position(self._lines.offset, self._lines.number)
            yield row

    def values(self, row: Row) -> dict[str, Any]:
        return dict(zip(self.columns or (), row.cells, strict=True))

    def is_idle(self) -> bool:
        return self._lines.is_idle()

    def move(self, position: Position) -> None:
        self._lines.move(position)
        self._position = position

    def close(self) -> None:
        self._lines.close()

    def _read(self, line: int, fields: list[str]) -> Row:
        if len(fields) != len(self.header):
            return self._spoiled(line, f"fields: {len(fields)}, columns: {len(self.header)}")
        text = fields[self._place]
        return Row(line, text, self._fault or blank(text), fields)

    def _spoiled(self, line: int, why: str) -> Row:
        """A row that has no columns: all of it goes where the text should be."""
        cells = [""] * len(self.header)
        cells[self._place] = decode(bytes(self._record))[0].rstrip("\r\n")
        return Row(line, "", why, cells)

    def _explain(self, error: csv.Error, line: int) -> str:
        """Raises FileError if what comes behind the row cannot be read either."""
        last = self._lines.number
        if last > line:
            how = "never closed" if "unexpected end" in str(error) else f"closed in line {last} where no field ends"
            raise FileError(f"a quote that is opened in this row is {how}", line)
        return f"quotes are broken ({explain(error)})"

    def _give_lines(self) -> Iterator[str]:
        while True:
            line, self._pushed = self._pushed or next(self._lines, b""), None
            if not line:
                return
            if self._record:
                self._go_on(line)
            else:
                self._record = line
            text, fault = decode(line)
            self._fault = self._fault or fault or ""
            yield text

    def _go_on(self, line: bytes) -> None:
        if isinstance(self._record, bytes):
            self._record = bytearray(self._record)
        self._record += line
        if len(self._record) > self._lines.max_bytes:
            why = f"a quote that is opened in this row is not closed within {self._lines.max_bytes} bytes"
            raise FileError(why, self._position.line + 1)

    def _choose_delimiter(self, text: str | None) -> str:
        self._pushed = next(self._lines, b"")
        return choose_delimiter(decode(self._pushed)[0], [text or DEFAULT_TEXT])

    def _read_header(self) -> list[str]:
        self._position = Position()
        try:
            header = next((fields for fields in self._csv if fields), [])
        except csv.Error as error:
            if "new-line character" in str(error) and self._lines.number == 1:
                raise FileError("its lines end with a carriage return alone, or it is no table", 1) from None
            raise FileError(f"the header's {self._explain(error, 1)}", 1) from None
        if self._fault:
            raise FileError(f"the header is {self._fault}", 1)
        if not header:
            raise FileError("there is no header", 1)
        return header

    def _find_text(self, wanted: str | None) -> int:
        name = wanted or (self.header[0] if len(self.header) == 1 else DEFAULT_TEXT)
        if self.header.count(name) != 1:
            how = "are several columns" if name in self.header else "is no column"
            hint = f"looked for {name!r}; its columns: {', '.join(map(repr, self.header))}"
            raise FileError(f"there {how} of texts", 1, hint=hint)
        return self.header.index(name)


class DelimitedWriter:
    """The row's columns, then those of the answer; codes of warnings have spaces between them."""

    format: Format = "csv"

    def __init__(self, header: Sequence[str], cells: Callable[[Row], Sequence[str]], delimiter: str) -> None:
        """`header`: all of it. `cells`: a row's own."""
        self._header, self._cells, self._delimiter = header, cells, delimiter

    def head(self) -> bytes:
        return self._format([self._header])

    def write(self, rows: Sequence[Row], told: Sequence[Told]) -> bytes:
        return self._format([[*self._cells(row), *format_told(one)] for row, one in zip(rows, told, strict=True)])

    def _format(self, lines: Sequence[Sequence[str]]) -> bytes:
        page = io.StringIO()
        plain = csv.writer(page, delimiter=self._delimiter, lineterminator="\n")
        plain.writerows(lines)
        if "\r" in page.getvalue():  # which the module quotes only where lines end with it
            page = io.StringIO()
            plain = csv.writer(page, delimiter=self._delimiter, lineterminator="\n")
            quoted = csv.writer(page, delimiter=self._delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for line in lines:
                (quoted if any("\r" in cell for cell in line) else plain).writerow(line)
        return page.getvalue().encode("utf-8", "backslashreplace")  # half a surrogate pair is no UTF-8
