"""Where a service keeps jobs, feedback and keys: looked at once, when it starts, so that what cannot be is told then.

Later on whatever is away may come back: workers that take another's place, and reloads, open nothing before it is
needed, or predictions, which need none of it, would go with it.
"""

from dataclasses import dataclass
from pathlib import Path

from app.errors import FeedbackStoreError, JobStoreError, StartError
from app.feedback import FeedbackStore
from app.jobs.office import find_place, name_database
from app.jobs.store import JobStore
from app.keys import open_store
from app.known import KnownKeys
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Stores:
    """`jobs`: where their files lie. `feedback`: its database. None: it is not wanted, or cannot be had.

    `no_jobs`: why they cannot be kept where they are unless somebody says where.
    """

    jobs: Path | None
    feedback: str | None
    keys: KnownKeys | None
    no_jobs: str = ""


def look(settings: Settings) -> Stores:
    """Leaves nothing open, for workers to be forked. Raises StartError or KeyStoreError, in one line."""
    jobs, no_jobs = find_place(settings)
    if settings.database:  # SQLite's file lies among the jobs, where it is known by now that one may write
        _try_databases(settings.database, jobs=jobs is not None, feedback=bool(settings.max_feedback))
    database = settings.database or (name_database(settings, jobs) if jobs else None)
    keys = KnownKeys(open_store(settings.keys)) if settings.keys else None
    return Stores(jobs, database if settings.max_feedback else None, keys, no_jobs)


def _try_databases(url: str, *, jobs: bool, feedback: bool) -> None:
    try:
        if jobs:
            JobStore(url).close()
        if feedback:
            FeedbackStore(url).close()
    except (JobStoreError, FeedbackStoreError) as error:
        whose = "jobs'" if isinstance(error, JobStoreError) else "feedback's"
        raise StartError(f"the {whose} database: {error.reason}") from error
