"""What is said to be done is on disk; what is behind it counts for nothing."""

import fcntl
import hashlib
from io import FileIO
from pathlib import Path

import pytest

from app.errors import OutputError, UsageError
from app.files.journal import Fingerprint, Journal, Progress, Spool
from app.files.lines import Position


def test_what_lies_behind_the_place_where_one_goes_on_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.write_bytes(b"done, and half a")
    spool = Spool(path, 6)
    assert path.read_bytes() == b"done, "
    assert spool.append(b"more") == 10
    spool.close()
    assert path.read_bytes() == b"done, more"


def test_file_that_lacks_what_was_done_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"abc")
    with pytest.raises(OutputError, match="a part of it is missing"):
        Spool(tmp_path / "spool", 4)
    with pytest.raises(OutputError, match="no such file or directory"):
        Spool(tmp_path / "none" / "spool")


def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    first = Spool(tmp_path / "spool")
    with pytest.raises(OutputError, match="somebody else is writing it"):
        Spool(tmp_path / "spool")
    first.close()
    Spool(tmp_path / "spool").close()


def test_file_that_gets_its_place_while_one_waits_to_open_it_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "spool", fcntl.flock
    first = Spool(path)
    first.append(b"whole")

    def end_the_first(file: FileIO, how: int) -> None:
        if not first_ended:
            first_ended.append(True)
            path.replace(tmp_path / "result")
            first.close()
        real(file, how)

    first_ended: list[bool] = []
    monkeypatch.setattr(fcntl, "flock", end_the_first)
    second = Spool(path)
    second.append(b"new")
    second.close()
    assert (path.read_bytes(), (tmp_path / "result").read_bytes()) == (b"new", b"whole")


def test_progress_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "progress")
    assert journal.load() is None
    progress = Progress(Position(5, 2), "ab", 7, 2, 1, {"é": 1}, complete=True)
    journal.save({"a": [1]}, Progress())
    journal.save({"a": [2]}, progress)
    assert journal.load() == ({"a": [2]}, progress)
    journal.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1, "progress": {"x": 1}}'])
def test_other_file_is_no_journal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "progress").write_bytes(content)
    with pytest.raises(UsageError):
        Journal(tmp_path / "progress").load()


def test_fingerprint_is_of_what_has_been_read_so_far(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    fingerprint = Fingerprint(tmp_path / "file")
    for offset in (0, 7, 1_500_000, 1_500_000):
        assert fingerprint.reach(offset) == hashlib.sha256(data[:offset]).hexdigest()
    assert fingerprint.reach() == hashlib.sha256(data).hexdigest()
    fingerprint.close()
