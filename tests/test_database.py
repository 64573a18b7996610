"""A database that says nothing is told of in a line, and nobody waits for it for ever."""

import gc
import logging
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

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


def test_what_is_no_database_is_a_line_and_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg8000 raises whatever it stumbles over: here UnicodeDecodeError, elsewhere KeyError or struct.error."""
    monkeypatch.setattr(database, "_ANSWER_S", 10.0)
    lines = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def talk() -> None:
            with suppress(OSError):
                for _ in range(2):
                    lines.append(listener.accept()[0])
                    lines[-1].sendall(b"\xff" * 64)

        talking = Thread(target=talk)
        talking.start()
        base = Database(f"postgresql+pg8000://me:hunter2@127.0.0.1:{listener.getsockname()[1]}/x", JobStoreError)
        for _ in range(2):
            with pytest.raises(Exception) as told:  # noqa: PT011 - of which kind is the question
                base.run(lambda line: line.connection)
            assert isinstance(told.value, JobStoreError)
            reason = told.value.reason
            assert reason.startswith("the driver failed: UnicodeDecodeError: ")
        talking.join()
    for line in lines:
        line.close()
    del told
    gc.collect()  # here, as the driver leaves its sockets open
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == [f"a database's answer cannot be read: {reason}"]


def test_line_on_which_a_driver_failed_in_its_own_way_is_used_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = Database(f"sqlite:///{tmp_path / 'a.db'}", JobStoreError)
    disposed = []
    base._engine.dispose = lambda: disposed.append(True)  # type: ignore[method-assign]

    def fail(_: object) -> None:
        raise struct.error("unpack requires a buffer of 4 bytes")

    for times in (1, 2):
        for _ in range(2):
            with pytest.raises(JobStoreError):
                base.run(fail)
        assert len(caplog.records) == times
        base.run(lambda line: line.exec_driver_sql("select 1").all())  # and after that it is news again
    assert len(disposed) == 4


def test_driver_that_cannot_be_opened_in_its_own_way_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlalchemy

    def fail(*_: object, **__: object) -> None:
        raise AttributeError("module 'driver' has no attribute 'paramstyle'")

    monkeypatch.setattr(sqlalchemy, "create_engine", fail)
    with pytest.raises(JobStoreError):
        Database("postgresql+pg8000://127.0.0.1/x", JobStoreError)
