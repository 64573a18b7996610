"""Where jobs have their files: a folder each, which nobody but their owner can read."""

import contextlib
import errno
import fcntl
import math
import os
import shutil
import time
from pathlib import Path
from typing import IO, Final

from app.jobs.job import Job

NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT}
"""What the system says of a disk that is full."""

_LOCK: Final = "lock"


class Folder:
    """One job's: `input`, results by name, and `lock`, held by whoever works at it."""

    def __init__(self, root: Path, job_id: str) -> None:
        self.path = root / job_id
        self.input = self.path / "input"

    def make(self) -> None:
        self.path.mkdir(mode=0o700)
        (self.path / _LOCK).touch()

    def empty(self) -> None:
        """All but the lock, by which it is known whether somebody works at it."""
        with contextlib.suppress(OSError):  # it is gone already
            for path in self.path.iterdir():
                if path.name != _LOCK:
                    path.unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def result(self, job: Job) -> Path:
        return self.path / (job.result or "none")

    def take_over(self, job: Job, name: str) -> None:
        """Makes a result's file of this name, with what counts of the one before: its writer may yet be alive."""
        target, left = self.path / name, job.written
        with target.open("wb") as copy:
            if left:
                with self.result(job).open("rb") as source:
                    while left and (piece := source.read(min(left, 2**20))):
                        copy.write(piece)
                        left -= len(piece)
            if left:
                raise FileNotFoundError(2, "a part of the result is missing")
            copy.flush()
            os.fsync(copy.fileno())

    def drop_conversions(self, before: float) -> None:
        """Those that nobody has written at since: who did has ended, or they would be gone."""
        for path in self.path.glob("converted.*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def drop_others(self, name: str) -> None:
        """Results that no longer count."""
        for path in self.path.glob("result.*"):
            if path.name != name:
                path.unlink(missing_ok=True)


class Locks:
    """The locks that this process holds. The system gives them back when it ends, however it ends."""

    def __init__(self, root: Path, lost_after_s: float = math.inf) -> None:
        """`lost_after_s`: files that are not there are lost, not another machine's, if the job is so old."""
        self._root, self._lost_after_s = root, lost_after_s
        self._held: dict[str, IO[bytes]] = {}

    def take(self, job: Job) -> bool | None:
        """False also where its files are not: they may be another machine's. None: there is no telling."""
        try:
            file = (Folder(self._root, job.id).path / _LOCK).open("r+b")  # never made here: the folder may be going
        except FileNotFoundError:
            is_lost = job.created < time.time() - self._lost_after_s and self._root.exists()
            return None if is_lost else False
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        except OSError:  # a file system without locks
            file.close()
            return None
        self._held[job.id] = file
        return True

    def drop(self, job_id: str) -> None:
        if file := self._held.pop(job_id, None):
            file.close()
