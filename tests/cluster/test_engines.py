"""A cluster's engines from an event loop: each asks and is answered, and whoever waits hears that they are gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.cluster import engines as engines_module
from app.cluster.child import Child
from app.cluster.engines import Cluster
from app.errors import ClusterError
from app.settings import SHIPPED, Settings

MANIFEST: Any = SimpleNamespace(sha256="seal", labels=[1])


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_module, "Child", lambda _: Child("tests.cluster.relay_here"))


def run(address: str, what: Callable[[Cluster], Awaitable[object]]) -> None:
    async def inside() -> None:
        cluster = Cluster(Settings(jobs_cluster=address, bundle=[SHIPPED / "topic" / "gru"]))
        try:
            async with asyncio.timeout(30):
                await what(cluster)
        finally:
            await cluster.close()

    asyncio.run(inside())


def ids(first: int, rows: int = 3) -> Any:
    return np.full((rows, 4), first, np.int32)


def test_answers_find_who_asked_in_whatever_order_they_come() -> None:
    async def ask(cluster: Cluster) -> None:
        engines = await cluster.find(MANIFEST)
        assert engines.window == 4
        found = await asyncio.gather(*(engines.predict(ids(number, number)) for number in range(1, 9)))
        assert [one.tolist() for one in found] == [[[4.0 * number]] * number for number in range(1, 9)]
        assert (await engines.predict(ids(1, 0))).shape == (0, 1)
        assert await cluster.find(MANIFEST) is engines

    run("here", ask)


def test_one_fault_is_told_to_whom_it_concerns() -> None:
    async def ask(cluster: Cluster) -> None:
        engines = await cluster.find(MANIFEST)
        good, bad = await asyncio.gather(engines.predict(ids(1)), engines.predict(ids(13)), return_exceptions=True)
        assert isinstance(bad, ClusterError)
        assert str(bad) == "thirteen"
        assert isinstance(good, np.ndarray)

    run("here", ask)


def test_lost_engines_are_told_to_all_who_wait_and_opened_anew() -> None:
    async def ask(cluster: Cluster) -> None:
        engines = await cluster.find(MANIFEST)
        found = await asyncio.gather(engines.predict(ids(1)), engines.predict(ids(66)), return_exceptions=True)
        assert [type(one) for one in found] == [ClusterError, ClusterError]
        with pytest.raises(ClusterError):
            await engines.predict(ids(1))
        again = await cluster.find(MANIFEST)
        assert again is not engines
        await asyncio.gather(again.predict(ids(1)), again.predict(ids(2)))

    run("here", ask)


@pytest.mark.parametrize(("address", "why"), [("fault", "nobody is there"), ("end", "its head does not answer")])
def test_a_cluster_that_cannot_be_used_is_left_alone_for_a_while(address: str, why: str) -> None:
    async def ask(cluster: Cluster) -> None:
        with pytest.raises(ClusterError, match=why) as first:
            await cluster.find(MANIFEST)
        with pytest.raises(ClusterError) as second:
            await cluster.find(MANIFEST)
        assert second.value is first.value

    run(address, ask)


def test_who_does_not_want_to_wait_any_longer_leaves_nothing_behind() -> None:
    async def ask(cluster: Cluster) -> None:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await cluster.find(MANIFEST)
        assert time.monotonic() - started < 10
        me = Path("/proc/self/task")
        children = [path.read_text() for path in me.glob("*/children")] if me.exists() else []
        assert not any("relay_here" in _command(pid) for one in children for pid in one.split())

    run("hang", ask)


def test_engines_that_nobody_asks_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(cluster: Cluster) -> None:
        engines = await cluster.find(MANIFEST)
        await cluster.tidy()
        assert await cluster.find(MANIFEST) is engines
        monkeypatch.setattr(engines_module, "_IDLE_S", -1.0)
        await cluster.tidy()
        assert await cluster.find(MANIFEST) is not engines

    run("here", ask)


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
