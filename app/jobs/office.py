"""Takes jobs in and gives their results out. The event loop's side: database and disk are touched in threads."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from app.bounds import Bounds
from app.classifier import Catalog
from app.database import FILE
from app.errors import (
    BodyTooLargeError,
    DeadlineError,
    FileError,
    JobFilesError,
    JobsFullError,
    StartError,
    UnknownJobError,
)
from app.jobs.folder import NO_ROOM, Folder, Locks
from app.jobs.job import Job
from app.jobs.store import JobStore
from app.jobs.worker import Worker, forget
from app.metrics import Metrics
from app.settings import Settings
from app.threads import Late, Threads

Result = TypeVar("Result")

_BLOCK_BYTES: Final = 2**20
_RESERVED_BYTES: Final = 2**24
"""Of a file on its way, at first."""
_ASKERS: Final = 4
"""Threads that ask the database: a file that another program has locked takes no others."""

CLERKS: Final = 8
"""Threads that touch files: a disk that is slow, or a share that hangs, takes no others."""

_log = logging.getLogger("sentopic")


def find_place(settings: Settings) -> tuple[Path | None, str]:
    """None: no jobs are wanted, or there is nowhere to keep them and nobody has said where; then why.

    Raises StartError if what was said cannot be.
    """
    if not settings.jobs:
        return None, ""
    if settings.jobs_cluster and importlib.util.find_spec("ray") is None:
        raise StartError("SENTOPIC_JOBS_CLUSTER needs Ray: pip install 'sentopic[ray]'")
    root = Path(settings.jobs).expanduser()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = root / f".{secrets.token_hex(8)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except (OSError, RuntimeError) as error:
        why = f"{root}: {str(getattr(error, 'strerror', None) or error).lower()}"
        if "jobs" in settings.model_fields_set:
            raise StartError(f"no jobs can be kept in {why}") from error
        return None, why
    return root, ""


def name_database(settings: Settings, root: Path) -> str:
    return settings.database or f"sqlite:///{root / FILE}"


class Office:
    """Use it as an asynchronous context manager, inside of that of the catalog.

    `root`: where files lie, as `find_place` has found. `leaving`: from when on no more jobs are done.
    """

    def __init__(
        self, settings: Settings, catalog: Catalog, metrics: Metrics, root: Path, leaving: asyncio.Event
    ) -> None:
        self._settings, self._root = settings, root
        self._bounds = Bounds(settings.max_jobs, settings.max_jobs_bytes, settings.max_key_share)
        self._worker = Worker(settings, catalog, metrics, root, self._find_store, self._bounds)
        self._locks = Locks(root)
        """Of files on their way: as long as they are held, the files are."""
        self._adding = asyncio.Lock()
        self._reserving = set[asyncio.Task[bool]]()
        self._leaving = leaving
        self._retiring: asyncio.Task[None] | None = None
        self._database = Threads(_ASKERS, "jobs-database")
        self.files = Threads(CLERKS, "jobs-files")
        """For all that touches the jobs' disk, which may be a share that hangs."""
        self._store = Late(self._database, JobStore, name_database(settings, root))
        """SQLAlchemy takes 0.4 s and 22 MB; and it may be away when a worker takes another's place."""

    async def __aenter__(self) -> "Office":
        await self._worker.__aenter__()
        self._retiring = asyncio.create_task(self._retire())
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._leaving.set()
        if self._retiring:
            await self._retiring
        await asyncio.gather(*self._reserving, return_exceptions=True)  # whose askers may have gone
        await self.files.end()
        await self._database.end()
        if store := self._store.opened:
            await asyncio.to_thread(store.close)

    async def receive(self, job: Job, declared: float | None, body: AsyncIterator[bytes]) -> Job:
        """Keeps a file whose `size` is not yet known. Raises BodyTooLarge-, JobsFull-, JobFiles- or FileError."""
        limit = self._settings.max_job_bytes
        if declared is not None and declared > limit:
            raise BodyTooLargeError(limit)
        store, folder = await self._store.get(), Folder(self._root, job.id)
        expected = limit if declared is None else int(declared)
        room = replace(job, status="uploading", size=min(expected, _RESERVED_BYTES))
        await self._reserve(store, room, 0 if declared is None else expected)
        try:
            await self._touch(folder.make)
            await self._touch(self._locks.take, job)
            size = await self._keep(store, room, folder, body)
            if not size:
                raise FileError("it is empty")
            if not await self._database.run(partial(store.set, job.id, status="waiting", size=size)):
                raise JobsFullError  # it took so long that it was given up
        except BaseException as error:
            await asyncio.shield(self.files.run(forget, self._root, store, job.id))
            if isinstance(error, OSError):
                _log.error("a job's file cannot be kept: %s", error)
                raise (JobsFullError if error.errno in NO_ROOM else JobFilesError) from error
            raise
        finally:
            self._locks.drop(job.id)
        self._worker.tell()
        return replace(job, status="waiting", size=size)

    async def _reserve(self, store: JobStore, room: Job, expected: int) -> None:
        """A row for it, if all of it would have room. Raises JobsFullError, or DeadlineError and leaves no row."""
        given_up = False

        async def reserve() -> bool:
            async with self._adding:
                if given_up:
                    return False
                fits = not expected or await self._database.run(store.has_room, room.owner, expected, self._bounds)
                added = fits and await self._database.run(store.add, room, self._bounds)
                if added and given_up:  # before anybody else counts what is left
                    await self._database.run(store.remove, room.id)
                return added

        reserving = asyncio.create_task(reserve())
        reserving.add_done_callback(lambda one: one.cancelled() or one.exception())
        self._reserving.add(reserving)
        reserving.add_done_callback(self._reserving.discard)
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                added = await asyncio.shield(reserving)
        except (TimeoutError, asyncio.CancelledError) as error:
            given_up = True
            if reserving.done() and not (reserving.cancelled() or reserving.exception()) and reserving.result():
                await asyncio.shield(self._database.run(store.remove, room.id))  # both in one turn
            if isinstance(error, TimeoutError):
                raise DeadlineError(self._settings.deadline_s) from None
            raise
        if not added:
            raise JobsFullError

    async def _retire(self) -> None:
        """Once the service leaves, or has other models, nothing more is answered by these."""
        await self._leaving.wait()
        await self._worker.__aexit__()

    @contextlib.asynccontextmanager
    async def lend(self, job: Job) -> AsyncIterator[None]:
        """Room for its result once more, and as it is put together, until the end. Raises JobsFullError."""
        size = 2 * job.written
        store = await self._store.get()
        async with self._adding:
            if not await self._database.run(store.has_room, job.owner, size, self._bounds):
                raise JobsFullError
            store.lend(job.owner, size)
        try:
            yield
        finally:
            store.lend(job.owner, -size)

    async def find(self, job_id: str, owner: str) -> Job:
        """Raises UnknownJobError, whoever else's it may be."""
        job = await self._database.run((await self._store.get()).get, job_id)
        if job is None or job.owner != owner or job.status == "uploading":
            raise UnknownJobError
        return job

    async def list_of(self, owner: str, most: int, behind: tuple[float, str] | None) -> list[Job]:
        """At most as many, the newest first, from behind the job that was made then and has that id."""
        return await self._database.run((await self._store.get()).list_of, owner, most, behind)

    async def remove(self, job: Job) -> None:
        """Whoever works at it finds out with his next chunk."""
        await self.files.run(forget, self._root, await self._store.get(), job.id)

    def result(self, job: Job) -> Path:
        return Folder(self._root, job.id).result(job)

    async def _keep(self, store: JobStore, room: Job, folder: Folder, body: AsyncIterator[bytes]) -> int:
        """Its room grows with it: whoever sends slowly, or never what he has announced, takes none from others."""
        limit, held = self._settings.max_job_bytes, room.size
        size, waiting = 0, bytearray()
        file = await self._touch(folder.input.open, "xb")
        try:
            async for piece in body:
                size += len(piece)
                if size > limit:
                    raise BodyTooLargeError(limit)
                while size > held:
                    held = await self._widen(store, room, held)
                waiting += piece
                if len(waiting) >= _BLOCK_BYTES:
                    await self._touch(file.write, bytes(waiting))
                    waiting.clear()
            await self._touch(_write_out, file, bytes(waiting))
        finally:
            await asyncio.shield(self.files.run(_close, file))
        return size

    async def _touch(self, work: Callable[..., Result], *given: Any) -> Result:
        """In a thread for files. Who is cancelled waits for it: what comes next would meet what it has yet to do."""
        touching = self.files.run(work, *given)
        try:
            return await asyncio.shield(touching)
        except asyncio.CancelledError:
            await asyncio.wait([touching])
            raise

    async def _widen(self, store: JobStore, room: Job, held: int) -> int:
        more = min(self._settings.max_job_bytes, 2 * held) - held
        async with self._adding:
            if not await self._database.run(store.has_room, room.owner, more, self._bounds):
                raise JobsFullError
            if not await self._database.run(partial(store.set, room.id, size=held + more)):
                raise JobsFullError  # it took so long that it was given up
        return held + more

    async def _find_store(self) -> JobStore | None:
        """None: no job has ever been handed in."""
        is_new = not self._settings.database and self._store.opened is None
        if is_new and not await self.files.run((self._root / FILE).exists):
            return None
        return await self._store.get()


def _write_out(file: Any, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _close(file: Any) -> None:
    with contextlib.suppress(OSError):  # what counts has been written out
        file.close()
