"""A damaged archive is refused, never read in part."""

import contextlib
import gzip
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError
from training.datasets.archives import read_members


@pytest.fixture
def archive(layouts: Any, tmp_path: Path) -> Path:
    layouts.newswires["archive"](tmp_path)
    return Path(tmp_path / "reuters21578.tar.gz")


def test_members_are_chosen_by_the_end_of_their_name(archive: Path) -> None:
    assert [name for name, _ in read_members(archive, ".sgm")] == ["reut2-000.sgm", "reut2-001.sgm"]
    assert list(read_members(archive, ".txt")) == []


def test_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.tar\.gz is broken .*No such file.*Get it anew"):
        list(read_members(tmp_path / "no.tar.gz", ".txt"))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_archive_is_refused(archive: Path, share: float) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"is broken .*Get it anew") as caught:
        list(read_members(archive, ".sgm"))
    assert "\n" not in str(caught.value)


def test_no_flipped_byte_is_ever_read_as_content(archive: Path) -> None:
    """One that hits a header makes tarfile see the archive's end: only gzip's checksum knows better."""
    whole, data, read = list(read_members(archive, ".sgm")), bytearray(archive.read_bytes()), 0
    for place in range(0, len(data), 7):
        data[place] ^= 0x41
        archive.write_bytes(data)
        data[place] ^= 0x41
        with contextlib.suppress(DataError):
            assert list(read_members(archive, ".sgm")) == whole
            read += 1
    assert read < 10


def test_damaged_header_inside_is_refused(archive: Path) -> None:
    plain = bytearray(gzip.decompress(archive.read_bytes()))
    plain[plain.index(b"reut2-001") + 148] ^= 1  # the header's own checksum
    archive.write_bytes(gzip.compress(plain)[:-8] + archive.read_bytes()[-8:])
    with pytest.raises(DataError, match="CRC"):
        list(read_members(archive, ".sgm"))
