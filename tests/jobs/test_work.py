"""A job that is left at any moment is gone on with by whoever comes next, and has each row once."""

import csv
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from app.bounds import Bounds
from app.bulk import ChunkSize
from app.errors import FileError, JobsFullError, LeaseLostError, OutputError
from app.files.journal import Spool
from app.jobs import work as work_module
from app.jobs.folder import Folder, Locks
from app.jobs.job import Job
from app.jobs.store import JobStore
from app.jobs.work import Work, fail, give_back
from tests.jobs.scenes import MODELS, Free, do, hand_in, make_table, opened

ROWS = 16


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_module, "SIZE", ChunkSize(rows=5))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    found = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield found
    found.close()


def begin(store: JobStore, root: Path, *, host: str = "", seconds: float = 60) -> Work:
    """A worker on a machine of its own, or with `seconds` in the past one that is not heard of."""
    job = store.claim(secrets.token_hex(4), host or secrets.token_hex(4), MODELS, seconds, Free())
    assert job
    return Work(job, store, root, opened()[1], Bounds(9, 10**9))


def result(store: JobStore, root: Path, job: Job) -> tuple[Job, Path]:
    found = store.get(job.id)
    assert found
    return found, Folder(root, job.id).result(found)


def read_ids(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(map(str, pq.read_table(path).column("id").to_pylist()))
    with path.open(newline="", encoding="utf-8") as file:
        return [row["id"] for row in csv.DictReader(file)]


def test_job_is_done_and_says_how_far_it_is(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, make_table(tmp_path / "in.csv", ROWS))
    work = begin(store, tmp_path)
    chunk = work.read()
    assert chunk
    work.finish(chunk, opened()[2].predict(chunk.ids))
    running = store.get(job.id)
    assert running
    assert (running.status, running.done, running.rows, running.tries) == ("running", 5, None, 0)
    assert running.rows_per_s
    assert running.seconds_left is not None
    do(work)
    found, path = result(store, tmp_path, job)
    assert (found.status, found.done, found.failed, found.rows) == ("done", ROWS, 1, ROWS)
    assert (found.lease, found.seconds_left, found.written) == (None, None, path.stat().st_size)
    assert sum(found.progress.labels.values()) == ROWS - 1
    assert read_ids(path) == [str(row) for row in range(ROWS)]
    assert {name.name for name in path.parent.iterdir()} == {"input", "lock", path.name}


class Killed(BaseException):
    """The process ends here."""


def stop_at(moment: int, store: JobStore, root: Path) -> bool:
    """Begins, and ends before the given one of the steps that last; False if there are fewer."""
    steps = 0

    def count(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > moment:
                raise Killed
            return real(*given, **more)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((os, "fsync"), (Path, "unlink"), (Path, "replace"), (JobStore, "set"), (Spool, "append")):
            patch.setattr(place, name, count(getattr(place, name)))
        try:
            do(begin(store, root, seconds=-1))
        except Killed:
            return True
    return False


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_job_that_is_left_before_any_of_its_steps_has_each_row_once(
    store: JobStore, tmp_path: Path, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_table(tmp_path / "in.csv", ROWS)
    if form == "parquet":
        pq.write_table(pyarrow.csv.read_csv(tmp_path / "in.csv"), tmp_path / "in.parquet")
        data = (tmp_path / "in.parquet").read_bytes()
    moment, left, root = 0, True, tmp_path
    while left:
        job = hand_in(store, root, data, form)
        left = stop_at(moment, store, root)
        if result(store, root, job)[0].status != "done":  # all but its last broom
            do(begin(store, root))
        found, path = result(store, root, job)
        assert (found.status, found.done, found.failed) == ("done", ROWS, 1)
        assert read_ids(path) == [str(row) for row in range(ROWS)]
        assert not left or path.name in {name.name for name in path.parent.iterdir()}
        moment += 1
    assert moment > 12


def test_two_who_take_each_other_for_dead_do_each_row_once(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, make_table(tmp_path / "in.csv", ROWS))
    first = begin(store, tmp_path, seconds=-1)
    chunk = first.read()
    assert chunk
    first.finish(chunk, opened()[2].predict(chunk.ids))
    later = first.read()
    second = begin(store, tmp_path)
    other = second.read()
    assert other
    assert other.rows[0].line == 7  # it goes on where the first one was
    second.finish(other, opened()[2].predict(other.ids))
    assert later
    with pytest.raises(LeaseLostError):
        first.finish(later, opened()[2].predict(later.ids))
    with pytest.raises((LeaseLostError, OutputError)):  # its file may be gone, too
        first.end()
    first.close()
    do(second)
    found, path = result(store, tmp_path, job)
    assert found.status == "done"
    assert read_ids(path) == [str(row) for row in range(ROWS)]


def test_other_bundle_begins_anew(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, make_table(tmp_path / "in.csv", ROWS))
    first = begin(store, tmp_path, seconds=-1)
    chunk = first.read()
    assert chunk
    first.finish(chunk, opened()[2].predict(chunk.ids))
    first.close()
    store.set(job.id, bundle="0" * 64)
    second = begin(store, tmp_path)
    found = store.get(job.id)
    assert found
    assert (found.done, found.labels, found.bundle) == (0, "{}", opened()[0].manifest.sha256)
    do(second)
    assert read_ids(result(store, tmp_path, job)[1]) == [str(row) for row in range(ROWS)]


def test_job_that_is_given_back_is_gone_on_with_at_once(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, make_table(tmp_path / "in.csv", ROWS))
    claimed = store.claim("a", "here", MODELS, 60, Free())
    assert claimed
    work = Work(claimed, store, tmp_path, opened()[1], Bounds(9, 10**9))
    chunk = work.read()
    assert chunk
    work.finish(chunk, opened()[2].predict(chunk.ids))
    work.close()
    give_back(claimed, store)
    waiting = store.get(job.id)
    assert waiting
    assert (waiting.status, waiting.done) == ("waiting", 5)
    do(begin(store, tmp_path))
    assert read_ids(result(store, tmp_path, job)[1]) == [str(row) for row in range(ROWS)]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_was_done_of_a_file_is_kept(store: JobStore, tmp_path: Path, form: Any) -> None:
    data = make_table(tmp_path / "in.csv", ROWS)
    if form == "parquet":
        pq.write_table(pyarrow.csv.read_csv(tmp_path / "in.csv"), tmp_path / "in.parquet")
        data = (tmp_path / "in.parquet").read_bytes()
    job = hand_in(store, tmp_path, data, form)
    work = begin(store, tmp_path)
    work.keep()
    assert result(store, tmp_path, job)[0].written == 0  # nothing yet
    chunk = work.read()
    assert chunk
    work.finish(chunk, opened()[2].predict(chunk.ids))
    work.keep()
    work.close()
    found, path = result(store, tmp_path, job)
    assert found.written == path.stat().st_size
    assert read_ids(path) == ["0", "1", "2", "3", "4"]
    assert {name.name for name in path.parent.iterdir()} == {"input", "lock", path.name}


def test_result_that_there_is_no_room_for_ends_the_job(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "_MEASURE_BYTES", 1)
    data = make_table(tmp_path / "in.csv", ROWS)
    hand_in(store, tmp_path, data)
    job = store.claim("a", "here", MODELS, 60, Free())
    assert job
    work = Work(job, store, tmp_path, opened()[1], Bounds(9, len(data) + 700))
    with pytest.raises(JobsFullError):
        do(work)
    assert 0 < result(store, tmp_path, job)[0].done < ROWS


def test_job_that_is_deleted_is_left(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, make_table(tmp_path / "in.csv", ROWS))
    work = begin(store, tmp_path)
    chunk = work.read()
    assert chunk
    Folder(tmp_path, job.id).remove()
    store.remove(job.id)
    with pytest.raises(LeaseLostError):
        work.finish(chunk, opened()[2].predict(chunk.ids))
    work.close()


def test_failed_job_says_why(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, b"a,b\n1,2\n")
    claimed = store.claim("a", "here", MODELS, 60, Free())
    assert claimed
    with pytest.raises(FileError) as caught:
        Work(claimed, store, tmp_path, opened()[1], Bounds(9, 10**9))
    fail(claimed, store, caught.value.code, str(caught.value))
    found = store.get(job.id)
    assert found
    assert found.status == "failed"
    assert found.problem == {"code": "file_invalid", "detail": "line 1: there is no column of texts"}


def test_job_whose_files_are_lost_for_long_fails_and_says_why(store: JobStore, tmp_path: Path) -> None:
    root, now = tmp_path / "jobs", time.time()
    root.mkdir()
    old, young = (hand_in(store, root, b"text\na\n", created=now - age) for age in (100, 10))
    for job in (old, young):
        Folder(root, job.id).remove()
    locks = Locks(root, lost_after_s=50)
    away = root.rename(tmp_path / "away")
    assert store.claim("a", "here", MODELS, 60, locks) is None  # all of them may come back
    away.rename(root)
    claimed = store.claim("a", "here", MODELS, 60, locks)
    assert claimed
    assert claimed.id == old.id
    with pytest.raises(FileError, match="the file is gone"):
        Work(claimed, store, root, opened()[1], Bounds(9, 10**9))
    assert store.claim("b", "there", MODELS, 60, locks) is None
    Folder(root, young.id).make()
    assert store.claim("b", "there", MODELS, 60, locks)  # it came late
    locks.drop(young.id)


def test_lock_is_held_by_one_and_given_back_by_the_system(store: JobStore, tmp_path: Path) -> None:
    job = hand_in(store, tmp_path, b"text\na\n")
    first, second = Locks(tmp_path), Locks(tmp_path)
    assert first.take(job) is True
    assert second.take(job) is False
    first.drop(job.id)
    assert second.take(job) is True
    second.drop(job.id)
    Folder(tmp_path, job.id).remove()
    assert first.take(job) is False  # whose files are another machine's
