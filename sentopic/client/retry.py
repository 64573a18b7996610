"""When to ask again, and after how long. Pure: time and chance are handed in."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 10.0
"""Of our own waits; a service that names one is believed, as long as the deadline allows it."""

TRY_AGAIN: Final = frozenset({429, 502, 503, 504})
REFUSED_UNREAD: Final = frozenset({"overloaded", "rate_limited"})
"""The codes with which the service says that it has done nothing."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic` seconds for deadlines, `wall` seconds for dates, `chance` from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Patience:
    """A call may take `timeout_s` with all its retries, of which there are `retries` at most."""

    timeout_s: float
    retries: int
    clock: Clock = Clock()

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.retries < 0:
            raise ValueError("timeout: more than 0 s; retries: 0 or more")

    def wait_s(self, tries: int, retry_after_s: float | None) -> float:
        """Before the next try, after `tries`: as long as the service asks for, or longer from try to try.

        At least half of that is waited, the rest is left to chance, so that clients which failed together do not come
        back together.
        """
        if retry_after_s is not None:
            return retry_after_s
        return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(tries - 1, 20)) * (0.5 + 0.5 * self.clock.chance()))


def read_retry_after(headers: Mapping[str, str], wall: Callable[[], float]) -> float | None:
    """Seconds that `Retry-After` asks for (RFC 9110, 10.2.3), or None. A date counts from the answer's own `Date`."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = _read_date(value)
    if until is None:
        return None
    since = _read_date(headers.get("date", ""))
    return max(0.0, until - (wall() if since is None else since))


def _read_date(value: str) -> float | None:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
