"""What all tables have in common, in any database that SQLAlchemy knows. Knows none of them.

Every call may wait for the database: none is for an event loop.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import fields
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from app.bounds import Held
from app.errors import SentopicError, hide_password

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

FILE: Final = "jobs.db"
"""SQLite's, in the directory of jobs, where no other database is named."""
_BUSY_S: Final = 5.0
"""How long SQLite waits for another process to end its writing."""
_ANSWER_S: Final = 10.0
"""How long a database on the network may be silent, or whoever waits for it would wait for ever."""
_LONGEST_NAME: Final = 64
_FLEETING: Final = {
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite+pysqlite://",
    "sqlite+pysqlite:///:memory:",
}
_OUR_DRIVERS: Final = {"pg8000"}
"""Those of the extras. Of another one, its URL says how long it may be silent."""

Result = TypeVar("Result")
_log = logging.getLogger("sentopic")


class Database:
    def __init__(self, url: str, failed: Callable[[str], SentopicError], *, seldom: bool = False) -> None:
        """`failed` makes the error of whatever goes wrong, from one line that says what; it is raised here, too.

        Whoever asks `seldom` has a connection for each time.
        """
        import sqlalchemy as sql

        self.sql, self._failed, self._is_told = sql, failed, False
        if url in _FLEETING:
            raise failed("a database in memory keeps nothing")
        try:
            parsed = sql.make_url(url)
            is_sqlite = parsed.get_backend_name() == "sqlite"
            options: dict[str, Any] = {"poolclass": sql.NullPool} if is_sqlite or seldom else {"pool_pre_ping": True}
            if is_sqlite or parsed.get_driver_name() in _OUR_DRIVERS:
                options["connect_args"] = {"timeout": _BUSY_S if is_sqlite else _ANSWER_S}
            self._engine = sql.create_engine(parsed, **options)
        except Exception as error:  # drivers have errors of their own
            raise failed(_explain(error)) from error

    def table(self, name: str, kind: type, *, key: Collection[str] = ("id",), long: Collection[str] = ()) -> "Table":
        """Of a dataclass, a column for each field: texts have 64 characters, or no end if they are `long`."""
        columns = [
            _column(self.sql, field, in_key=field.name in key, long=field.name in long) for field in fields(kind)
        ]
        return self.sql.Table(name, self.sql.MetaData(), *columns)

    def create(self, table: "Table") -> None:
        """What of it is not there: the table, or an index that came with a later release."""

        def make(line: "Connection") -> None:
            table.metadata.create_all(line)
            for index in table.indexes:
                index.create(line, checkfirst=True)

        for last in (False, True):  # two who make it at once: one of them fails, and then it is there
            try:
                self.run(make)
                break
            except SentopicError as error:
                if last or not isinstance(error.__cause__, self.sql.exc.DatabaseError):
                    raise

    def measure(self, table: "Table", size: Any, owner: str) -> tuple[Held, Held | None]:
        """How many rows there are and the sum of `size`, of everybody and of this `owner` (None: nobody)."""
        sql, count = self.sql, self.sql.func.count
        mine = table.c.owner == owner
        totals = (count(), sql.func.sum(size), count(sql.case((mine, 1))), sql.func.sum(sql.case((mine, size))))
        query = sql.select(*totals).select_from(table)
        rows, total, his_rows, his_total = self.run(lambda line: line.execute(query).one())
        return Held(rows, int(total or 0)), Held(his_rows, int(his_total or 0)) if owner else None

    def run(self, work: "Callable[[Connection], Result]") -> Result:
        """In one transaction."""
        try:
            with self._engine.begin() as line:
                result = work(line)
        except (self.sql.exc.SQLAlchemyError, OSError) as error:  # some drivers let the network's own through
            raise self._failed(_explain(error)) from error
        except Exception as error:  # what answers is no database, say, of which no driver has thought
            self._engine.dispose()  # nobody knows how much of its answer has been read
            raise self._failed(self._tell(error)) from error
        self._is_told = False
        return result

    def _tell(self, error: Exception) -> str:
        """Once, until it is well again: it may be the database's fault, or the service's."""
        why = f"the driver failed: {type(error).__name__}: {_explain(error)}"
        if not self._is_told:
            self._is_told = True
            _log.error("a database's answer cannot be read: %s", why)
        return why

    def close(self) -> None:
        self._engine.dispose()


def _column(sql: Any, field: Any, *, in_key: bool, long: bool) -> Any:
    held = get_args(field.type) or (field.type,)
    kind = sql.Text() if long else sql.String(_LONGEST_NAME)
    kind = sql.BigInteger() if int in held else sql.Float(53) if float in held else kind
    return sql.Column(field.name, kind, primary_key=in_key, nullable=NoneType in held)


def _explain(error: BaseException) -> str:
    told = getattr(error, "orig", None) or error
    if isinstance(told, TimeoutError) or isinstance(told.__cause__, TimeoutError):
        return f"no answer in {_ANSWER_S:g} s"
    lines = str(told).splitlines()
    return hide_password((lines or [type(error).__name__])[0])
