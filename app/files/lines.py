"""Lines of bytes, bounded, from a file, a pipe or a request's body. Knows where each begins, not what it means."""

import os
import select
import stat
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from app.errors import FileError, LongLineError

MAX_LINE_BYTES: Final = 10_000_000
"""Of a row, too, which may have several lines. A file with longer ones is not what it is taken for."""

IDLE_S: Final = 0.05
"""How long nothing must come for a pipe to be idle."""

_BLOCK_BYTES: Final = 2**18
_BOM: Final = b"\xef\xbb\xbf"
_KINDS: Final = {
    b"\xff\xfe": "it is UTF-16, not UTF-8",
    b"\xfe\xff": "it is UTF-16, not UTF-8",
    b"\x1f\x8b": "it is compressed (gzip)",
    b"PK\x03\x04": "it is a zip archive, as Excel's files are",
    b"PAR1": "it is Parquet",
    b"%PDF": "it is a PDF",
    b"\x7fELF": "it is a program",
    b"\x89PNG": "it is a picture",
}
_ZEROS: Final = 0.1
"""Share of zero bytes from which on something is no text; UTF-16 has half of them."""


class Position(NamedTuple):
    """Between two rows: where the next one begins (a byte, in Parquet a row), and lines (rows) before it."""

    offset: int = 0
    line: int = 0


class Source(Protocol):
    def read(self, size: int) -> bytes:
        """Up to so many bytes, as soon as there are some; none at the end."""
        ...

    def is_idle(self) -> bool:
        """Whether nothing has come for a moment, so that reading might wait for long."""
        ...

    def seek(self, offset: int) -> None:
        """Raises OSError where there is no way back."""
        ...

    def close(self) -> None: ...


class FileSource:
    """A file, or a pipe by its descriptor."""

    def __init__(self, file: Path | int) -> None:
        """Raises OSError."""
        self._file = FileIO(str(file) if isinstance(file, Path) else file, closefd=isinstance(file, Path))
        self._waits = not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def read(self, size: int) -> bytes:
        while (data := self._file.read(size)) is None:  # whoever gave us the pipe made it non-blocking
            select.select([self._file], [], [])
        return data

    def is_idle(self) -> bool:
        return self._waits and not select.select([self._file], [], [], IDLE_S)[0]

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def close(self) -> None:
        self._file.close()


class Lines:
    """Iterates over lines with their ends: only a line feed ends one. A byte order mark is left out."""

    def __init__(self, source: Source, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._source, self.max_bytes = source, max_bytes
        self._block, self._at = b"", 0
        self.offset = self.number = 0
        """Where the next line begins, and how many came before it."""

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> bytes:
        """Raises LongLineError, behind which `skip_line` leads, and FileError if the first bytes are of no text."""
        end = self._block.find(b"\n", self._at) + 1
        if not end:
            end = self._gather()
        line = self._block[self._at : end]
        if len(line) > self.max_bytes:
            raise self._too_long()
        if not line:
            raise StopIteration
        self._at = end
        self.offset += len(line)
        self.number += 1
        return line.removeprefix(_BOM) if self.number == 1 else line

    def _gather(self) -> int:
        """Reads until the block holds a whole line, or the rest of the file; where the line ends."""
        pieces, size = [self._block[self._at :]], len(self._block) - self._at
        while size <= self.max_bytes:
            piece = self._source.read(_BLOCK_BYTES)
            if not self.offset and not size:
                _refuse_what_is_no_text(piece)
            pieces.append(piece)
            size += len(piece)
            if not piece or b"\n" in piece:
                break
        self._block, self._at = b"".join(pieces), 0
        return self._block.find(b"\n") + 1 or len(self._block)

    def _too_long(self) -> LongLineError:
        return LongLineError(f"it is longer than {self.max_bytes} bytes", self.number + 1)

    def skip_line(self) -> None:
        """Goes behind the line that begins here, however long it is."""
        while True:
            end = self._block.find(b"\n", self._at) + 1
            stop = end or len(self._block)
            self.offset += stop - self._at
            self._at = stop
            if end:
                break
            self._block, self._at = self._source.read(_BLOCK_BYTES), 0
            if not self._block:
                break
        self.number += 1

    def is_idle(self) -> bool:
        """Whether the next line might be long in coming."""
        return self._block.find(b"\n", self._at) < 0 and self._source.is_idle()

    def move(self, position: Position) -> None:
        """To a line's beginning."""
        self._source.seek(position.offset)
        self._block, self._at = b"", 0
        self.offset, self.number = position

    def close(self) -> None:
        self._source.close()


def decode(line: bytes) -> tuple[str, str | None]:
    """The text and what is wrong with it: bytes that are not UTF-8 are kept as `\\xe9`."""
    try:
        return line.decode(), None
    except UnicodeDecodeError as error:
        return line.decode(
            "utf-8", "backslashreplace"
        ), f"not UTF-8 (byte {error.start + 1}: 0x{line[error.start]:02x})"


def _refuse_what_is_no_text(head: bytes) -> None:
    if not head:
        raise FileError("it is empty")
    for beginning, kind in _KINDS.items():
        if head.startswith(beginning):
            raise FileError(kind, 1)
    if head.count(0) > _ZEROS * len(head):
        raise FileError("it is no text: it has zero bytes, as binary files and UTF-16 have", 1)
