"""A database that says nothing is told of in a line, and nobody waits for it for ever."""

import gc
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import database
from app.database import Database
from app.errors import JobStoreError, KeyStoreError
from app.feedback import Feedback
from app.keys import open_store

PATIENCE_S = 0.3


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_ANSWER_S", PATIENCE_S)


pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the driver leaves sockets open


@pytest.fixture(params=["silent", "lost"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of somebody who takes connections and says nothing; or whom no packet reaches."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8 if request.param == "silent" else 0)
    others = [socket.socket() for _ in range(0 if request.param == "silent" else 4)]
    for other in others:  # they fill its queue
        other.setblocking(False)
        other.connect_ex(listener.getsockname())
    yield listener.getsockname()[1]
    for line in (listener, *others):
        line.close()
    gc.collect()  # here, where its sockets are expected


def test_database_that_says_nothing_is_a_line_in_time(port: int) -> None:
    url = f"postgresql+pg8000://sentopic:hunter2@127.0.0.1:{port}/sentopic"
    began = time.monotonic()
    with pytest.raises(JobStoreError) as told:
        Database(url, JobStoreError).run(lambda line: line.connection)
    assert told.value.reason == f"no answer in {PATIENCE_S:g} s"
    with pytest.raises(KeyStoreError) as caught:
        open_store(url).read()
    assert str(caught.value) == f"the keys' database: no answer in {PATIENCE_S:g} s"
    assert time.monotonic() - began < 5 * PATIENCE_S + 2


def test_driver_of_another_one_gets_no_option_that_it_may_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_OUR_DRIVERS", set[str]())
    Database("postgresql+pg8000://127.0.0.1/sentopic", JobStoreError).close()


def test_table_of_an_earlier_release_gets_its_index(tmp_path: Path) -> None:
    base = Database(f"sqlite:///{tmp_path / 'a.db'}", JobStoreError)
    base.create(base.table("feedback", Feedback))
    table = base.table("feedback", Feedback)
    base.sql.Index("feedback_size", table.c.owner, table.c.size)
    for _ in range(2):  # and is there, the second time
        base.create(table)
    query = "explain query plan select count(*), sum(size), sum(case when owner = 'a' then size end) from feedback"
    steps = base.run(lambda line: line.execute(base.sql.text(query)).mappings().all())
    assert "USING COVERING INDEX feedback_size" in steps[0]["detail"]
    base.close()
