"""The batcher, with an engine that the test opens and closes."""

import asyncio
import threading
from itertools import chain, pairwise

import numpy as np
import pytest
import uvloop
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
    return np.array([[value, 1, 1] for value in values], np.int32)


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


def test_burst_may_fill_the_queue_but_a_load_that_is_too_much_cannot_keep_it_full() -> None:
    now = [0.0]

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        options = {"max_batch_windows": 2, "max_queue_windows": 1_000, "max_wait_s": 0.01}
        async with Batcher(engine, **options, clock=lambda: now[0]) as queue:  # type: ignore[arg-type]

            def ask(*, patient: bool = False) -> asyncio.Task[Predicted]:
                return asyncio.create_task(queue.predict(windows(1), 60, patient=patient))

            busy = ask()
            await until(lambda: engine.batches)
            burst = [ask() for _ in range(100)]  # 2,000 windows/s are assumed, so that 20 are worth 0.01 s
            await until(lambda: queue.waiting_windows == 100)
            now[0] = 0.02
            with pytest.raises(OverloadedError):
                await ask()
            part_of_a_batch = ask(patient=True)
            await until(lambda: queue.waiting_windows == 101)
            engine.gate.set()
            await asyncio.gather(busy, part_of_a_batch, *burst)
            assert len(await ask()) == 3

    asyncio.run(scene())


def test_while_too_much_keeps_arriving_little_more_than_half_a_batch_waits_and_then_bursts_may_come_again() -> None:
    now = [0.0]

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        options = {"max_batch_windows": 4, "max_queue_windows": 1_000, "max_wait_s": 0.01}
        async with Batcher(engine, **options, clock=lambda: now[0]) as queue:  # type: ignore[arg-type]
            waiting: list[asyncio.Task[Predicted]] = []

            async def fill(number: int) -> None:
                expected = queue.waiting_windows + number
                waiting.extend(asyncio.create_task(queue.predict(windows(1), 60)) for _ in range(number))
                await until(lambda: queue.waiting_windows == expected)

            waiting.append(asyncio.create_task(queue.predict(windows(0), 60)))
            await until(lambda: engine.batches)
            await fill(30)
            for moment in (0.1, 0.3):
                now[0] = moment
                with pytest.raises(OverloadedError):
                    await queue.predict(windows(1), 60)
            engine.gate.set()
            await asyncio.gather(*waiting)
            engine.gate.clear()
            now[0] = 0.5
            waiting[:] = [asyncio.create_task(queue.predict(windows(0), 60))]
            await until(lambda: len(engine.batches[-1]) == 1)
            await fill(3)
            with pytest.raises(OverloadedError):
                queue.refuse_if_crowded()
            now[0] = 2.0
            queue.refuse_if_crowded()
            engine.gate.set()
            await asyncio.gather(*waiting)

    asyncio.run(scene())


def test_those_who_are_patient_crowd_nobody_out() -> None:
    now = [0.0]

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        options = {"max_batch_windows": 4, "max_queue_windows": 10_000, "max_wait_s": 0.01}
        async with Batcher(engine, **options, clock=lambda: now[0]) as queue:  # type: ignore[arg-type]
            large = [asyncio.create_task(queue.predict(windows(*[1] * 200), 60, patient=True)) for _ in range(3)]
            await until(lambda: engine.batches)
            now[0] = 5.0
            small = asyncio.create_task(queue.predict(windows(2), 60))
            await until(lambda: queue.waiting_windows == 3 * 200 - 4 + 1)
            engine.gate.set()
            await asyncio.gather(small, *large)

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


def test_a_large_request_has_half_of_each_batch_while_others_wait_and_they_take_turns() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, batch=8, queue=200) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            large = [asyncio.create_task(queue.predict(windows(*range(n, n + 14)), 5)) for n in (100, 200)]
            small = [asyncio.create_task(queue.predict(windows(value), 5)) for value in range(1, 7)]
            await until(lambda: queue.waiting_windows == 34)
            engine.gate.set()
            for first, task in zip((100, 200), large, strict=True):
                assert (await task).probabilities[:, 0].tolist() == list(range(first, first + 14))
            await asyncio.gather(busy, *small)
        assert engine.batches[1:] == [
            [100, 101, 102, 103, 200, 201, 1, 2],
            [104, 105, 106, 107, 3, 4, 5, 6],
            [108, 109, 110, 111, 202, 203, 204, 205],
            [112, 113, 206, 207, 208, 209, 210, 211],
            [212, 213],
        ]

    asyncio.run(scene())


def test_request_that_a_batch_has_no_room_for_to_its_end_is_the_first_in_the_next() -> None:
    """Or it would wait once more for all who came behind it."""

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, batch=8, queue=200) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            asked = [(value,) for value in range(1, 8)] + [(10, 11)] + [(value,) for value in range(20, 36)]
            tasks = [asyncio.create_task(queue.predict(windows(*values), 5)) for values in asked]
            await until(lambda: queue.waiting_windows == 25)
            engine.gate.set()
            await asyncio.gather(busy, *tasks)
        assert engine.batches[1:] == [[*range(1, 8), 10], [11, *range(20, 27)], [*range(27, 35)], [35]]

    asyncio.run(scene())


