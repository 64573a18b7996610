"""Files come in although the database is slow, or they are refused in time; nobody else waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from app.bounds import Bounds
from app.classifier import Catalog
from app.errors import ClientLeftError, DeadlineError, JobsFullError, JobStoreError
from app.jobs.folder import Folder, Locks
from app.jobs.office import Office
from app.jobs.store import JobStore
from app.jobs.worker import Worker
from app.metrics import Metrics
from app.settings import Settings
from tests.jobs.scenes import MODELS, hand_in, make_job

DEADLINE_S = 0.3


@asynccontextmanager
async def opened(root: Path, **settings: Any) -> AsyncIterator[tuple[Office, JobStore]]:
    """An office that knows no model, so that nothing is done."""
    url = f"sqlite:///{root / 'jobs.db'}"
    given = Settings(**{"jobs": str(root), "database": url, "deadline_s": DEADLINE_S, **settings})
    office, store = Office(given, Catalog([]), Metrics([], "", ""), root, asyncio.Event()), JobStore(url)
    try:
        async with office:
            yield office, store
    finally:
        store.close()


async def body() -> AsyncIterator[bytes]:
    yield b"oil prices rose again\n"


def blocked(monkeypatch: pytest.MonkeyPatch, name: str) -> Event:
    """The database answers that question once the event is set."""
    released, really = Event(), getattr(JobStore, name)

    def wait(*given: Any, **named: Any) -> Any:
        released.wait(10)
        return really(*given, **named)

    monkeypatch.setattr(JobStore, name, wait)
    return released


def run(scene: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def test_file_is_refused_in_time_and_leaves_nothing_when_the_database_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as (office, store):
            released = blocked(monkeypatch, "add")
            jobs = [make_job("lines", size=0) for _ in range(3)]
            began = time.monotonic()
            refused = await asyncio.gather(*(office.receive(job, 22, body()) for job in jobs), return_exceptions=True)
            assert [type(error) for error in refused] == [DeadlineError] * 3
            assert time.monotonic() - began < 3 * DEADLINE_S + 1
            released.set()
            kept = make_job("lines", size=0)
            assert (await office.receive(kept, 22, body())).size == 22
            assert [job.id for job in store.list_of("", 9)] == [kept.id]
            assert store.list_uploads(time.time() + 1) == []

    run(scene)


def test_nobody_else_waits_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Explanations, keys and reloads have threads, too."""

    async def scene() -> None:
        async with opened(tmp_path) as (office, _):
            released = blocked(monkeypatch, "list_of")
            asked = [asyncio.ensure_future(office.list_of("", 1, None)) for _ in range(50)]
            await asyncio.sleep(0.05)
            began = time.monotonic()
            await asyncio.to_thread(time.monotonic)
            assert time.monotonic() - began < 1
            assert not any(one.done() for one in asked)
            released.set()
            assert await asyncio.gather(*asked) == [[]] * 50

    run(scene)


def test_room_of_what_is_converted_is_its_owners(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path, max_jobs_bytes=1_000, max_key_share=0.5) as (office, _):
            mine, his = make_job(owner="a", written=200), make_job(owner="b", written=200)
            async with office.lend(mine):
                with pytest.raises(JobsFullError):
                    async with office.lend(mine):
                        pass
                async with office.lend(his):
                    pass
            async with office.lend(mine):
                pass

    run(scene)


def test_worker_that_is_told_of_a_job_in_the_turn_in_which_it_is_ended_ends(tmp_path: Path) -> None:
    """Or it would go on for ever with the models before a reload."""

    async def nothing() -> None:
        return None

    async def scene() -> None:
        settings = Settings(jobs=str(tmp_path))
        worker = Worker(settings, Catalog([]), Metrics([], "", ""), tmp_path, nothing, None)  # type: ignore[arg-type]
        await worker.__aenter__()
        await asyncio.sleep(0.05)
        worker.tell()
        await asyncio.sleep(0)
        ended = asyncio.ensure_future(worker.__aexit__())
        done, _ = await asyncio.wait([ended], timeout=3)
        ended.cancel()
        assert done

    run(scene)


def test_deleted_job_leaves_no_folder_though_its_worker_has_just_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as (office, store):
            job = await office.receive(make_job("lines", size=0), 22, body())
            folder = Folder(tmp_path, job.id)
            really = JobStore.remove

            def begin(store: JobStore, job_id: str) -> bool:
                folder.path.mkdir(exist_ok=True)
                (folder.path / "result.1").touch()
                return really(store, job_id)

            monkeypatch.setattr(JobStore, "remove", begin)
            await office.remove(job)
            assert not folder.path.exists()
            assert store.get(job.id) is None

    run(scene)


def test_job_that_was_being_claimed_when_the_worker_ended_waits_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        store = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        job = hand_in(store, tmp_path, b"oil prices rose\n", "lines")
        released = blocked(monkeypatch, "_lease")

        async def find() -> JobStore:
            return store

        catalog = SimpleNamespace(manifests=[SimpleNamespace(task="topic", model="gru")])
        settings = Settings(jobs=str(tmp_path))
        worker = Worker(settings, catalog, Metrics([], "", ""), tmp_path, find, Bounds(9))  # type: ignore[arg-type]
        await worker.__aenter__()
        await asyncio.sleep(0.2)
        ended = asyncio.ensure_future(worker.__aexit__())
        await asyncio.sleep(0.05)
        released.set()
        await asyncio.wait_for(ended, 5)
        locks = Locks(tmp_path)
        again = store.claim("b", "here", MODELS, 10, locks)
        assert again is not None
        assert again.id == job.id
        locks.drop(job.id)
        store.close()

    run(scene)


