"""The application as a whole: what it leaves behind."""

import asyncio
import gc
import importlib
import importlib.util
import sys
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app import keys, memory
from app.bundle import read_bundle
from app.engines import open as engines
from app.engines.base import EngineOptions
from app.engines.open import open_engine
from app.errors import StartError
from app.main import create_app
from app.memory import GARBAGE_THRESHOLD
from app.scope import ON_DEPARTURE
from app.settings import SHIPPED, Settings


def test_heaps_are_to_fit_all_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(memory, "settle", lambda blocks, **_: asked.append(blocks))
    bundles = [SHIPPED / "topic" / model for model in ("lstm", "gru")]
    create_app(Settings(bundle=bundles, max_batch_windows=7))
    assert asked == [[open_engine(read_bundle(one), options=EngineOptions(batch=7)).block_bytes for one in bundles]]
    assert asked[0][0] > asked[0][1] > 0


def test_answered_request_leaves_nothing_for_the_garbage_collector() -> None:
    """It is made to look seldom, so a cycle a request would be memory."""

    async def scene() -> None:
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"]))
        assert gc.get_threshold()[0] == GARBAGE_THRESHOLD
        status: list[int] = []

        async def ask() -> None:
            messages = iter([{"type": "http.request", "body": b'{"text": "wheat and corn"}', "more_body": False}])

            async def receive() -> Any:
                return next(messages)

            async def send(message: Any) -> None:
                status.append(message.get("status", 200))

            headers = [(b"content-type", b"application/json")]
            asked = {"type": "http", "method": "POST", "path": "/predict/topic", "query_string": b""}
            await app(asked | {"headers": headers, ON_DEPARTURE: None}, receive, send)

        async with app.state.catalog:
            await ask()
            gc.collect()
            gc.disable()
            try:
                await asyncio.gather(*(ask() for _ in range(20)))
                assert gc.collect() < 20
            finally:
                gc.enable()
        assert set(status) == {200}

    asyncio.run(scene())


def test_nothing_is_left_of_an_application_that_has_stopped(tmp_path: Path) -> None:
    """Or each reload would cost memory: as much as the bundles take, or some megabytes for the routes."""

    async def scene() -> "list[weakref.ref[Any]]":
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], jobs=str(tmp_path)))
        async with app.router.lifespan_context(app):
            return [weakref.ref(one) for one in (app, app.state.catalog, app.state.catalog.find("topic").engine)]

    left = asyncio.run(scene())
    gc.unfreeze()
    gc.collect()
    assert [one() for one in left] == [None] * 3


class Passed(Exception):  # noqa: N818 - it is none
    pass


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A machine with TensorFlow; `device` is NVIDIA's file, `sees` what TensorFlow makes of it. No bundles."""

    def stop(*_: object) -> None:
        raise Passed

    machine = SimpleNamespace(device=tmp_path / "nvidiactl", sees=False)
    monkeypatch.setattr(engines, "_DEVICE", machine.device)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setitem(sys.modules, "app.engines.keras", SimpleNamespace(sees_gpu=lambda: machine.sees))
    monkeypatch.setattr("app.main.read_bundles", lambda _: [])
    monkeypatch.setattr("app.main._open_metrics", stop)  # what comes next
    return machine


def test_engine_for_gpus_without_one_says_so_and_runs(gpus: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    for place in (0, 1):  # one of several workers is enough
        with pytest.raises(Passed):
            create_app(Settings(engine="keras"), place=place)
    (told,) = caplog.messages
    assert told.startswith("WARNING: no NVIDIA device is there: the keras engine runs on the CPU")
    gpus.device.touch()
    with pytest.raises(Passed):
        create_app(Settings(engine="auto"))
    assert caplog.messages[-1].startswith("WARNING: TensorFlow cannot use the NVIDIA device")


def test_engine_with_its_gpu_says_nothing(gpus: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    gpus.device.touch()
    gpus.sees = True
    for require in (False, True):
        with pytest.raises(Passed):
            create_app(Settings(engine="auto", require_gpu=require))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("engine", "device", "why"),
    [
        ("keras", False, "no NVIDIA device is there"),
        ("keras", True, "TensorFlow cannot use the NVIDIA device"),
        ("auto", False, "no NVIDIA device is there"),
        ("onnx", True, "the onnx engine runs on the CPU"),
    ],
)
def test_without_the_gpu_that_is_asked_for_nothing_starts(
    gpus: SimpleNamespace, engine: Any, device: bool, why: str
) -> None:
    if device:
        gpus.device.touch()
    with pytest.raises(StartError, match=f"but {why}$"):
        create_app(Settings(engine=engine, require_gpu=True))


def test_tensorflow_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A regression: in a read-only container without /tmp its import failed with a page of traceback."""

    def load(_: str) -> None:
        raise FileNotFoundError(2, "No usable\ntemporary directory")

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(StartError, match=r"^TensorFlow cannot be loaded \(.*No usable temporary directory\)$"):
        create_app(Settings(engine="keras"))


def test_keys_are_read_again_whatever_went_wrong_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = keys.open_store(str(tmp_path / "keys"))
    token = keys.create(store, "one", ["predict"])
    monkeypatch.setattr("app.main.REFRESH_S", 0.01)
    went_wrong, really = threading.Event(), keys.Keyring.refresh

    def fail_once(ring: keys.Keyring) -> None:
        if not went_wrong.is_set():
            store.remove(token.split("_")[1])
            went_wrong.set()
            raise RuntimeError("a driver's own")
        really(ring)

    async def scene() -> None:
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], keys=str(tmp_path / "keys")))
        monkeypatch.setattr(keys.Keyring, "refresh", fail_once)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
        ):
            while (await client.get("/tasks", headers={"x-api-key": token})).status_code != 401:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert went_wrong.is_set()
    assert [record.message for record in caplog.records] == ["keys are as they were read last: a driver's own"]
