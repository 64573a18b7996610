"""The table of jobs, in any database that SQLAlchemy knows. Every call may wait for it: none is for an event loop.

Whoever works at a job holds its lease, a secret in its row. What he writes there, he writes if it is still his: so two
can never both have done a row, whoever takes whom for dead.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from typing import Any, Final, Protocol

from app.bounds import Bounds, Held
from app.database import Database
from app.errors import JobStoreError
from app.jobs.job import ACTIVE, Job

_LONG: Final = {"text", "labels", "shape", "error", "host"}
_CANDIDATES: Final = 20
"""How many are looked at at once; those that cannot be had hide none behind them."""


class Locks(Protocol):
    def take(self, job: Job) -> bool | None:
        """Whether nobody else works at it on this machine, nor will now; None: only its lease tells."""
        ...

    def drop(self, job_id: str) -> None: ...


class JobStore:
    def __init__(self, url: str) -> None:
        """Raises JobStoreError."""
        self._database = Database(url, JobStoreError)
        self._sql, self._run = self._database.sql, self._database.run
        self._jobs = self._database.table("sentopic_jobs", Job, long=_LONG)
        self._sql.Index("sentopic_jobs_status", self._jobs.c.status, self._jobs.c.created)
        self._database.create(self._jobs)
        self._lent: Counter[str] = Counter()

    def add(self, job: Job, bounds: Bounds) -> bool:
        """False if there are as many jobs already, or their files take as much.

        Several who add at once may each find the last room free.
        """
        held = self._measure(job.owner)
        if not (bounds.leave_rows(*held) and bounds.leave_size(*held, job.size)):
            return False
        self._run(lambda line: line.execute(self._jobs.insert().values(**asdict(job))))
        return True

    def has_room(self, owner: str, more: int, bounds: Bounds) -> bool:
        """For so many bytes more of this owner's, beside all files and results."""
        return bounds.leave_size(*self._measure(owner), more)

    def lend(self, owner: str, size: int) -> None:
        """Counts so many bytes more (or fewer) of this owner's, which stand in no row; in this process alone."""
        self._lent[owner] += size

    def get(self, job_id: str) -> Job | None:
        found = self._read(self._jobs.c.id == job_id)
        return found[0] if found else None

    def list_of(self, owner: str, most: int, behind: tuple[float, str] | None = None) -> list[Job]:
        """The newest first, without what their files look like: all names of columns would be much to read."""
        jobs = self._jobs.c
        columns = [column for column in self._jobs.columns if column.name != "shape"]
        query = (
            self._sql.select(*columns)
            .where(jobs.owner == owner, jobs.status != "uploading")
            .order_by(jobs.created.desc(), jobs.id)
            .limit(most)
        )
        if behind:
            created, job_id = behind
            as_late = self._sql.and_(jobs.created == created, jobs.id > job_id)
            query = query.where(self._sql.or_(jobs.created < created, as_late))
        return [Job(**row) for row in self._run(lambda line: line.execute(query).mappings().all())]

    def list_finished(self, before: float) -> list[Job]:
        return self._read(self._jobs.c.finished < before)

    def list_uploads(self, before: float) -> list[Job]:
        """Those whose file has been on its way since then."""
        jobs = self._jobs.c
        return self._read(jobs.status == "uploading", jobs.created < before)

    def list_strange(self, created: float, models: Collection[tuple[str, str]]) -> list[Job]:
        """Those that have waited since then for a model that is none of these, though one may have begun them once."""
        jobs = self._jobs.c
        is_left = self._sql.or_(jobs.status == "waiting", jobs.lease_until < created)
        return self._read(jobs.status.in_(ACTIVE), is_left, jobs.created < created, ~self._is_of(models))

    def set(self, job_id: str, held: str | None = None, /, **values: Any) -> bool:
        """False if there is no such job, or the lease that is held is no longer its."""
        jobs = self._jobs.c
        update = self._jobs.update().where(jobs.id == job_id).values(**values)
        if held is not None:
            update = update.where(jobs.lease == held)
        return bool(self._run(lambda line: line.execute(update).rowcount))

    def remove(self, job_id: str) -> bool:
        return bool(self._run(lambda line: line.execute(self._jobs.delete().where(self._jobs.c.id == job_id)).rowcount))

    def claim(
        self, lease: str, host: str, models: Collection[tuple[str, str]], seconds: float, locks: Locks
    ) -> Job | None:
        """The oldest job of these (task, model) that nobody works at, now with this lease for so many seconds."""
        now = time.time()
        for job in self._list_candidates(host, models, now):
            is_free = locks.take(job)
            if is_free is False:
                continue
            ours = None
            try:
                if (is_free or not _is_held(job, now)) and self._lease(job, lease, host, now + seconds):
                    ours = self.get(job.id)
            finally:
                if ours is None:  # it is another's, or has just been deleted, or the database does not answer
                    locks.drop(job.id)
            if ours:
                return ours
        return None

    def _list_candidates(self, host: str, models: Collection[tuple[str, str]], now: float) -> Iterator[Job]:
        """The oldest first, without those that another machine holds."""
        jobs, sql = self._jobs.c, self._sql
        is_left = sql.or_(jobs.lease.is_(None), jobs.lease_until <= now, jobs.host == host)
        conditions, behind = (jobs.status.in_(ACTIVE), self._is_of(models), is_left), sql.true()
        while found := self._read(*conditions, behind, order=(jobs.created, jobs.id), limit=_CANDIDATES):
            yield from found
            last = found[-1]
            as_late = sql.and_(jobs.created == last.created, jobs.id > last.id)
            behind = sql.or_(jobs.created > last.created, as_late)

    def _is_of(self, models: Collection[tuple[str, str]]) -> Any:
        jobs = self._jobs.c
        return self._sql.or_(
            self._sql.false(), *(self._sql.and_(jobs.task == task, jobs.model == model) for task, model in models)
        )

    def _measure(self, owner: str) -> tuple[Held, Held | None]:
        everybody, his = self._database.measure(self._jobs, self._jobs.c.size + self._jobs.c.written, owner)
        everybody = replace(everybody, size=everybody.size + sum(self._lent.copy().values()))
        return everybody, replace(his, size=his.size + self._lent[owner]) if his else None

    def _lease(self, job: Job, lease: str, host: str, until: float) -> bool:
        """False if somebody else was sooner."""
        jobs = self._jobs.c
        mine = {"lease": lease, "lease_until": until, "host": host, "attempt": job.attempt + 1, "status": "running"}
        mine["tries"] = job.tries + 1
        update = self._jobs.update().where(jobs.id == job.id, jobs.attempt == job.attempt, jobs.status.in_(ACTIVE))
        return bool(self._run(lambda line: line.execute(update.values(**mine)).rowcount))

    def _read(self, *conditions: Any, order: tuple[Any, ...] = (), limit: int | None = None) -> list[Job]:
        query = self._jobs.select().where(*conditions).order_by(*order).limit(limit)
        rows = self._run(lambda line: line.execute(query).mappings().all())
        return [Job(**row) for row in rows]

    def close(self) -> None:
        self._database.close()


def _is_held(job: Job, now: float) -> bool:
    return job.lease is not None and job.lease_until > now
