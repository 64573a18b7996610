"""Does jobs, one at a time, in the background of everybody else, and leaves alone what another does.

The event loop's side: whatever touches the database or the disk happens in one thread.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from app.bounds import Bounds
from app.classifier import Catalog, Classifier
from app.cluster.engines import Cluster
from app.errors import (
    ClusterError,
    JobsFullError,
    JobStoreError,
    LeaseLostError,
    OutputError,
    RequestError,
    SentopicError,
    StuckJobError,
)
from app.jobs.ahead import Ahead, Engines, OwnEngines
from app.jobs.folder import Folder, Locks
from app.jobs.job import Job
from app.jobs.store import JobStore
from app.jobs.work import Work, fail, give_back, lay_down
from app.metrics import Metrics
from app.settings import Settings
from app.threads import Threads

LEASE_S: Final = 10.0
"""How long a job is left alone whose worker is not heard of, if it is another machine's."""

_BEAT_S: Final = 2.0
_LOOK_S: Final = 1.0
"""How often an idle service looks whether there is a job for it."""

_MOST_TRIES: Final = 5
"""How often a job is begun that gets no further: it may be what ends the service."""

_CLEAN_S: Final = 600.0
_UPLOAD_S: Final = 60.0
"""How long a file may be on its way before it is looked whether somebody still takes it in."""

_LONGEST_UPLOAD_S: Final = 86_400.0

_CONVERSION_S: Final = 3_600.0
"""Nobody has written at one that long, if it was left by a process that was killed."""

_OURS: Final = "The service failed to answer. Its log says why."
_log = logging.getLogger("sentopic")


