"""Takes jobs in, gives their results out, and has one of them done at a time, in the background of everybody else.

The event loop's side: whatever touches the database or the disk happens in threads.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from app.classifier import Catalog
from app.errors import (
    BodyTooLargeError,
    FileError,
    JobsFullError,
    JobStoreError,
    LeaseLostError,
    RequestError,
    SentopicError,
    StartError,
    UnknownJobError,
)
from app.jobs.folder import Folder, Locks
from app.jobs.job import Job
from app.jobs.store import JobStore
from app.jobs.work import Work, fail, give_back
from app.settings import Settings

LEASE_S: Final = 10.0
"""How long a job is left alone whose worker is not heard of, if it is another machine's."""

_BEAT_S: Final = 2.0
_LOOK_S: Final = 1.0
"""How often an idle service looks whether there is a job for it."""

_CLEAN_S: Final = 600.0
_UPLOAD_S: Final = 6 * 3_600.0
"""How long a file may be on its way."""

_BLOCK_BYTES: Final = 2**20
_FILE: Final = "jobs.db"
_log = logging.getLogger("sentopic")
Result = TypeVar("Result")


def open_office(settings: Settings, catalog: Catalog) -> "Office | None":
    """None: no jobs are wanted, or there is nowhere to keep them and nobody has said where.

    Raises StartError if what was said cannot be.
    """
    if not settings.jobs:
        return None
    root = Path(settings.jobs).expanduser()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = root / f".{secrets.token_hex(8)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except (OSError, RuntimeError) as error:
        why = f"{root}: {getattr(error, 'strerror', None) or error}".lower()
        if "jobs" in settings.model_fields_set:
            raise StartError(f"no jobs can be kept in {why}") from error
        _log.info("there are no jobs, as they cannot be kept in %s", why)
        return None
    return Office(settings, catalog, root)


