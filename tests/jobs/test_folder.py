"""What a process that was killed has left in a job's folder goes, and nothing else."""

import os
from pathlib import Path

from app.jobs.folder import Folder, Locks
from tests.jobs.scenes import make_job


def test_conversions_that_nobody_writes_at_any_more_are_dropped(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "a")
    folder.make()
    for name, written in (("converted.1", 10), ("converted.2.parquet", 10), ("converted.3", 30), ("result.1", 10)):
        (folder.path / name).touch()
        os.utime(folder.path / name, (written, written))
    folder.drop_conversions(before=20)
    assert sorted(path.name for path in folder.path.iterdir()) == ["converted.3", "lock", "result.1"]


def test_lock_of_a_folder_that_is_going_is_not_made_anew(tmp_path: Path) -> None:
    job = make_job()
    folder, locks = Folder(tmp_path, job.id), Locks(tmp_path)
    folder.path.mkdir()
    assert locks.take(job) is False
    assert not list(folder.path.iterdir())


def test_lock_is_one_workers_until_it_is_dropped(tmp_path: Path) -> None:
    job = make_job()
    Folder(tmp_path, job.id).make()
    locks, others = Locks(tmp_path), Locks(tmp_path)
    assert locks.take(job)
    assert others.take(job) is False
    locks.drop(job.id)
    assert others.take(job)
    others.drop(job.id)