@pytest.mark.parametrize("others", [1, 20, 300])
def test_a_large_request_waits_no_longer_the_more_small_ones_there_are(others: int) -> None:
    """Half of each batch is its own from when its turn has come once: by then each of those before it has had one."""

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, batch=8, queue=2_000) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            large = asyncio.create_task(queue.predict(windows(*range(1_000, 1_080)), 5))
            done = asyncio.Event()

            async def ask_again_and_again() -> None:
                while not done.is_set():
                    await queue.predict(windows(1), 5)

            small = [asyncio.create_task(ask_again_and_again()) for _ in range(others)]
            await until(lambda: queue.waiting_windows == 80 + others)
            engine.gate.set()
            await large
            taken = [place for place, batch in enumerate(engine.batches) if any(value >= 1_000 for value in batch)]
            assert taken[-1] - taken[0] < 20
            done.set()
            await asyncio.gather(busy, *small)

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


def test_quick_answers_to_short_windows_say_nothing_of_long_ones() -> None:
    """What is done at once is judged by its steps, and never larger than a batch."""

    async def scene() -> None:
        clock, threads = Clock(), []

        class ByStep(GatedEngine):
            def predict(self, ids: Ids) -> Probabilities:
                threads.append(threading.current_thread().name)
                clock.now += 1e-5 * np.count_nonzero(ids)
                return super().predict(ids)

        short, long = np.zeros((1, 200), np.int32), np.ones((1, 200), np.int32)
        short[0, -3:] = 1
        async with Batcher(ByStep(), max_batch_windows=4, max_queue_windows=500, clock=clock) as queue:
            for _ in range(30):
                await queue.predict(short, 5)
                await asyncio.sleep(0)
            assert set(threads[-20:]) == {"MainThread"}
            await queue.predict(long, 5)
            assert threads[-1] == "engine"
            await asyncio.sleep(0)
            await queue.predict(np.repeat(short, 5, axis=0), 5)
            assert threads[-2:] == ["engine", "engine"]

    asyncio.run(scene())


def test_time_in_the_queue_and_in_the_engine_add_up_to_what_was_waited() -> None:
    async def scene() -> None:
        clock = Clock()

        class Timed(GatedEngine):
            def predict(self, ids: Ids) -> Probabilities:
                answer = super().predict(ids)
                clock.now += 0.5
                return answer

        engine = Timed(is_open=False)
        async with Batcher(engine, max_batch_windows=4, max_queue_windows=100, clock=clock) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 60))
            await until(lambda: engine.batches)
            large = asyncio.create_task(queue.predict(windows(*range(1, 7)), 60))
            await until(lambda: queue.waiting_windows == 6)
            clock.now += 2
            engine.gate.set()
            found = await large
            await busy
        assert (found.queue_s, found.engine_s) == (2.5, 1.0)  # 2 and one batch of another, then two of its own

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
        assert queue.waiting_windows == 0
        assert engine.batches == [[0]]

    asyncio.run(scene())


@st.composite
def days(draw: st.DrawFn) -> list[tuple[int, float, bool, bool]]:
    """Requests as they come: windows, turns of the loop before it, whether it leaves, whether its batch fails."""
    request = st.tuples(st.integers(1, 12), st.sampled_from([0, 0, 0, 1, 3]), st.booleans(), st.just(False))
    found = draw(st.lists(request, min_size=1, max_size=30))
    failing = draw(st.sets(st.integers(0, len(found) - 1), max_size=2))
    return [
        (n, turns, leaves and draw(st.booleans()), place in failing)
        for place, (n, turns, leaves, _) in enumerate(found)
    ]


@settings(max_examples=150, deadline=None)
@given(day=days(), batch=st.integers(1, 8), room=st.sampled_from([10, 1_000]))
def test_no_answer_is_ever_lost_doubled_or_swapped(
    day: list[tuple[int, float, bool, bool]], batch: int, room: int
) -> None:
    """Whatever comes while the engine works: more, leavers, refused ones, and batches that fail."""
    bad = 10_000

    class Fallible(GatedEngine):
        def predict(self, ids: Ids) -> Probabilities:
            if (ids[:, 0] >= bad).any():
                raise ValueError("a bad batch")
            return super().predict(ids)

    async def scene() -> None:
        engine = Fallible()
        values = iter(range(1, bad))
        tasks, asked = [], []
        async with batcher(engine, batch=batch, queue=room) as queue:
            for size, turns, leaves, fails in day:
                ids = windows(*(next(values) + bad * fails for _ in range(size)))
                tasks.append(asyncio.create_task(queue.predict(ids, 5)))
                asked.append(ids)
                for _ in range(int(turns)):
                    await asyncio.sleep(0)
                if leaves:
                    tasks[-1].cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert queue.waiting_windows == 0
            again = await queue.predict(windows(9_999), 5)
            assert again.probabilities[0, 0] == 9_999
        for request, ids, answer in zip(day, asked, answers, strict=True):
            check(answer, ids, request, may_fail=any(failing for *_, failing in day), may_refuse=room == 10)
        seen = list(chain.from_iterable(engine.batches))
        assert len(seen) == len(set(seen))

    asyncio.run(scene())


