"""Room for what may take as long as it likes: streams, files on their way, results that are read.

When all places are taken, whoever has moved least gives way, if it is next to nothing: a few clients that send a byte
now and then could keep everybody else out for ever. One client has half of them at most, however much it moves, and
none once its key is revoked.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from app.errors import OverloadedError, SentopicError, UnauthorizedError

SLOW_BYTES_PER_S: Final = 8_000.0
"""Slower than any line that a file is sent by: a file of 10 MB would take twenty minutes."""

_SHARE: Final = 2
"""One client has one place of so many, at least one."""

_MEMORY_S: Final = 60.0
"""What moved before counts less and less."""


class Places:
    """`patience_s`: how long anybody has one at least."""

    def __init__(self, count: int, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._patience_s, self._clock = count, patience_s, clock
        self._taken: dict[Place, None] = {}

    @property
    def left(self) -> int:
        return self._count - len(self._taken)

    @contextmanager
    def take(self, client: str) -> Iterator["Place"]:
        """One for the task that asks. Raises OverloadedError if there is none, or when it has to give way.

        Raises UnauthorizedError when the client is turned out.
        """
        own = [place for place in self._taken if place.client == client]
        if len(own) >= max(1, self._count // _SHARE):
            self._make_room(own)
        elif not self.left:
            self._make_room(self._taken)
        place = Place(client, self._clock)
        self._taken[place] = None
        try:
            yield place
        except asyncio.CancelledError:
            if not place.is_lost:
                raise
            raise place.forgive() from None
        finally:
            self._taken.pop(place, None)

    def keep(self, clients: Iterable[str]) -> None:
        """Turns out all others, whatever moves there."""
        kept = set(clients)
        for place in [place for place in self._taken if place.client not in kept]:
            del self._taken[place]
            place.lose(UnauthorizedError())

    def _make_room(self, among: Iterable["Place"]) -> None:
        slow = [(rate, place) for place in among if (rate := place.rate(self._patience_s)) < SLOW_BYTES_PER_S]
        if not slow:
            raise OverloadedError(retry_after_s=1)
        _, slowest = min(slow, key=lambda one: one[0])
        del self._taken[slowest]
        slowest.lose()


class Place:
    """One of them, and how much has moved there."""

    def __init__(self, client: str, clock: Callable[[], float]) -> None:
        self.client, self._clock = client, clock
        self._task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # in a coroutine
        self._begun = self._since = clock()
        self._moved = 0.0
        self.is_lost = False
        self._why: SentopicError = OverloadedError(retry_after_s=1)

    def note(self, size: int) -> None:
        """So many bytes have moved, in either direction."""
        now = self._clock()
        if now - self._since > _MEMORY_S:
            self._moved, self._since = self._moved / 2, (now + self._since) / 2
        self._moved += size

    def rate(self, patience_s: float) -> float:
        """Bytes a second; no number is too large for whoever has only begun."""
        now = self._clock()
        return self._moved / (now - self._since) if now - self._begun > patience_s else math.inf

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Meanwhile nothing can move, which is no fault of the client."""
        self._begun = math.inf
        try:
            yield
        finally:
            self._begun = self._since = self._clock()
            self._moved = 0.0

    def lose(self, why: SentopicError | None = None) -> None:
        """To somebody else, or `why` else."""
        self.is_lost, self._why = True, why or self._why
        self._task.cancel()

    def forgive(self) -> SentopicError:
        """The task goes on: it has something to say yet, which is why the place is lost."""
        self._task.uncancel()
        return self._why
