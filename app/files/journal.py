"""What has been done of a file, safe on disk: with it, whoever was interrupted goes on and does no row twice.

A result is appended to one file, and this is written when it is safe there. What lies behind in the result is cut off
by whoever goes on.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Final

from app.errors import OutputError, UsageError
from app.files.lines import Position

_VERSION: Final = 1
_BLOCK_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Progress:
    """`read`: up to where. `sha256`: of the input as far as it has been read. `written`: bytes of the result.

    `complete`: nothing is left to do but to put the result in its place.
    """

    read: Position = field(default_factory=Position)
    sha256: str = ""
    written: int = 0
    rows: int = 0
    failed: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    complete: bool = False


class Journal:
    """One file, replaced as a whole. `about`: what the work is, which must be the same when it goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> tuple[dict[str, Any], Progress] | None:
        """None if nothing has been begun. Raises UsageError if it is no journal."""
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path} cannot be read ({error})") from error
        try:
            if content["version"] != _VERSION:
                raise ValueError
            progress = Progress(**{**content["progress"], "read": Position(*content["progress"]["read"])})
            return dict(content["about"]), progress
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"{self.path} is not what an interrupted run leaves behind") from None

    def save(self, about: Mapping[str, Any], progress: Progress) -> None:
        """Raises OutputError."""
        aside = self.path.with_name(f"{self.path.name}.new")
        content = {"version": _VERSION, "about": about, "progress": asdict(progress)}
        try:
            with aside.open("w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: {(error.strerror or str(error)).lower()}") from error

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.path.with_name(f"{self.path.name}.new").unlink(missing_ok=True)


class Spool:
    """The file that a result is appended to, by nobody else at the same time."""

    def __init__(self, path: Path, start: int | None = 0) -> None:
        """Cuts off what lies behind `start`; None: nothing, until `cut`. Raises OutputError."""
        self._path = path
        try:
            self._file = self._open()
        except BlockingIOError:
            raise OutputError(f"{path}: somebody else is writing it") from None
        except OSError as error:
            raise self._explain(error) from error
        if start is not None:
            try:
                self.cut(start)
            except OutputError:
                self._file.close()
                raise

    def _open(self) -> FileIO:
        """The file that has the name once it is ours: whoever had it before may have moved it just now."""
        while True:
            file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(file, self._path):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._file.fileno()).st_size

    def is_in_place(self) -> bool:
        """Whether its name is still its own, and no other file's."""
        return _is_at(self._file, self._path)

    def cut(self, start: int) -> None:
        """Cuts off what lies behind, where the next bytes go. Raises OutputError."""
        if self.size < start:
            raise OutputError(f"{self._path}: a part of it is missing")
        try:
            self._file.truncate(start)
            self._file.seek(start)
        except OSError as error:
            raise self._explain(error) from error

    def append(self, data: bytes) -> int:
        """How many bytes there are then, all of them safe on disk. Raises OutputError."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
            return self._file.tell()
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        self._file.close()

    def _explain(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: {(error.strerror or str(error)).lower()}")


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class Fingerprint:
    """A file's SHA-256 as far as it has been read; a file that was mended behind that place is the same to it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._hash = hashlib.sha256()
        self._at = 0

    def reach(self, offset: int | None = None) -> str:
        """Of so many bytes from the beginning, not fewer than before; None: of all."""
        while offset is None or self._at < offset:
            size = _BLOCK_BYTES if offset is None else min(_BLOCK_BYTES, offset - self._at)
            if not (block := self._file.read(size)):
                break
            self._hash.update(block)
            self._at += len(block)
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()