def test_upload_that_cannot_be_forgotten_is_found_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock is there as long as its row is, so that who cleans up sees that nobody takes it in any more."""

    def fail(*_: Any) -> None:
        raise JobStoreError("it is locked")

    async def broken() -> AsyncIterator[bytes]:
        yield b"oil "
        raise ClientLeftError

    async def scene() -> None:
        async with opened(tmp_path) as (office, store):
            job = make_job("lines", size=0)
            monkeypatch.setattr(JobStore, "remove", fail)
            with pytest.raises(JobStoreError):
                await office.receive(job, 22, broken())
            monkeypatch.undo()
            (left,) = store.list_uploads(time.time() + 1)
            locks = Locks(tmp_path)
            assert locks.take(left)
            locks.drop(left.id)
            assert [path.name for path in Folder(tmp_path, job.id).path.iterdir()] == ["lock"]

    run(scene)


def test_service_that_ends_leaves_no_row_of_an_upload_that_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as (office, _):
            released = blocked(monkeypatch, "add")
            with pytest.raises(DeadlineError):
                await office.receive(make_job("lines", size=0), 22, body())
            asyncio.get_running_loop().call_later(0.2, released.set)
        store = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        assert store.list_uploads(time.time() + 1) == []
        store.close()

    run(scene)


def test_upload_that_comes_to_its_end_while_others_are_cleaned_up_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as (office, store):
            job = await office.receive(make_job("lines", size=0), 22, body())
            stale = replace(job, status="uploading", created=0.0)
            monkeypatch.setattr(JobStore, "list_uploads", lambda *_: [stale])
            office._worker._clean(store)
            assert store.get(job.id) == job
            assert Folder(tmp_path, job.id).input.exists()

    run(scene)


def test_worker_that_is_ended_while_a_driver_fails_in_its_own_way_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        store, released = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}"), Event()

        async def find() -> JobStore:
            return store

        def fail(*_: Any) -> None:
            released.wait(10)
            raise ValueError("unpack requires a buffer of 4 bytes")

        monkeypatch.setattr(JobStore, "claim", fail)
        settings = Settings(jobs=str(tmp_path))
        worker = Worker(settings, Catalog([]), Metrics([], "", ""), tmp_path, find, Bounds(9))
        await worker.__aenter__()
        await asyncio.sleep(0.2)
        ended = asyncio.ensure_future(worker.__aexit__())
        await asyncio.sleep(0.05)
        released.set()
        done, _ = await asyncio.wait([ended], timeout=3)
        ended.cancel()
        assert done
        store.close()

    run(scene)


def test_lock_of_a_job_that_is_begun_while_others_are_cleaned_up_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or another process would begin it anew."""

    async def scene() -> None:
        async with opened(tmp_path) as (office, store):
            worker = office._worker
            job = hand_in(store, tmp_path, b"oil prices rose\n", "lines")
            stale = replace(job, status="uploading", created=time.time() - 120)

            def list_uploads(*_: Any) -> list[Any]:
                assert store.claim("a", "here", MODELS, 10, worker._locks)
                return [stale]

            monkeypatch.setattr(store, "list_uploads", list_uploads)
            worker._clean(store)
            assert Locks(tmp_path).take(job) is False
            worker._locks.drop(job.id)

    run(scene)


def test_worker_begins_what_is_lost_when_it_would_be_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path, keep_jobs_h=1.0) as (office, _):
            ages = {job.created: job for job in (make_job(created=time.time() - age) for age in (3_500, 3_700))}
            young, old = (ages[created] for created in sorted(ages, reverse=True))
            assert office._worker._locks.take(young) is False
            assert office._worker._locks.take(old) is None

    run(scene)


@pytest.mark.parametrize("where", ["make", "empty"])
def test_nobody_else_waits_for_the_disk(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Explanations and rates have threads, too, and lists are the database's."""

    async def scene() -> None:
        async with opened(tmp_path, deadline_s=20) as (office, store):
            jobs = [await office.receive(make_job("lines", size=0), 22, body()) for _ in range(20)]
            released, really = Event(), getattr(Folder, where)

            def wait(folder: Folder) -> None:
                released.wait(20)
                really(folder)

            monkeypatch.setattr(Folder, where, wait)
            if where == "make":
                asked = [asyncio.ensure_future(office.receive(make_job("lines"), 22, body())) for _ in range(20)]
                while len(store.list_uploads(time.time() + 1)) < 20:
                    await asyncio.sleep(0.01)
            else:
                asked = [asyncio.ensure_future(office.remove(job)) for job in jobs]  # type: ignore[misc]
            await asyncio.sleep(0.05)
            try:
                async with asyncio.timeout(5):
                    await asyncio.to_thread(time.monotonic)
                    assert len(await office.list_of("", 99, None)) == 20
            finally:
                released.set()
                await asyncio.gather(*asked)

    run(scene)


def test_upload_that_is_left_while_its_folder_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as (office, _):
            began, released, really = Event(), Event(), Folder.make

            def wait(folder: Folder) -> None:
                began.set()
                released.wait(10)
                really(folder)

            monkeypatch.setattr(Folder, "make", wait)
            coming = asyncio.ensure_future(office.receive(job, 22, body()))
            assert await asyncio.to_thread(began.wait, 10)
            coming.cancel()
            asyncio.get_running_loop().call_later(0.1, released.set)
            with pytest.raises(asyncio.CancelledError):
                await coming

    job = make_job("lines", size=0)
    run(scene)
    assert not Folder(tmp_path, job.id).path.exists()
