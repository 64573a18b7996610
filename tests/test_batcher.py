"""The batcher, with an engine that the test opens and closes."""

import asyncio
import threading
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.batcher import Batcher, Predicted
from app.engines.base import Precision, Probabilities
from app.errors import DeadlineError, OverloadedError
from app.text import Ids


class GatedEngine:
    """Answers each window with its own first id; while the gate is closed it is busy."""

    name = "gated"
    precision: Precision = "float32"

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate = threading.Event()
        self.batches: list[list[int]] = []
        if is_open:
            self.gate.set()

    def predict(self, ids: Ids) -> Probabilities:
        self.batches.append(ids[:, 0].tolist())
        assert self.gate.wait(10)
        return ids[:, :1].astype(np.float32)


def windows(*values: int) -> Ids:
    return np.array([[value, 0, 0] for value in values], np.int32)


def batcher(engine: GatedEngine, batch: int = 4, queue: int = 10) -> Batcher:
    return Batcher(engine, max_batch_windows=batch, max_queue_windows=queue)


async def until(condition: object) -> None:
    """Waits until `condition()` is true; fails after five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


def test_each_asker_gets_its_own_answer_in_its_own_order() -> None:
    async def scene() -> None:
        async with batcher(GatedEngine()) as queue:
            asked = [windows(*range(start, start + 3)) for start in (10, 20)]
            for ids, answer in zip(asked, await asyncio.gather(*(queue.predict(ids, 5) for ids in asked)), strict=True):
                assert answer.probabilities[:, 0].tolist() == ids[:, 0].tolist()

    asyncio.run(scene())


def test_a_free_engine_takes_what_waits_oldest_first_up_to_a_batch() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, batch=3) as queue:
            first = asyncio.create_task(queue.predict(windows(1), 5))
            await until(lambda: engine.batches == [[1]])
            rest = [asyncio.create_task(queue.predict(windows(value), 5)) for value in (2, 3, 4, 5)]
            await until(lambda: queue.waiting_windows == 4)
            engine.gate.set()
            await asyncio.gather(first, *rest)
        assert engine.batches == [[1], [2, 3, 4], [5]]

    asyncio.run(scene())


def test_a_text_larger_than_a_batch_is_split_and_put_together_again() -> None:
    async def scene() -> None:
        engine = GatedEngine()
        async with batcher(engine, batch=4) as queue:
            answer = (await queue.predict(windows(*range(10)), 5)).probabilities
        assert answer[:, 0].tolist() == list(range(10))
        assert [len(batch) for batch in engine.batches] == [4, 4, 2]

    asyncio.run(scene())


def test_text_larger_than_the_queue_is_answered_when_nothing_waits() -> None:
    async def scene() -> None:
        async with batcher(GatedEngine(), batch=4, queue=10) as queue:
            answer = (await queue.predict(windows(*range(25)), 5)).probabilities
        assert answer[:, 0].tolist() == list(range(25))

    asyncio.run(scene())


def test_full_queue_is_refused_exactly_and_says_when_to_come_back() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, batch=4, queue=10) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            waiting = [asyncio.create_task(queue.predict(windows(value), 5)) for value in range(1, 11)]
            await until(lambda: queue.waiting_windows == 10)
            for _ in range(10):
                with pytest.raises(OverloadedError) as refused:
                    await queue.predict(windows(99), 5)
                assert refused.value.retry_after_s >= 1
            engine.gate.set()
            answers = await asyncio.gather(busy, *waiting)
        assert [answer.probabilities[0, 0] for answer in answers] == list(range(11))
        assert 99 not in list(chain.from_iterable(engine.batches))

    asyncio.run(scene())


def test_asker_who_left_never_reaches_the_engine_and_gives_back_its_place() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, queue=1_000) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            leaving = [asyncio.create_task(queue.predict(windows(7), 5)) for _ in range(1_000)]
            await until(lambda: queue.waiting_windows == 1_000)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            assert queue.waiting_windows == 0
            engine.gate.set()
            await busy
            await queue.predict(windows(1), 5)
        assert engine.batches == [[0], [1]]

    asyncio.run(scene())


def test_asker_whose_time_ran_out_is_told_and_never_reaches_the_engine() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            with pytest.raises(DeadlineError):
                await queue.predict(windows(7), 0.02)
            assert queue.waiting_windows == 0
            engine.gate.set()
            await busy
        assert engine.batches == [[0]]

    asyncio.run(scene())


def test_a_failing_engine_fails_its_batch_and_goes_on_with_the_next() -> None:
    class Failing(GatedEngine):
        def predict(self, ids: Ids) -> Probabilities:
            if ids[0, 0] == 13:
                raise ValueError("bad luck")
            return super().predict(ids)

    async def scene() -> None:
        async with batcher(Failing()) as queue:
            with pytest.raises(ValueError, match="bad luck"):
                await queue.predict(windows(13), 5)
            assert (await queue.predict(windows(1), 5)).probabilities[0, 0] == 1

    asyncio.run(scene())


class Clock:
    """Shows what the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_who_is_late_by_the_clock_is_passed_over_even_before_being_told() -> None:
    async def scene() -> None:
        engine, clock = GatedEngine(is_open=False), Clock()
        async with Batcher(engine, max_batch_windows=4, max_queue_windows=10, clock=clock) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 60))
            await until(lambda: engine.batches)
            late = asyncio.create_task(queue.predict(windows(1), 5))
            early = asyncio.create_task(queue.predict(windows(2), 50))
            await until(lambda: queue.waiting_windows == 2)
            clock.now += 5
            engine.gate.set()
            found = await early
            assert (found.queue_s, found.engine_s) == (5, 0)
            assert (await busy).queue_s == 0
            assert engine.batches == [[0], [2]]
            assert queue.waiting_windows == 0
            late.cancel()

    asyncio.run(scene())


