"""How often somebody may ask. Imported only where it matters: what counts takes megabytes."""

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.storage.memory import Entry
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from app.errors import RateLimitedError, StartError, hide_password

STORAGE_S: Final = 0.5
"""Longest wait for the counts. Nobody's answer is worth less than that he has not asked too often."""

PASSING_S: Final = 5.0
"""How long nobody is counted after that, or each request would wait as long."""

_log = logging.getLogger("sentopic")


class Rates:
    """So many requests in so much time, for each key or address."""

    def __init__(self, limits: list[RateLimitItem], storage: Storage) -> None:
        self._limits, self._window = limits, MovingWindowRateLimiter(storage)
        self._quiet_until = self._passing_until = -math.inf

    async def count(self, who: str) -> None:
        """Raises RateLimitedError. Where the counts cannot be reached, everybody passes, and the log says so."""
        if time.monotonic() < self._passing_until:
            return
        with self._heeded():
            async with asyncio.timeout(STORAGE_S):
                for limit in self._limits:
                    if not await self._window.hit(limit, who):
                        reset, _ = await self._window.get_window_stats(limit, who)
                        raise RateLimitedError(max(1, int(reset - time.time()) + 1))

    async def look(self) -> None:
        """Whether the counts can be reached: if not, the log says so now, and not only when somebody asks."""
        with self._heeded():
            async with asyncio.timeout(STORAGE_S):
                await self._window.get_window_stats(self._limits[0], "")

    @contextmanager
    def _heeded(self) -> Iterator[None]:
        try:
            yield
        except (StorageError, TimeoutError) as error:
            now = time.monotonic()
            self._passing_until = now + PASSING_S
            if now > self._quiet_until:
                self._quiet_until = now + 60
                why = hide_password(str(error)) or f"in {STORAGE_S:g} s"
                _log.error("rates are not limited: their storage does not answer (%s)", why)


class _Memory(MemoryStorage):
    """The library's, but for its care of what is over: each request looked at everybody who had ever asked, and had a
    thread for each, whom those who upload files kept waiting.

    Who asked last stands last; each request looks at the first two.
    """

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = time.time()
        for other in list(islice(self.events, 2)):
            if self.events[other][0].expiry < now:
                del self.events[other]
        entries = self.events.get(key, [])
        if amount > limit or (len(entries) > limit - amount and entries[limit - amount].atime >= now - expiry):
            return False
        self.events.pop(key, None)
        entries[:0] = [Entry(expiry)] * amount  # in place: there may be a million of them
        del entries[limit:]
        self.events[key] = entries
        return True


def open_rates(rates: str, storage: str) -> Rates:
    """Raises StartError."""
    try:
        limits = parse_many(rates)
        if not all(limit.amount and limit.get_expiry() for limit in limits):
            raise ValueError("each must let something through, in some time")
        library = {"implementation": "redispy"} if storage.startswith("redis") else {}
        opened = storage_from_string(f"async+{storage}", wrap_exceptions=True, **library)
        if type(opened) is MemoryStorage:
            opened = _Memory()
    except (ValueError, ConfigurationError, ImportError) as error:
        where, why = (hide_password(text) for text in (storage, str(error)))
        raise StartError(f"rates {rates!r} in {where}: {why}") from None
    if not isinstance(opened, Storage):
        raise StartError(f"rates cannot be counted in {hide_password(storage)}")
    return Rates(limits, opened)
