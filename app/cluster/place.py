"""Files by path or URL, through pyarrow's file systems: a directory that machines share, or an object store.

Knows no rows and no plan. Whatever goes wrong is OutputError or UsageError, in one line.
"""

import hashlib
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.cluster.reasons import explain
from app.errors import FileError, NoParquetError, OutputError, UsageError
from app.files.disk import sync

_TAIL_BYTES: Final = 8
"""A Parquet file ends with its footer's length and a magic number."""

_MAGIC: Final = b"PAR1"
_BLOCK_BYTES: Final = 2**20
_PARTIAL: Final = ".moving-"
_SECRET: Final = re.compile(r"://([^/@?]*:.*|[^/@]*)@", re.DOTALL)
"""A key, and whatever stands behind a colon."""

_FAULTS: Final = (OSError, ValueError)
"""Arrow's errors are these."""


@dataclass(frozen=True, slots=True)
class Footer:
    """Of a Parquet file: its last bytes, all that it tells of itself. `stamp`: changes with them."""

    size: int
    stamp: str
    tail: bytes


class Place:
    """A file or a directory. `is_local`: a path of this machine, or one that it mounts.

    `url`: as it was given, and as other machines need it. `name`: what people are told, without the URL's options and
    secrets.
    """

    def __init__(self, url: str) -> None:
        """Raises UsageError or NoParquetError."""
        fs = _arrow_fs()
        self.url = url
        self.name = _name(url)
        self.path: str
        try:
            self.system, self.path = (
                fs.FileSystem.from_uri(url) if "://" in url else (fs.LocalFileSystem(), str(Path(url).absolute()))
            )
        except _FAULTS as error:
            raise UsageError(f"{self.name}: {_explain_url(url, explain(error))}") from None  # it may have a secret
        if not self.path:
            raise UsageError(f"{self.name} names no bucket")
        self.is_local = isinstance(self.system, fs.LocalFileSystem)
        self._scheme = "" if self.is_local else f"{url.partition('://')[0]}://"

    def holds(self, other: "Place") -> bool:
        """Whether the other lies in it, or is the same, whatever links lead there and whoever asks the store."""
        if type(self.system) is not type(other.system):
            return False
        if not self.is_local:
            return f"{other.path}/".startswith(f"{self.path.rstrip('/')}/")
        own, its = Path(self.path), Path(other.path).resolve()
        return its.is_relative_to(own.resolve()) or any(_is_same(own, one) for one in (its, *its.parents))

    def list_parquet(self) -> list[str]:
        """The paths: its own, or those of its files in order. Raises UsageError."""
        fs = _arrow_fs()
        try:
            info = self.system.get_file_info(self.path)
            if info.type == fs.FileType.File:
                return [self.path]
            if info.type == fs.FileType.NotFound:
                raise UsageError(f"{self.name}: no such file")
            found = [
                one for one in self.system.get_file_info(fs.FileSelector(self.path)) if one.base_name[0] not in "_."
            ]
        except _FAULTS as error:
            raise UsageError(f"{self.name}: {explain(error)}") from error
        strange = [one for one in found if one.type != fs.FileType.File or not one.path.lower().endswith(".parquet")]
        if strange:
            raise UsageError(f"{self.name} has more in it than Parquet files: {min(one.base_name for one in strange)}")
        if not found:
            raise UsageError(f"{self.name} is empty")
        return sorted(one.path for one in found)

    def read_footer(self, path: str) -> Footer:
        """Raises OSError or FileError."""
        with self.system.open_input_file(path) as file:
            size: int = file.size()
            tail = file.read_at(min(_TAIL_BYTES, size), max(0, size - _TAIL_BYTES))
            length = int.from_bytes(tail[:4], "little")
            if not size:
                raise FileError("it is empty")
            if tail[4:] != _MAGIC or length > size - len(_MAGIC) - _TAIL_BYTES:
                raise FileError("it is not Parquet, or not all of it")
            footer = file.read_at(length, size - _TAIL_BYTES - length) + tail
        return Footer(size, hashlib.sha256(b"%d " % size + footer).hexdigest(), footer)

    def make(self) -> None:
        with self._explained(self.path):
            self.system.create_dir(self.path)

    def read(self, name: str) -> bytes | None:
        """A small file in it; None if there is none. Raises OutputError."""
        path = f"{self.path}/{name}"
        with self._explained(path):
            try:
                with self.system.open_input_file(path) as file:
                    return bytes(file.read())
            except FileNotFoundError:
                return None

    def list_names(self) -> list[str]:
        """Of the files in it; of none if it is not there. Raises OutputError."""
        fs = _arrow_fs()
        with self._explained(self.path):
            found = self.system.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return sorted(one.base_name for one in found)

    def write(self, name: str, data: bytes) -> None:
        """Raises OutputError."""
        self._write(name, [data])

    def put(self, name: str, source: Path) -> None:
        """The file under this name, as a whole and at once, whoever puts it there as well. Raises OutputError."""
        with source.open("rb") as file:
            self._write(name, iter(lambda: file.read(_BLOCK_BYTES), b""))

    def remove(self, name: str) -> None:
        """Raises OutputError."""
        with self._explained(f"{self.path}/{name}"):
            try:
                self.system.delete_file(f"{self.path}/{name}")
            except FileNotFoundError:
                return

    def is_partial(self, name: str) -> bool:
        """Whether it is of somebody who died while he wrote, or who is writing."""
        return name.startswith(_PARTIAL)

    def _write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Under a name of its own first."""
        target = f"{self.path}/{name}"
        aside = f"{self.path}/{_PARTIAL}{name}.{secrets.token_hex(4)}"
        with self._explained(target):
            with self.system.open_output_stream(aside) as file:
                for block in blocks:
                    file.write(block)
            if self.is_local:
                sync(aside)
            self.system.move(aside, target)
            if self.is_local:
                sync(self.path)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except _FAULTS as error:
            raise OutputError(f"{self._scheme}{path}: {explain(error)}") from error


class Copy:
    """A Parquet file of an object store, on this disk: its footer, and the row groups that have been asked for.

    All else are holes. Whoever reads it reads no other rows than those.
    """

    def __init__(self, place: Place, path: str, target: Path) -> None:
        """Raises OSError or FileError."""
        self.footer = place.read_footer(path)
        self._file = place.system.open_input_file(path)
        self.path = target
        self._there = set[int]()
        with target.open("wb") as copy:
            copy.truncate(self.footer.size)
            copy.write(_MAGIC)
            copy.seek(self.footer.size - len(self.footer.tail))
            copy.write(self.footer.tail)

    def fetch(self, start: int, end: int) -> None:
        """The rows from `start` to the one before `end`. Raises OSError or pyarrow's errors."""
        import pyarrow.parquet

        metadata, first = pyarrow.parquet.read_metadata(self.path), 0
        with self.path.open("r+b") as copy:
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                if first < end and first + group.num_rows > start and number not in self._there:
                    self._fetch_group(group, copy)
                    self._there.add(number)
                first += group.num_rows

    def _fetch_group(self, group: Any, copy: Any) -> None:
        chunks = [group.column(number) for number in range(group.num_columns)]
        begins = [min(chunk.dictionary_page_offset or sys.maxsize, chunk.data_page_offset) for chunk in chunks]
        begin = min(begins, default=0)
        end = max((at + chunk.total_compressed_size for at, chunk in zip(begins, chunks, strict=True)), default=0)
        copy.seek(begin)
        while begin < end and (block := self._file.read_at(min(_BLOCK_BYTES, end - begin), begin)):
            copy.write(block)
            begin += len(block)

    def close(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def _name(url: str) -> str:
    """Without what a URL says beyond where: a key and its secret, options."""
    return _SECRET.sub("://", url).partition("?")[0] if "://" in url else url


def _explain_url(url: str, why: str) -> str:
    """Arrow takes a secret with `/` or `?` in it for more, and repeats it."""
    secret = _SECRET.search(url)
    is_told = secret and ("://" in why or "?" in secret[0])
    return "it cannot be parsed: / and ? in a key are written %2F and %3F" if is_told else why


def _is_same(one: Path, other: Path) -> bool:
    """One directory, though it is mounted at two places."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _arrow_fs() -> Any:
    try:
        import pyarrow.fs
    except ImportError:
        raise NoParquetError from None
    return pyarrow.fs
