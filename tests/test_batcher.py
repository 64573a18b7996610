"""The batcher, with an engine that the test opens and closes."""

import asyncio
import threading
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.batcher import Batcher
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
                assert answer[:, 0].tolist() == ids[:, 0].tolist()

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
            answer = await queue.predict(windows(*range(10)), 5)
        assert answer[:, 0].tolist() == list(range(10))
        assert [len(batch) for batch in engine.batches] == [4, 4, 2]

    asyncio.run(scene())


def test_text_larger_than_the_queue_is_answered_when_nothing_waits() -> None:
    async def scene() -> None:
        async with batcher(GatedEngine(), batch=4, queue=10) as queue:
            answer = await queue.predict(windows(*range(25)), 5)
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
        assert [answer[0, 0] for answer in answers] == list(range(11))
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
            assert (await queue.predict(windows(1), 5))[0, 0] == 1

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
                assert isinstance(answer, np.ndarray)
                assert answer[:, 0].tolist() == ids[:, 0].tolist()
        seen = list(chain.from_iterable(engine.batches))
        assert len(seen) == len(set(seen))

    asyncio.run(scene())