class Worker:
    """Use it as an asynchronous context manager, inside of that of the catalog.

    `find_store` gives None as long as there is nothing to be done, and raises JobStoreError.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        metrics: Metrics,
        root: Path,
        find_store: Callable[[], Awaitable[JobStore | None]],
        bounds: Bounds,
    ) -> None:
        self._settings, self._catalog, self._metrics, self._root = settings, catalog, metrics, root
        self._find_store, self._bounds = find_store, bounds
        self._models = [(manifest.task, manifest.model) for manifest in catalog.manifests]
        self._locks = Locks(root, settings.keep_jobs_h * 3_600)  # what is lost so long is begun, and fails
        self._host = socket.gethostname()[:64]
        self._thread, self._beats = Threads(1, "jobs"), Threads(2, "jobs-beats")
        self._in_thread = self._thread.run
        self._cluster = Cluster(settings) if settings.jobs_cluster else None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Worker":
        self._task = asyncio.create_task(self._work_for_ever())
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._cluster:
            await self._cluster.close()
        await self._thread.end()
        await self._beats.end()

    def tell(self) -> None:
        """There is a job: no need to wait until the next look."""
        self._news.set()

    async def _work_for_ever(self) -> None:
        failing, cleaned = False, 0.0
        while True:
            try:
                if store := await self._find_store():
                    if time.monotonic() - cleaned > _CLEAN_S:
                        cleaned = time.monotonic()
                        await self._beats.run(self._clean, store)
                    if job := await self._claim(store):
                        await self._do(job, store)
                        failing = False
                        continue
                failing = False
                if self._cluster:
                    await self._cluster.tidy()
            except Exception as error:
                if _is_ended():
                    raise asyncio.CancelledError from error
                if not failing:
                    why = error.reason if isinstance(error, JobStoreError) else repr(error)
                    why = str(error) if isinstance(error, ClusterError) else f"the jobs' database: {why}"
                    _log.error("no job is done: %s", why)
                failing = True
            self._news.clear()
            with contextlib.suppress(TimeoutError):  # in Python 3.11, wait_for() loses a cancellation now and then
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()

    async def _claim(self, store: JobStore) -> Job | None:
        """Whoever is ended meanwhile gives back what the thread has claimed for him."""
        lease = secrets.token_hex(16)
        claiming = self._in_thread(store.claim, lease, self._host, self._models, LEASE_S, self._locks)
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                if job := await claiming:
                    try:
                        await self._in_thread(give_back, job, store)
                    finally:
                        self._locks.drop(job.id)
            raise

    async def _do(self, job: Job, store: JobStore) -> None:
        """To its end, or until it is another's, or this service ends."""
        work = asyncio.create_task(self._answer(job, store))
        beating = asyncio.create_task(self._beat(job, store, work))
        self._metrics.add_running_jobs(1)
        try:
            await work
            self._metrics.end_job(job.task, "done")
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            if _is_ended():
                with contextlib.suppress(Exception):  # then others wait until the lease has run out
                    await self._in_thread(give_back, job, store)
                raise
            await self._in_thread(self._sweep_up, job, store)
        except LeaseLostError:
            await self._in_thread(self._sweep_up, job, store)
        except JobStoreError:
            raise
        except ClusterError:  # which may come back; what was answered is kept
            await self._in_thread(lay_down, job, store)
            raise
        except Exception as error:
            if _is_ended():  # and it is nothing of the job's
                with contextlib.suppress(Exception):
                    await self._in_thread(give_back, job, store)
                raise asyncio.CancelledError from error
            await self._fail(job, store, error)
        finally:
            self._metrics.add_running_jobs(-1)
            beating.cancel()
            self._locks.drop(job.id)

    async def _fail(self, job: Job, store: JobStore, error: Exception) -> None:
        """Says what its owner can mend, and to the log what he cannot."""
        is_his = isinstance(error, RequestError | JobsFullError)
        code = error.code if isinstance(error, SentopicError) else SentopicError.code
        why = "The result could not be kept." if isinstance(error, OutputError) else _OURS
        if not await self._in_thread(fail, job, store, code, str(error) if is_his else why):
            await self._in_thread(self._sweep_up, job, store)
            return
        self._metrics.end_job(job.task, "failed")
        if not is_his:
            _log.error("job %s has failed", job.id, exc_info=error)

    async def _answer(self, job: Job, store: JobStore) -> None:
        if job.tries > _MOST_TRIES:
            raise StuckJobError
        classifier = self._catalog.find(job.task, job.model)
        engines = await self._find_engines(classifier, job, store)
        work = await self._in_thread(Work, job, store, self._root, classifier.interpreter, self._bounds)
        chunks = Ahead(lambda: self._in_thread(work.read), engines)
        try:
            while answered := await chunks.next():
                chunk, probabilities = answered
                classifier.count(await self._in_thread(work.finish, chunk, probabilities))
                self._metrics.add_job_rows(job.task, len(chunk.rows))
            await self._in_thread(work.end)
        except (RequestError, JobsFullError):
            await self._in_thread(work.keep)
            raise
        finally:
            chunks.cancel()
            await self._in_thread(work.close)  # behind whatever that thread has begun

    async def _find_engines(self, classifier: Classifier, job: Job, store: JobStore) -> Engines:
        """The cluster's, or the service's own. Raises ClusterError."""
        if not self._cluster:
            return OwnEngines(classifier)
        try:
            return await self._cluster.find(classifier.manifest)
        except ClusterError:
            await self._in_thread(give_back, job, store)  # it is nothing of the job's that has failed
            raise

    def _sweep_up(self, job: Job, store: JobStore) -> None:
        """What was written of a job while it was being deleted."""
        if store.get(job.id) is None:
            Folder(self._root, job.id).remove()

    async def _beat(self, job: Job, store: JobStore, work: "asyncio.Task[None]") -> None:
        """Says again and again that it is being done; ends the work once it is not ours any more."""
        is_ours = True
        while is_ours:
            await asyncio.sleep(_BEAT_S)
            with contextlib.suppress(JobStoreError):
                until = time.time() + LEASE_S
                is_ours = await self._beats.run(partial(store.set, job.id, job.lease, lease_until=until))
        work.cancel()

    def _clean(self, store: JobStore) -> None:
        """Removes what nobody will ask for any more."""
        now = time.time()
        long_ago = now - self._settings.keep_jobs_h * 3_600
        for job in (*store.list_finished(long_ago), *store.list_strange(long_ago, self._models)):
            forget(self._root, store, job.id)
        for job in store.list_uploads(now - _UPLOAD_S):
            is_left = self._locks.take(job)  # by whoever has died while it came
            try:
                if is_left or job.created < now - _LONGEST_UPLOAD_S:
                    again = store.get(job.id)  # it may have come to its end since the list was made
                    if again and again.status == "uploading":
                        forget(self._root, store, job.id)
            finally:
                if is_left:  # or it is another's, or this process has begun the job meanwhile
                    self._locks.drop(job.id)
        with contextlib.suppress(OSError):  # a folder that goes meanwhile
            for path in list(self._root.glob("*/converted.*")):
                Folder(self._root, path.parent.name).drop_conversions(now - _CONVERSION_S)


def _is_ended() -> bool:
    """Whether this task has been told to end, whatever has become of that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def forget(root: Path, store: JobStore, job_id: str) -> None:
    """Its files first: as long as there is a row, somebody can ask again, or find it left. Its lock goes last."""
    Folder(root, job_id).empty()
    store.remove(job_id)
    Folder(root, job_id).remove()
