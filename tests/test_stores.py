"""A service that has started goes on without what it keeps jobs, feedback and keys in; what needs them is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import BundleError, KeyStoreError, StartError
from app.keys import create, open_store
from app.main import create_app
from app.settings import SHIPPED, Settings
from app.stores import Stores, look

Ask = Callable[..., Awaitable[tuple[int, str]]]
TEXT = {"text": "oil prices rose"}
SAID = {"id": "8a487d1a49989cc3", "task": "topic", "label": "crude"}


def make(root: Path) -> tuple[Settings, str]:
    """Each store in a directory of its own, and a key."""
    for name in ("keys", "database"):
        (root / name).mkdir()
    place = str(root / "keys" / "keys")
    token = create(open_store(place), "shop", ["predict"])
    url = f"sqlite:///{root / 'database' / 'jobs.db'}"
    return Settings(bundle=[SHIPPED / "topic" / "gru"], jobs=str(root / "jobs"), database=url, keys=place), token


def play(settings: Settings, found: Stores, scene: Callable[[Ask], Awaitable[None]]) -> None:
    """`scene` has what asks another worker of this service; it gives status and, of a problem, the code."""

    async def run() -> None:
        app = create_app(settings, found=found)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):

            async def ask(method: str, path: str, key: str = "", **given: Any) -> tuple[int, str]:
                answer = await client.request(method, path, headers={"X-API-Key": key} if key else {}, **given)
                return answer.status_code, answer.json()["code"] if answer.status_code >= 400 else ""

            await scene(ask)

    asyncio.run(run())


def test_worker_comes_up_although_its_stores_are_away_and_they_may_come_back(tmp_path: Path) -> None:
    settings, token = make(tmp_path)
    found = look(settings)
    for name in ("jobs", "database", "keys"):
        (tmp_path / name).rename(tmp_path / f"{name} aside")

    async def scene(ask: Ask) -> None:
        assert await ask("POST", "/predict/topic", token, json=TEXT) == (200, "")
        assert await ask("POST", "/predict/topic", json=TEXT) == (401, "unauthorized")
        assert await ask("POST", "/predict/topic", f"{token[:-1]}!", json=TEXT) == (401, "unauthorized")
        assert await ask("GET", "/jobs", token) == (503, "job_store")
        assert await ask("POST", "/jobs?task=topic&format=lines", token, content=b"oil\n") == (503, "job_store")
        assert await ask("POST", "/feedback", token, json=SAID) == (503, "feedback_store")
        for name in ("database", "keys"):
            (tmp_path / f"{name} aside").rename(tmp_path / name)
        assert await ask("GET", "/jobs", token) == (200, "")
        assert await ask("POST", "/feedback", token, json=SAID) == (202, "")
        assert await ask("POST", "/jobs?task=topic&format=lines", token, content=b"oil\n") == (503, "job_files")
        (tmp_path / "jobs aside").rename(tmp_path / "jobs")
        assert await ask("POST", "/jobs?task=topic&format=lines", token, content=b"oil\n") == (202, "")

    play(settings, found, scene)


def test_jobs_from_before_are_done_although_nobody_asks(tmp_path: Path) -> None:
    """The database is opened late, but by whoever does jobs, too."""
    settings, token = make(tmp_path)
    found = look(settings)

    async def hand_in(ask: Ask) -> None:
        for _ in range(3):
            assert await ask("POST", "/jobs?task=topic&format=lines", token, content=b"oil\n" * 2_000) == (202, "")

    async def wait(_: Ask) -> None:
        async with asyncio.timeout(20):
            while len(list((tmp_path / "jobs").glob("*/result.*"))) < 3:
                await asyncio.sleep(0.05)

    play(settings, found, hand_in)
    play(settings, found, wait)


def test_what_cannot_be_when_a_service_starts_is_told(tmp_path: Path) -> None:
    settings, _ = make(tmp_path)
    nowhere = "sqlite:////nowhere/x.db"
    for change, error, said in (
        ({"database": nowhere}, StartError, "the jobs' database: "),
        ({"database": nowhere, "jobs": ""}, StartError, "the feedback's database: "),
        ({"jobs": str(tmp_path / "keys" / "keys" / "jobs")}, StartError, "no jobs can be kept in "),
        ({"keys": "/nowhere/keys"}, KeyStoreError, "/nowhere/keys: "),
    ):
        with pytest.raises(error, match=said):
            look(settings.model_copy(update=change))


def test_stores_that_nobody_wants_are_not_looked_at(tmp_path: Path) -> None:
    settings = Settings(jobs="", database="sqlite:////nowhere/x.db", max_feedback=0)
    assert look(settings) == Stores(None, None, None)
    assert not list(tmp_path.iterdir())


def test_service_that_can_keep_no_jobs_says_why_once_it_has_its_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever cannot start has one thing to say."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.delenv("SENTOPIC_JOBS", raising=False)
    caplog.set_level("INFO", "sentopic")
    with pytest.raises(BundleError):
        create_app(Settings(bundle=[tmp_path / "none"]))
    assert caplog.messages == []
    create_app(Settings(bundle=[SHIPPED / "topic" / "gru"]))
    why = (
        f"there are no jobs, as they cannot be kept in {tmp_path / 'file'}/.local/state/sentopic/jobs: not a directory"
    )
    assert caplog.messages == [why]
