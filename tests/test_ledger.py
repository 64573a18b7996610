"""What processes without common memory have counted is one sum, whoever comes and goes."""

import numpy as np

from app.ledger import MOST_ROWS, SILENT_S, Ledger

GAUGE = 1
"""Of two numbers, the first counts."""


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def tell(ledger: Ledger, who: str, counted: float, held: float = 0, layout: str = "a") -> list[float]:
    """What it hears."""
    heard = ledger.exchange(layout, who, np.array([counted, held], float).tobytes(), [GAUGE])
    return [float(number) for number in np.frombuffer(heard)]


def test_each_hears_the_sum_of_all_others() -> None:
    ledger = Ledger()
    assert tell(ledger, "one", 3) == [0, 0]
    assert tell(ledger, "two", 4, 1) == [3, 0]
    assert tell(ledger, "three", 5, 1) == [7, 1]
    assert tell(ledger, "one", 6) == [9, 2]


def test_what_is_told_again_is_not_added() -> None:
    ledger = Ledger()
    for counted in (1, 2, 3):
        tell(ledger, "one", counted)
    assert tell(ledger, "two", 0) == [3, 0]


def test_dead_one_stays_counted_but_holds_nothing() -> None:
    time = Time()
    ledger = Ledger(time)
    tell(ledger, "one", 3, 2)
    time.now = SILENT_S - 1
    assert tell(ledger, "two", 0) == [3, 2]
    time.now = SILENT_S + 1
    assert tell(ledger, "two", 0) == [3, 0]


def test_silent_one_that_comes_back_is_not_counted_twice() -> None:
    time = Time()
    ledger = Ledger(time)
    tell(ledger, "one", 3)
    time.now = 2 * SILENT_S
    tell(ledger, "two", 0)
    tell(ledger, "one", 5)
    assert tell(ledger, "two", 0) == [5, 0]


def test_any_number_of_them_is_remembered_in_bounded_memory() -> None:
    ledger = Ledger()
    for number in range(3 * MOST_ROWS):
        tell(ledger, str(number), 1, 1)
    counted, held = tell(ledger, "last", 0)
    assert counted == 3 * MOST_ROWS
    assert held < MOST_ROWS
    assert len(ledger._pages["a"].rows) == MOST_ROWS


def test_numbers_of_other_bundles_are_not_added_up() -> None:
    ledger = Ledger()
    tell(ledger, "one", 3, layout="a")
    assert tell(ledger, "two", 4, layout="b") == [0, 0]
