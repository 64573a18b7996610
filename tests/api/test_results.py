"""A result that the system does not let us read or convert is a problem and a line in the log, never a defect."""

import asyncio
import errno
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.api import results
from app.jobs import convert as convert_module
from app.jobs.office import CLERKS
from app.main import create_app
from app.settings import SHIPPED, Settings

Ask = Callable[[str], Awaitable[httpx.Response]]
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")


def with_result(tmp_path: Path, scene: Callable[[Ask, Path], Awaitable[None]]) -> None:
    """A job that is done; `scene` has what asks for its result, and its folder."""

    async def run() -> None:
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], jobs=str(tmp_path)))
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            sent = await client.post("/jobs?task=topic&format=csv", content=b"text\n" + b"oil prices rose\n" * 20)
            path = f"/jobs/{sent.json()['id']}"
            async with asyncio.timeout(20):
                while (await client.get(path)).json()["status"] != "done":
                    await asyncio.sleep(0.02)
            await scene(lambda query: client.get(f"{path}/result{query}"), tmp_path / sent.json()["id"])

    asyncio.run(run())


def check(response: httpx.Response, status: int, code: str, caplog: pytest.LogCaptureFixture) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.exc_info for record in told] == [None]
    assert told[0].getMessage().startswith("a result cannot be given out: ")
    assert "\n" not in told[0].getMessage()
    caplog.clear()


@needs_full
@pytest.mark.parametrize("name", ["converted.it", "converted.it.parquet.joined"], ids=["rows", "file"])
def test_disk_that_is_full_has_no_room_for_a_conversion(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(convert_module, "secrets", SimpleNamespace(token_hex=lambda _: "it"))

    async def scene(ask: Ask, folder: Path) -> None:
        (folder / name).symlink_to("/dev/full")
        check(await ask("?format=parquet"), 507, "jobs_full", caplog)
        assert not list(folder.glob("converted.*"))
        assert (await ask("?format=parquet")).status_code == 200

    with_result(tmp_path, scene)


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [(errno.ENOSPC, 507, "jobs_full"), (errno.EMFILE, 503, "job_files"), (errno.EIO, 503, "job_files")],
)
def test_files_that_cannot_be_had_are_a_problem(
    tmp_path: Path,
    number: int,
    status: int,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> Iterator[bytes]:
        raise OSError(number, os.strerror(number))
        yield b""

    def fail_now(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    def open_others(path: Any, *given: Any, **named: Any) -> Any:
        return fail_now() if "result." in str(path) else real_open(path, *given, **named)

    real_open = os.open

    async def scene(ask: Ask, _: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(results, "convert", fail)
            for form in ("jsonl", "parquet"):
                check(await ask(f"?format={form}"), status, code, caplog)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", open_others)
            check(await ask(""), status, code, caplog)
        with monkeypatch.context() as patch:
            patch.setattr("anyio.open_file", fail_now)
            check(await ask(""), status, code, caplog)
        assert (await ask("")).text.count("\n") == 21
        assert (await ask("?format=jsonl")).status_code == 200

    with_result(tmp_path, scene)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc, which only Linux has")
def test_result_that_nobody_waits_for_when_it_is_open_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a share that answers when the deadline has passed: its bytes would stay on the disk, in no quota."""
    began, released, opened, real_open = Event(), Event(), Event(), os.open

    def open_late(path: Any, *given: Any, **named: Any) -> Any:
        if "result." not in str(path):
            return real_open(path, *given, **named)
        began.set()
        released.wait(10)
        descriptor = real_open(path, *given, **named)
        opened.set()
        return descriptor

    def list_open() -> list[str]:
        links = list(Path("/proc/self/fd").iterdir())
        return [
            name for link in links if (name := os.path.realpath(link)).startswith(str(tmp_path)) and "result." in name
        ]

    async def scene(ask: Ask, _: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", open_late)
            asking = asyncio.ensure_future(ask(""))
            assert await asyncio.to_thread(began.wait, 10)
            asking.cancel()
            assert (await asyncio.gather(asking, return_exceptions=True))[0].__class__ is asyncio.CancelledError
            released.set()
            assert await asyncio.to_thread(opened.wait, 10)
        async with asyncio.timeout(5):
            while list_open():
                await asyncio.sleep(0.02)
        assert (await ask("")).status_code == 200

    with_result(tmp_path, scene)


def test_share_that_hangs_takes_the_threads_of_jobs_alone_and_predictions_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, real_open, real_exists = Event(), os.open, Path.exists

    def open_late(path: Any, *given: Any, **named: Any) -> Any:
        if "result." in str(path):
            released.wait(20)
        return real_open(path, *given, **named)

    def look_late(path: Path, *given: Any, **named: Any) -> bool:
        if "result." in str(path):
            assert threading.current_thread() is not threading.main_thread(), "the event loop would stand still"
            released.wait(20)
        return real_exists(path, *given, **named)

    async def scene(ask: Ask, _: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", open_late)
            patch.setattr(Path, "exists", look_late)
            others = set(threading.enumerate())
            asking = [asyncio.ensure_future(ask(query)) for query in ["", "?format=jsonl"] * 20]
            await asyncio.sleep(0.2)
            for one in asking:
                one.cancel()
            await asyncio.sleep(0.2)
            names = [thread.name for thread in set(threading.enumerate()) - others]
            assert sum(name.startswith("jobs-files") for name in names) <= CLERKS
            assert sum(name.startswith(("AnyIO", "asyncio")) for name in names) < len(asking) // 2, "everybody's"
            released.set()
            await asyncio.gather(*asking, return_exceptions=True)
        assert (await ask("")).status_code == 200

    with_result(tmp_path, scene)