def test_large_requests_take_turns_with_small_ones() -> None:
    """Whoever comes after a large request waits for a turn of it, not for all of it; and it is not starved either."""

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, batch=8, queue=200) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            large = asyncio.create_task(queue.predict(windows(*range(100, 120)), 5))
            small = [asyncio.create_task(queue.predict(windows(value), 5)) for value in range(1, 7)]
            await until(lambda: queue.waiting_windows == 26)
            engine.gate.set()
            found = await large
            assert found.probabilities[:, 0].tolist() == list(range(100, 120))
            await asyncio.gather(busy, *small)
        assert engine.batches[1:] == [
            [100, 101, 1, 2, 3, 4, 5, 6],
            [102, 103, 104, 105, 106, 107, 108, 109],
            [110, 111, 112, 113, 114, 115, 116, 117],
            [118, 119],
        ]

    asyncio.run(scene())


def test_little_work_for_an_idle_engine_is_done_at_once_but_only_one_in_a_turn_of_the_loop() -> None:
    class Noting(GatedEngine):
        def predict(self, ids: Ids) -> Probabilities:
            threads.append(threading.current_thread().name)
            return super().predict(ids)

    threads: list[str] = []

    async def scene() -> None:
        engine = Noting()
        async with batcher(engine) as queue:
            await queue.predict(windows(0), 5)  # nobody knows yet how fast the engine is
            await queue.predict(windows(1), 5)
            assert threads == ["engine", "MainThread"]
            await asyncio.sleep(0)
            await asyncio.gather(*(queue.predict(windows(value), 5) for value in (2, 3, 4)))
        assert threads[2:] == ["MainThread", "engine"]
        assert engine.batches == [[0], [1], [2], [3, 4]]

    asyncio.run(scene())


def test_slow_engine_never_holds_up_the_event_loop() -> None:
    async def scene() -> None:
        clock = Clock()

        class Slow(GatedEngine):
            def predict(self, ids: Ids) -> Probabilities:
                assert threading.current_thread().name == "engine"
                clock.now += 0.01
                return super().predict(ids)

        async with Batcher(Slow(), max_batch_windows=4, max_queue_windows=10, clock=clock) as queue:
            for value in range(20):
                await queue.predict(windows(value), 5)

    asyncio.run(scene())


def test_those_who_wait_when_the_service_stops_are_told() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            waiting = asyncio.create_task(queue.predict(windows(1), 5))
            await until(lambda: queue.waiting_windows == 1)
            asyncio.get_running_loop().call_later(0.05, engine.gate.set)
        assert (await busy).probabilities[0, 0] == 0
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert engine.batches == [[0]]

    asyncio.run(scene())


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=25),
    leaving=st.sets(st.integers(0, 24)),
    batch=st.integers(1, 8),
)
def test_no_answer_is_ever_lost_doubled_or_swapped(sizes: list[int], leaving: set[int], batch: int) -> None:
    async def scene() -> None:
        engine = GatedEngine()
        values = iter(range(1_000))
        asked = [windows(*(next(values) for _ in range(size))) for size in sizes]
        async with batcher(engine, batch=batch, queue=1_000) as queue:
            tasks = [asyncio.create_task(queue.predict(ids, 5)) for ids in asked]
            await asyncio.sleep(0)
            for place in leaving & set(range(len(tasks))):
                tasks[place].cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert queue.waiting_windows == 0
        for place, (ids, answer) in enumerate(zip(asked, answers, strict=True)):
            if place in leaving:
                assert isinstance(answer, asyncio.CancelledError)
            else:
                assert isinstance(answer, Predicted)
                assert answer.probabilities[:, 0].tolist() == ids[:, 0].tolist()
        seen = list(chain.from_iterable(engine.batches))
        assert len(seen) == len(set(seen))

    asyncio.run(scene())
