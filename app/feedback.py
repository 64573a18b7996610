"""What people say of answers: which label would have been right, and of which text if they want it known.

Knows neither HTTP nor how models learn from it. Answers are not kept, so nothing here tells whether there was one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from app.bounds import Bounds
from app.database import Database, Result
from app.errors import FeedbackFullError, FeedbackStoreError, UnknownFeedbackError
from app.threads import Late, Threads

_ASKERS: Final = 2
NAME: Final = "sentopic_feedback"
_LONG: Final = {"label", "text"}


@dataclass(frozen=True, slots=True)
class Feedback:
    """A row. `owner`: the key's id that said it, or nobody's; `id`: the answer's; `created`: seconds since 1970."""

    owner: str
    id: str
    task: str
    label: str
    text: str | None
    created: float
    size: int = field(default=0, compare=False)
    """Bytes of the text, as it is kept."""


class FeedbackStore:
    """The table, in any database that SQLAlchemy knows. Every call may wait for it: none is for an event loop."""

    def __init__(self, url: str) -> None:
        """Raises FeedbackStoreError, as every method does."""
        self._database = Database(url, FeedbackStoreError)
        self._run, self._sql = self._database.run, self._database.sql
        self._rows = self._database.table(NAME, Feedback, key=("owner", "id"), long=_LONG)
        self._sql.Index(f"{NAME}_task", self._rows.c.task, self._rows.c.created)
        self._sql.Index(f"{NAME}_size", self._rows.c.owner, self._rows.c.size)  # a sum of them reads no text
        self._database.create(self._rows)

    def put(self, said: Feedback, bounds: Bounds) -> None:
        """Whatever the same owner said of the same answer before no longer counts.

        Raises FeedbackFullError if there are as many rows already, or as many bytes of texts. Several who add at once
        may each find the last room free.
        """
        text = said.text and said.text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # for PostgreSQL
        said = replace(said, text=text, size=len((text or "").encode("utf-8", "surrogatepass")))
        held = self._database.measure(self._rows, self._rows.c.size, said.owner)
        if said.text and not bounds.leave_size(*held, said.size):
            raise FeedbackFullError
        if self._change(said):
            return
        if not bounds.leave_rows(*held):
            raise FeedbackFullError
        try:
            self._run(lambda line: line.execute(self._rows.insert().values(**asdict(said))))
        except FeedbackStoreError:  # said twice at once: the other one was sooner
            if not self._change(said):
                raise

    def remove(self, owner: str, answer_id: str) -> bool:
        gone = self._rows.delete().where(self._rows.c.owner == owner, self._rows.c.id == answer_id)
        return bool(self._run(lambda line: line.execute(gone).rowcount))

    def read(self, task: str) -> list[Feedback]:
        """The oldest first."""
        rows = self._rows.c
        query = self._rows.select().where(rows.task == task).order_by(rows.created, rows.owner, rows.id)
        return [Feedback(**row) for row in self._run(lambda line: line.execute(query).mappings().all())]

    def close(self) -> None:
        self._database.close()

    def _change(self, said: Feedback) -> bool:
        values = asdict(said)
        same = [self._rows.c[name] == values.pop(name) for name in ("owner", "id")]
        return bool(self._run(lambda line: line.execute(self._rows.update().where(*same).values(**values)).rowcount))


class Book:
    """The event loop's side of the table, which is opened when it is first needed, or `at_once` if it can be."""

    def __init__(self, url: str, bounds: Bounds, *, at_once: bool = False) -> None:
        self._bounds, self._at_once, self._threads = bounds, at_once, Threads(_ASKERS, "feedback")
        self._store = Late(self._threads, FeedbackStore, url)

    async def __aenter__(self) -> "Book":
        if self._at_once:
            self._store.begin()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._threads.end()
        if store := self._store.opened:
            await asyncio.to_thread(store.close)

    async def note(self, said: Feedback) -> None:
        """Raises FeedbackFullError or FeedbackStoreError."""
        await self._ask(lambda store: store.put(said, self._bounds))

    async def withdraw(self, owner: str, answer_id: str) -> None:
        """Raises UnknownFeedbackError or FeedbackStoreError."""
        if not await self._ask(lambda store: store.remove(owner, answer_id)):
            raise UnknownFeedbackError

    async def _ask(self, work: Callable[[FeedbackStore], Result]) -> Result:
        return await self._threads.run(work, await self._store.get())
