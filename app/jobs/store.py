"""The table of jobs, in any database that SQLAlchemy knows. Every call may wait for it: none is for an event loop.

Whoever works at a job holds its lease, a secret in its row. What he writes there, he writes if it is still his: so two
can never both have done a row, whoever takes whom for dead.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, fields
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, get_args

from app.errors import JobStoreError, hide_password
from app.jobs.job import ACTIVE, Job

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BUSY_S: Final = 30.0
"""How long SQLite waits for another process to end its writing."""

_LONG: Final = {"text", "labels", "shape", "error", "host"}
_LONGEST_NAME: Final = 64
_CANDIDATES: Final = 20

Result = TypeVar("Result")


class Locks(Protocol):
    def take(self, job: Job) -> bool | None:
        """Whether nobody else works at it on this machine, nor will now; None: there is no telling."""
        ...

    def drop(self, job_id: str) -> None: ...


class JobStore:
    def __init__(self, url: str) -> None:
        """Raises JobStoreError."""
        import sqlalchemy as sql

        self._sql = sql
        is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = (
            {"poolclass": sql.NullPool, "connect_args": {"timeout": _BUSY_S}} if is_sqlite else {"pool_pre_ping": True}
        )
        try:
            self._engine = sql.create_engine(url, **options)
        except (sql.exc.SQLAlchemyError, ImportError, ValueError) as error:
            raise JobStoreError(_explain(error)) from error
        self._jobs = sql.Table("sentopic_jobs", sql.MetaData(), *(_column(sql, field) for field in fields(Job)))
        sql.Index("sentopic_jobs_status", self._jobs.c.status, self._jobs.c.created)
        for last in (False, True):  # two who make it at once: one of them fails, and then it is there
            try:
                self._run(self._jobs.metadata.create_all)
                break
            except JobStoreError:
                if last:
                    raise

    def add(self, job: Job, *, most: int, most_bytes: int) -> bool:
        """False if there are as many jobs already, or their files take as much.

        Several who add at once may each find the last room free.
        """
        if self._count() >= most or self.size() + job.size > most_bytes:
            return False
        self._run(lambda line: line.execute(self._jobs.insert().values(**asdict(job))))
        return True

    def size(self) -> int:
        """Bytes of all files and results."""
        jobs = self._jobs.c
        query = self._sql.select(self._sql.func.coalesce(self._sql.func.sum(jobs.size + jobs.written), 0))
        return int(self._run(lambda line: line.execute(query).scalar_one()))

    def get(self, job_id: str) -> Job | None:
        found = self._read(self._jobs.c.id == job_id)
        return found[0] if found else None

    def list_of(self, owner: str) -> list[Job]:
        """The newest first."""
        jobs = self._jobs.c
        return self._read(jobs.owner == owner, jobs.status != "uploading", order=(jobs.created.desc(), jobs.id))

    def list_finished(self, before: float) -> list[Job]:
        return self._read(self._jobs.c.finished < before)

    def list_uploads(self, before: float) -> list[Job]:
        """Those whose file has been on its way since then."""
        jobs = self._jobs.c
        return self._read(jobs.status == "uploading", jobs.created < before)

    def list_strange(self, created: float, models: Collection[tuple[str, str]]) -> list[Job]:
        """Those that have waited since then for a model that is none of these."""
        jobs = self._jobs.c
        return self._read(jobs.status == "waiting", jobs.created < created, ~self._is_of(models))

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
        jobs, now = self._jobs.c, time.time()
        found = self._read(
            jobs.status.in_(ACTIVE), self._is_of(models), order=(jobs.created, jobs.id), limit=_CANDIDATES
        )
        for job in found:
            held = job.lease is not None and job.lease_until > now
            if held and job.host != host:
                continue
            is_free = locks.take(job)
            if is_free is False:
                continue
            if (is_free or not held) and self._lease(job, lease, host, now + seconds):
                return self.get(job.id)
            locks.drop(job.id)
        return None

    def _is_of(self, models: Collection[tuple[str, str]]) -> Any:
        jobs = self._jobs.c
        return self._sql.or_(*(self._sql.and_(jobs.task == task, jobs.model == model) for task, model in models))

    def _count(self) -> int:
        query = self._sql.select(self._sql.func.count()).select_from(self._jobs)
        return int(self._run(lambda line: line.execute(query).scalar_one()))

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

    def _run(self, work: "Callable[[Connection], Result]") -> Result:
        try:
            with self._engine.begin() as line:
                return work(line)
        except (self._sql.exc.SQLAlchemyError, OSError) as error:  # some drivers let the network's own through
            raise JobStoreError(_explain(error)) from error

    def close(self) -> None:
        self._engine.dispose()


def _column(sql: Any, field: Any) -> Any:
    held = get_args(field.type) or (field.type,)
    kind = sql.Text() if field.name in _LONG else sql.String(_LONGEST_NAME)
    kind = sql.BigInteger() if int in held else sql.Float(53) if float in held else kind
    return sql.Column(field.name, kind, primary_key=field.name == "id", nullable=NoneType in held)


def _explain(error: BaseException) -> str:
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return hide_password((lines or [type(error).__name__])[0])
