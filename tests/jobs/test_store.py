"""The list of jobs: nobody gets another's, and no two work at one."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.bounds import Bounds
from app.errors import JobStoreError
from app.jobs.job import Job
from app.jobs.store import JobStore
from tests.jobs.scenes import MODELS, ROOM, Free, make_job


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield opened
    opened.close()


def claim(
    store: JobStore, lease: str = "a", host: str = "here", seconds: float = 10, free: bool | None = None
) -> Job | None:
    return store.claim(lease, host, MODELS, seconds, Free(free))


def test_job_comes_back_as_it_was_added(store: JobStore) -> None:
    job = make_job(owner="key", text="body", rows=5, error='{"code": "x", "detail": "é"}', labels='{"a": 1}')
    assert store.add(job, ROOM)
    assert store.get(job.id) == job
    assert store.get("none") is None


def test_owner_sees_his_own_the_newest_first(store: JobStore) -> None:
    jobs = [make_job(owner=owner, created=created) for owner, created in (("a", 1.0), ("b", 2.0), ("a", 3.0))]
    jobs.append(make_job(owner="a", status="uploading"))
    for job in jobs:
        store.add(job, ROOM)
    assert store.list_of("a", 9) == [jobs[2], jobs[0]]
    assert store.list_of("a", 1) == [jobs[2]]
    assert store.list_of("a", 9, (jobs[2].created, jobs[2].id)) == [jobs[0]]
    assert store.list_of("c", 9) == []


def test_no_more_than_there_is_room_for(store: JobStore) -> None:
    assert store.add(make_job(size=60), Bounds(2, 100))
    assert not store.add(make_job(size=41), Bounds(2, 100))
    assert store.add(make_job(size=30, written=10), Bounds(2, 100))
    assert not store.add(make_job(size=0), Bounds(2, 100))


def test_what_is_lent_counts_for_its_owner_and_for_all(store: JobStore) -> None:
    bounds = Bounds(9, 100, share=0.5)
    store.lend("a", 40)
    assert not store.has_room("a", 11, bounds)
    assert store.has_room("b", 50, bounds)
    assert not store.has_room("b", 50, Bounds(9, 80))
    assert not store.add(make_job(owner="a", size=11), bounds)
    store.lend("a", -40)
    assert store.has_room("a", 50, bounds)


def test_lock_of_a_job_that_is_deleted_meanwhile_is_given_back(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, locks = make_job(), Free(True)
    store.add(job, ROOM)
    monkeypatch.setattr(store, "get", lambda _: None)
    assert store.claim("a", "here", MODELS, 10, locks) is None
    assert locks.dropped == [job.id]


def test_lock_of_a_job_is_given_back_when_the_database_does_not_answer(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or nobody could ever go on with it."""
    job, locks = make_job(), Free(True)
    store.add(job, ROOM)

    def fail(*_: object) -> bool:
        raise JobStoreError("it is locked")

    for question in ("_lease", "get"):
        with monkeypatch.context() as patch:
            patch.setattr(store, question, fail)
            with pytest.raises(JobStoreError):
                store.claim("a", "here", MODELS, 10, locks)
    assert locks.dropped == [job.id] * 2


def test_one_key_leaves_room_for_others(store: JobStore) -> None:
    by_number, by_size = Bounds(4, share=0.5), Bounds(9, 100, share=0.5)
    assert store.add(make_job(owner="a", size=30), by_number)
    assert not store.add(make_job(owner="a", size=21), by_size)
    assert not store.has_room("a", 21, by_size)
    assert store.has_room("b", 50, by_size)
    assert store.add(make_job(owner="a", size=20), by_number)
    assert not store.add(make_job(owner="a", size=0), by_number)
    assert store.add(make_job(owner="b", size=30), by_number)
    assert store.add(make_job(owner="", size=20), by_size)


def test_oldest_job_of_a_model_that_is_here_is_claimed_once(store: JobStore) -> None:
    strange, late, early = make_job(created=1.0, model="other"), make_job(created=3.0), make_job(created=2.0)
    for job in (strange, late, early):
        store.add(job, ROOM)
    first, second = claim(store, "a"), claim(store, "b")
    assert first
    assert second
    assert (first.id, first.status, first.lease, first.host, first.attempt) == (early.id, "running", "a", "here", 1)
    assert second.id == late.id
    assert claim(store, "c", host="there") is None


@pytest.mark.parametrize(
    ("host", "held", "free", "claimed"),
    [
        ("here", True, True, True),  # its process is dead, as the lock tells
        ("here", True, False, False),
        ("here", True, None, False),
        ("there", True, True, False),
        ("there", False, True, True),
        ("there", False, None, True),
        ("here", False, None, True),
        ("here", False, False, False),  # it is alive, but has not been heard of for long
    ],
)
def test_running_job_is_taken_over_if_its_worker_is_gone(
    store: JobStore, host: str, held: bool, free: bool | None, claimed: bool
) -> None:
    store.add(make_job(), ROOM)
    assert claim(store, "a", seconds=60 if held else -1)
    taken = claim(store, "b", host=host, free=free)
    assert (taken is not None) is claimed
    if taken:
        assert (taken.lease, taken.attempt) == ("b", 2)