class Office:
    """Use it as an asynchronous context manager, inside of that of the catalog."""

    def __init__(self, settings: Settings, catalog: Catalog, root: Path) -> None:
        self._settings, self._catalog, self._root = settings, catalog, root
        self._url = settings.database or f"sqlite:///{root / _FILE}"
        self._locks, self._host = Locks(root), socket.gethostname()[:64]
        self._thread = ThreadPoolExecutor(1, "jobs")
        """In which jobs are done: one call after the other."""
        self._opened: JobStore | None = None
        self._opening = asyncio.Lock()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        if settings.database:
            try:
                self._opened = JobStore(self._url)
            except JobStoreError as error:
                raise StartError(f"the jobs' database: {error.reason}") from error

    async def __aenter__(self) -> "Office":
        self._task = asyncio.create_task(self._work_for_ever())
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._thread.shutdown)
        if self._opened:
            await asyncio.to_thread(self._opened.close)

    # ---- For those who ask

    async def receive(self, job: Job, declared: int | None, body: AsyncIterator[bytes]) -> Job:
        """Keeps a file whose `size` is not yet known. Raises BodyTooLargeError, JobsFullError or FileError."""
        limit = self._settings.max_job_bytes
        if declared is not None and declared > limit:
            raise BodyTooLargeError(limit)
        store, folder = await self._store(), Folder(self._root, job.id)
        room = replace(job, status="uploading", size=limit if declared is None else declared)
        most, most_bytes = self._settings.max_jobs, self._settings.max_jobs_bytes
        if not await asyncio.to_thread(store.add, room, most=most, most_bytes=most_bytes):
            raise JobsFullError
        try:
            await asyncio.to_thread(folder.make)
            size = await self._keep(folder, body, limit)
            if not size:
                raise FileError("it is empty")
            await asyncio.to_thread(store.set, job.id, status="waiting", size=size)
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(self._forget, store, job.id))
            if isinstance(error, OSError):
                _log.error("a job's file cannot be kept: %s", error)
                raise JobsFullError from error
            raise
        self._news.set()
        return replace(job, status="waiting", size=size)

    async def find(self, job_id: str, owner: str) -> Job:
        """Raises UnknownJobError, whoever else's it may be."""
        job = await asyncio.to_thread((await self._store()).get, job_id)
        if job is None or job.owner != owner or job.status == "uploading":
            raise UnknownJobError
        return job

    async def list_of(self, owner: str) -> list[Job]:
        return await asyncio.to_thread((await self._store()).list_of, owner)

    async def remove(self, job: Job) -> None:
        """Whoever works at it finds out with his next chunk."""
        await asyncio.to_thread(self._forget, await self._store(), job.id)

    def result(self, job: Job) -> Path:
        return Folder(self._root, job.id).result(job)

    def input(self, job: Job) -> Path:
        return Folder(self._root, job.id).input

    async def _keep(self, folder: Folder, body: AsyncIterator[bytes], limit: int) -> int:
        size, waiting = 0, bytearray()
        with await asyncio.to_thread(folder.input.open, "xb") as file:
            async for piece in body:
                size += len(piece)
                if size > limit:
                    raise BodyTooLargeError(limit)
                waiting += piece
                if len(waiting) >= _BLOCK_BYTES:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(_write_out, file, bytes(waiting))
        return size

    def _forget(self, store: JobStore, job_id: str) -> None:
        Folder(self._root, job_id).remove()  # first: as long as there is a row, somebody can ask again
        store.remove(job_id)

    async def _store(self) -> JobStore:
        """Opened when it is first needed: SQLAlchemy takes a quarter of a second and 12 MB."""
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(JobStore, self._url)
        return self._opened

    # ---- For those who wait

    async def _work_for_ever(self) -> None:
        failing, cleaned = False, 0.0
        while True:
            try:
                if self._opened is not None or await asyncio.to_thread(self._has_jobs):
                    store = await self._store()
                    if time.monotonic() - cleaned > _CLEAN_S:
                        cleaned = time.monotonic()
                        await asyncio.to_thread(self._clean, store)
                    if job := await self._claim(store):
                        await self._do(job, store)
                        continue
                failing = False
            except JobStoreError as error:
                if not failing:
                    _log.error("no job is done: the jobs' database: %s", error.reason)
                failing = True
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_S)

    def _has_jobs(self) -> bool:
        return (self._root / _FILE).exists()

    async def _claim(self, store: JobStore) -> Job | None:
        models = [(manifest.task, manifest.model) for manifest in self._catalog.manifests]
        lease = secrets.token_hex(16)
        return await self._in_thread(store.claim, lease, self._host, models, LEASE_S, self._locks)

    async def _do(self, job: Job, store: JobStore) -> None:
        """To its end, or until it is another's, or this service ends."""
        work = asyncio.create_task(self._answer(job, store))
        beating = asyncio.create_task(self._beat(job, store, work))
        try:
            await work
        except RequestError as error:
            await self._in_thread(fail, job, store, error.code, str(error))
        except LeaseLostError:
            pass
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            if asyncio.current_task().cancelling():  # type: ignore[union-attr] # in a task
                await self._in_thread(give_back, job, store)
                raise
        except JobStoreError:
            raise
        except SentopicError as error:
            if await self._in_thread(fail, job, store, error.code, "The result could not be kept."):
                _log.error("job %s: %s", job.id, error)
        except Exception as error:  # noqa: BLE001 - the next job may be a better one
            if await self._in_thread(fail, job, store, "internal", "The service failed to answer. Its log says why."):
                _log.error("job %s has failed", job.id, exc_info=error)
        finally:
            beating.cancel()
            self._locks.drop(job.id)

    async def _answer(self, job: Job, store: JobStore) -> None:
        classifier = self._catalog.find(job.task, job.model)
        work = await self._in_thread(Work, job, store, self._root, classifier.interpreter)
        reading = self._in_thread(work.read)
        try:
            while chunk := await reading:
                reading = self._in_thread(work.read)
                probabilities = await classifier.predict_bulk(chunk.ids, background=True)
                classifier.count(await self._in_thread(work.finish, chunk, probabilities))
            await self._in_thread(work.end)
        finally:
            reading.cancel()
            await self._in_thread(work.close)  # behind whatever that thread has begun

    async def _beat(self, job: Job, store: JobStore, work: "asyncio.Task[None]") -> None:
        """Says again and again that it is being done; ends the work once it is not ours any more."""
        is_ours = True
        while is_ours:
            await asyncio.sleep(_BEAT_S)
            with contextlib.suppress(JobStoreError):
                until = time.time() + LEASE_S
                is_ours = await asyncio.to_thread(store.set, job.id, job.lease, lease_until=until)
        work.cancel()

    def _clean(self, store: JobStore) -> None:
        """Removes what nobody will ask for any more."""
        now = time.time()
        for job in store.list_before(now - _UPLOAD_S, now - self._settings.keep_jobs_h * 3_600):
            self._forget(store, job.id)

    def _in_thread(self, work: Callable[..., Result], *given: Any) -> "asyncio.Future[Result]":
        asked = asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
        asked.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody may be left to hear of it
        return asked


def _write_out(file: Any, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
