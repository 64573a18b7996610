"""The queue on paper keeps the service's rules, so that what is reckoned with it holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.arrivals import draw
from benchmarks.simulation import Times, simulate

TIMES = Times(read_s=0.0001, answer_s=0.00005, wake_s=0.00003, batches=[(1, 0.0002), (4, 0.0004), (16, 0.0016)])
ALONE_S = 0.00038
SECONDS = st.floats(0.00001, 0.01)


@given(
    st.lists(st.floats(0, 0.05), min_size=1, max_size=60).map(sorted),
    st.builds(lambda *loop: Times(*loop, batches=[(1, 0.001), (8, 0.004)]), SECONDS, SECONDS, SECONDS),
    st.sampled_from([1, 2]),
)
def test_everybody_is_answered_once_and_nobody_before_the_work_is_done(
    moments: list[float], times: Times, cores: int
) -> None:
    found = simulate(moments, times, cores)
    assert sum(found.batches) == len(moments)
    assert max(found.batches) <= times.max_batch
    assert np.all(found.waits_s >= times.read_s + times.answer_s + 0.001 - 1e-9)
    work = len(moments) * (times.read_s + times.answer_s) + sum(map(times.engine_s, found.batches))
    assert max(moments + found.waits_s) >= work / cores - 1e-9


@pytest.mark.parametrize("cores", [1, 2])
def test_who_comes_alone_waits_for_his_own_work_only(cores: int) -> None:
    found = simulate([0.0, 1.0, 2.0], TIMES, cores)
    assert found.waits_s == pytest.approx([ALONE_S] * 3)
    assert found.batches == [1, 1, 1]


def test_those_who_come_together_are_answered_together_but_for_the_first() -> None:
    found = simulate([0.0] * 5, TIMES, 2)
    assert found.batches == [1, 4]
    assert found.waits_s[0] == pytest.approx(ALONE_S)
    assert found.waits_s[4] == pytest.approx(ALONE_S + 4 * 0.0001 + 0.0004 + 4 * 0.00005 + 0.00003)


def test_loop_and_engine_have_half_of_the_one_core_each_while_both_work() -> None:
    alone = simulate([0.0] * 5, TIMES, 1)
    crowded = simulate([0.0] * 5 + [0.0009], TIMES, 1)
    assert alone.waits_s[4] == pytest.approx(simulate([0.0] * 5, TIMES, 2).waits_s[4])
    assert crowded.waits_s[4] > alone.waits_s[4] + 0.0001


@pytest.mark.parametrize("cores", [1, 2])
def test_twice_too_much_is_answered_as_fast_as_can_be(cores: int) -> None:
    capacity = TIMES.capacity_per_s(cores)
    moments = draw(2 * capacity, 2, seed=1)
    found = simulate(moments, TIMES, cores)
    assert len(moments) / max(moments + found.waits_s) == pytest.approx(capacity, rel=0.05)
    assert np.mean(found.batches) > (1.2 if cores == 2 else 10)


def test_moments_are_those_of_a_poisson_process() -> None:
    moments = draw(1_000, 50, seed=1)
    assert len(moments) == pytest.approx(50_000, rel=0.02)
    assert moments[-1] < 50
    counts = np.histogram(moments, bins=5_000)[0]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.1)