def test_who_has_lost_the_lease_writes_nothing(store: JobStore) -> None:
    job = make_job()
    store.add(job, ROOM)
    claim(store, "a", seconds=-1)
    assert store.set(job.id, "a", done=5)
    claim(store, "b")
    assert not store.set(job.id, "a", done=7)
    assert store.set(job.id, "b", done=6, lease=None)
    assert not store.set(job.id, "b", done=8)
    found = store.get(job.id)
    assert found
    assert (found.done, found.lease) == (6, None)


def test_lock_of_a_job_that_another_was_sooner_with_is_given_back(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, locks = make_job(), Free()
    store.add(job, ROOM)
    monkeypatch.setattr(store, "_lease", lambda *_: False)
    assert store.claim("a", "here", MODELS, 10, locks) is None
    assert locks.dropped == [job.id]


def test_jobs_that_cannot_be_had_hide_none_behind_them(store: JobStore) -> None:
    """As after a disk is lost on which the files of many lay, or where many machines are at work."""
    jobs = [make_job(created=float(number // 3)) for number in range(90)]  # some as old as others
    bounds, looked = Bounds(99), set[str]()
    for job in jobs:
        store.add(job, bounds)
    last = max(jobs, key=lambda job: (job.created, job.id))

    class Lost(Free):
        def take(self, job: Job) -> bool | None:
            assert job.id not in looked
            looked.add(job.id)
            return job.id == last.id

    taken = store.claim("a", "here", MODELS, 10, Lost())
    assert taken
    assert (taken.id, len(looked)) == (last.id, 90)
    looked.clear()
    assert store.claim("b", "there", MODELS, 10, Lost()) is None
    assert last.id not in looked  # that is another machine's


def test_job_that_was_begun_by_a_model_that_is_no_more_is_found_once_nobody_works_at_it(store: JobStore) -> None:
    left, held = (
        make_job(created=1.0, model="other", status="running", lease="a", lease_until=at) for at in (9.0, 60.0)
    )
    for job in (left, held):
        store.add(job, ROOM)
    assert [job.id for job in store.list_strange(50.0, MODELS)] == [left.id]


def test_many_who_claim_at_once_get_a_job_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    stores = [JobStore(url) for _ in range(4)]
    for _ in range(12):
        stores[0].add(make_job(), ROOM)
    got = list[str]()

    def take(store: JobStore, name: int) -> None:
        while job := store.claim(f"{name}", f"host {name}", MODELS, 60, Free(None)):
            got.append(job.id)

    threads = [threading.Thread(target=take, args=(store, name)) for name, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == 12
    for store in stores:
        store.close()


def test_what_nobody_will_ask_for_is_found(store: JobStore) -> None:
    now = time.time()
    kept = [make_job(), make_job(status="done", finished=now), make_job(status="uploading", created=now)]
    old = [make_job(status="done", finished=now - 100), make_job(status="uploading", created=now - 100)]
    for job in [*kept, *old]:
        store.add(job, ROOM)
    assert [job.id for job in store.list_finished(now - 50)] == [old[0].id]
    assert [job.id for job in store.list_uploads(now - 50)] == [old[1].id]


def test_what_no_model_here_answers_is_found_once_it_has_waited_for_long(store: JobStore) -> None:
    strange = make_job(created=1.0, model="other")
    for job in (strange, make_job(created=1.0), make_job(model="other"), make_job(created=1.0, status="running")):
        store.add(job, ROOM)
    assert [job.id for job in store.list_strange(50.0, MODELS)] == [strange.id]


def test_tries_are_counted_until_a_job_gets_further(store: JobStore) -> None:
    job = make_job()
    store.add(job, ROOM)
    taken = [claim(store, str(number), seconds=-1) for number in range(3)]
    assert [one.tries for one in taken if one] == [1, 2, 3]
    store.set(job.id, "2", tries=0)
    again = claim(store, seconds=-1)
    assert again
    assert (again.tries, again.attempt) == (1, 4)


def test_database_that_cannot_be_reached_is_told_without_where(tmp_path: Path) -> None:
    with pytest.raises(JobStoreError) as caught:
        JobStore(f"sqlite:///{tmp_path}/none/jobs.db")
    assert str(tmp_path) not in str(caught.value)
    assert "unable to open database file" in caught.value.reason
    for url in ("nonsense://", "postgresql+pg8000://me:secret@127.0.0.1:1/x", "postgresql://me:secret@host:port/x"):
        with pytest.raises(JobStoreError) as caught:
            JobStore(url)
        assert "secret" not in caught.value.reason