def check(
    answer: object, ids: Ids, request: tuple[int, float, bool, bool], *, may_fail: bool, may_refuse: bool
) -> None:
    _, _, leaves, fails = request
    if isinstance(answer, Predicted):
        assert not fails
        assert answer.probabilities[:, 0].tolist() == ids[:, 0].tolist()
        assert answer.queue_s >= -1e-3
    elif isinstance(answer, asyncio.CancelledError):
        assert leaves
    elif isinstance(answer, OverloadedError):
        assert may_refuse
    else:
        assert isinstance(answer, ValueError)
        assert may_fail


def test_background_is_done_in_small_batches_and_only_while_nobody_else_waits() -> None:
    now = [0.0]

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        options = {"max_batch_windows": 16, "max_queue_windows": 10}
        async with Batcher(engine, **options, clock=lambda: now[0]) as queue:  # type: ignore[arg-type]
            behind = asyncio.create_task(queue.predict(windows(*range(100, 110)), 60, background=True))
            await until(lambda: engine.batches)
            others = [asyncio.create_task(queue.predict(windows(value), 60)) for value in range(8)]
            await until(lambda: queue.waiting_windows == 8)  # the background takes no room
            engine.gate.set()
            await asyncio.gather(*others)
            assert (await behind).probabilities[:, 0].tolist() == list(range(100, 110))
        assert engine.batches == [[100, 101, 102, 103], [*range(8)], [104, 105, 106, 107], [108, 109]]

    asyncio.run(scene())


def test_background_comes_to_its_end_under_a_load_that_never_ends() -> None:
    now = [0.0]

    class Ticking(GatedEngine):
        """Each run takes 8 ms."""

        def predict(self, ids: Ids) -> Probabilities:
            now[0] += 0.008
            return super().predict(ids)

    async def scene() -> None:
        engine = Ticking(is_open=False)
        options = {"max_batch_windows": 4, "max_queue_windows": 100}
        async with Batcher(engine, **options, clock=lambda: now[0]) as queue:  # type: ignore[arg-type]
            load = [asyncio.create_task(queue.predict(windows(1, 1), 600)) for _ in range(40)]
            behind = asyncio.create_task(queue.predict(windows(*range(5, 11)), 600, background=True))
            await until(lambda: engine.batches and queue.waiting_windows == 76)
            engine.gate.set()
            await asyncio.gather(behind, *load)
            places = [place for place, batch in enumerate(engine.batches) if batch[0] > 1]
            assert [value for place in places for value in engine.batches[place]] == [*range(5, 11)]
            assert {later - sooner for sooner, later in pairwise(places)} == {3}  # 24 ms

    asyncio.run(scene())


def test_background_that_nobody_waits_for_is_left_alone() -> None:
    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine) as queue:
            gone = asyncio.create_task(queue.predict(windows(*range(50)), 60, background=True))
            late = asyncio.create_task(queue.predict(windows(90), 0.01, background=True))
            stays = asyncio.create_task(queue.predict(windows(91, 92), 60, background=True))
            await until(lambda: engine.batches)
            gone.cancel()
            with pytest.raises(DeadlineError):
                await late
            engine.gate.set()
            assert (await stays).probabilities[:, 0].tolist() == [91, 92]
            assert engine.batches[0] == [0, 1]
            assert [value for batch in engine.batches[1:] for value in batch] == [91, 92]

    asyncio.run(scene())


def test_failure_in_the_background_is_told_to_its_asker_alone() -> None:
    class Failing(GatedEngine):
        def predict(self, ids: Ids) -> Probabilities:
            if 13 in ids:
                raise ValueError("13")
            return super().predict(ids)

    async def scene() -> None:
        async with batcher(Failing()) as queue:
            with pytest.raises(ValueError, match="13"):
                await queue.predict(windows(*range(10, 20)), 60, background=True)
            assert len((await queue.predict(windows(1), 60, background=True)).probabilities) == 1

    asyncio.run(scene())


def test_asker_without_time_leaves_nothing_behind_and_harms_nobody() -> None:
    """uvloop has no timers for no time, and once gave a handle that does not know when it is due."""

    async def scene() -> None:
        engine = GatedEngine(is_open=False)
        async with batcher(engine, queue=100) as queue:
            busy = asyncio.create_task(queue.predict(windows(0), 5))
            await until(lambda: engine.batches)
            late = [asyncio.create_task(queue.predict(windows(1), 0.0)) for _ in range(3)]
            fine = asyncio.create_task(queue.predict(windows(2), 5))
            for found in await asyncio.gather(*late, return_exceptions=True):
                assert isinstance(found, DeadlineError)
            engine.gate.set()
            assert (await fine).probabilities[0, 0] == 2
            await busy
            assert not queue._open

    uvloop.run(scene())
