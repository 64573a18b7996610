"""When a load is too much, and when it is over: with moments, waiting windows and a speed that the test chooses."""

import pytest

from app.overload import Overload

BATCH, WAIT_S, SPEED = 16, 0.1, 1_000.0
LIMIT = 100
"""Windows that the engine does in the time allowed."""
SLOW = 2.0
"""At this speed, whoever asks is too much."""


@pytest.fixture
def load() -> Overload:
    """Idle at 0 s."""
    made = Overload(BATCH, WAIT_S)
    assert not made.refuses(0.0, 0, SPEED)
    return made


def overload(load: Overload) -> None:
    """Too much from 0 s on, until 0.5 s."""
    for moment in (0.2, 0.3, 0.4, 0.5):
        assert load.refuses(moment, LIMIT + 1, SPEED)


def test_burst_may_wait_whatever_its_size(load: Overload) -> None:
    assert not load.refuses(WAIT_S, 10_000, SPEED)


def test_more_than_the_engine_does_for_longer_than_one_may_wait_is_too_much(load: Overload) -> None:
    assert not load.refuses(0.2, LIMIT, SPEED)
    assert load.refuses(0.2, LIMIT + 1, SPEED)


def test_one_batch_may_always_wait_however_slow_the_engine_is(load: Overload) -> None:
    assert not load.refuses(0.2, BATCH, 1.0)
    assert load.refuses(0.2, BATCH + 1, 1.0)


def test_queue_that_was_empty_in_between_is_a_new_burst(load: Overload) -> None:
    assert not load.refuses(0.19, 0, SPEED)
    assert not load.refuses(0.2, 10_000, SPEED)


def test_while_too_much_arrives_hardly_more_than_half_a_batch_may_wait(load: Overload) -> None:
    overload(load)
    assert load.refuses(0.6, BATCH // 2 + 1, SPEED)
    assert not load.refuses(0.6, BATCH // 2, SPEED)


def test_little_is_refused_only_once_the_load_has_lasted(load: Overload) -> None:
    assert load.refuses(0.2, LIMIT + 1, SPEED)
    assert not load.refuses(0.44, BATCH, SPEED)
    assert load.refuses(0.46, BATCH, SPEED)


@pytest.mark.parametrize(("later", "refuses"), [(1.4, True), (1.6, False)])
def test_it_is_over_a_second_after_the_last_refusal(load: Overload, later: float, refuses: bool) -> None:
    overload(load)
    assert load.refuses(later, BATCH, SLOW) is refuses


@pytest.mark.parametrize(
    ("refused", "windows_per_s", "is_over"),
    [(2, 10.0, True), (9, 10.0, False), (9, 1_000.0, True)],
    ids=["few of many", "more than the engine does", "less than the engine does"],
)
def test_it_is_over_when_few_are_refused_or_all_could_be_answered(
    load: Overload, refused: int, windows_per_s: float, is_over: bool
) -> None:
    """While little may wait some are refused in each pause of the machine, and most of those who come all at once."""
    overload(load)
    load.refuses(1.3, 0, SLOW)  # a second after they were counted first: they are counted anew
    for _ in range(64):
        load.admit(1)
    for _ in range(refused):
        assert load.refuses(1.4, BATCH, SLOW)
    # More than a second after they were counted anew, and less after the last was refused.
    assert load.refuses(2.35, BATCH, windows_per_s) is not is_over


def test_what_is_asked_is_counted_in_windows(load: Overload) -> None:
    """As many who ask for ten windows each are more than the engine does."""
    overload(load)
    load.refuses(1.3, 0, SLOW)
    for _ in range(64):
        load.admit(10)
    for _ in range(9):
        assert load.refuses(1.4, BATCH, SLOW)
    assert load.refuses(2.35, BATCH, 100.0)
