"""Rates in memory: exactly as many pass as may, and whoever asked once costs nobody anything later."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RateLimitedError
from app.rates import Rates, open_rates

EPOCH = 1.8e9


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = EPOCH
        monkeypatch.setattr(time, "time", lambda: self.now)


async def passes(rates: Rates, who: str) -> bool:
    try:
        await rates.count(who)
    except RateLimitedError:
        return False
    return True


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 28))), st.integers(1, 4))
def test_no_window_has_more_than_may_pass_and_nobody_else_is_refused(asked: list[tuple[str, int]], most: int) -> None:
    async def scene() -> None:
        rates = open_rates(f"{most}/10 second", "memory://")
        passed: dict[str, list[float]] = {"a": [], "b": []}
        for who, quarters in asked:
            clock.now += quarters / 4
            fits = sum(at >= clock.now - 10 for at in passed[who]) < most
            assert await passes(rates, who) == fits
            if fits:
                passed[who].append(clock.now)

    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        asyncio.run(scene())


def test_whoever_asked_once_is_forgotten_and_costs_later_requests_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own storage looks at all of them at each request, with a thread for each."""

    async def scene() -> None:
        clock, rates = Clock(monkeypatch), open_rates("5/minute;100/hour", "memory://")
        storage = rates._window.storage
        for number in range(1_000):
            assert await passes(rates, f"address {number}")
        assert len(storage.events) == 2_000
        threads = asyncio.get_running_loop().run_in_executor
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", None)
        looked = sum([await passes(rates, "another") for _ in range(9)])
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", threads)
        assert looked == 5
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing goes on for it behind the request"
        clock.now += 4_000
        for number in range(1_010):
            clock.now += 40
            assert await passes(rates, "another"), number
        assert len(storage.events) == 2

        kept = {key: id(entries) for key, entries in storage.events.items()}
        assert await passes(rates, "another")
        assert {key: id(entries) for key, entries in storage.events.items()} == kept, "a million would be copied"

    asyncio.run(scene())
