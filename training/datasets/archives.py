"""Reads a published .tar.gz from end to end, in its own order."""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from app.errors import DataError


def read_members(archive: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file whose name ends with `suffix`. Raises DataError for a damaged archive."""
    try:
        with tarfile.open(archive) as members:
            for member in members:
                stream = members.extractfile(member) if member.name.endswith(suffix) else None
                if stream is not None:
                    yield member.name, stream.read()
            # tarfile takes a damaged header for the archive's end; gzip's checksum, behind the last byte, does not.
            while members.fileobj is not None and members.fileobj.read(2**20):
                pass
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{archive} is broken ({reason}). Get it anew.") from error
