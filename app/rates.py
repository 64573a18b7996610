"""How often somebody may ask. Imported only where it matters: what counts takes megabytes."""

import logging
import time

from limits import RateLimitItem, parse_many
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from app.errors import RateLimitedError, StartError

_log = logging.getLogger("sentopic")


class Rates:
    """So many requests in so much time, for each key or address."""

    def __init__(self, limits: list[RateLimitItem], storage: Storage) -> None:
        self._limits, self._window = limits, MovingWindowRateLimiter(storage)
        self._quiet_until = 0.0

    async def count(self, who: str) -> None:
        """Raises RateLimitedError. Where the counts cannot be reached, everybody passes, and the log says so."""
        try:
            for limit in self._limits:
                if not await self._window.hit(limit, who):
                    reset, _ = await self._window.get_window_stats(limit, who)
                    raise RateLimitedError(max(1, int(reset - time.time()) + 1))
        except StorageError as error:
            if time.monotonic() > self._quiet_until:
                self._quiet_until = time.monotonic() + 60
                _log.error("rates are not limited: their storage does not answer (%s)", error)


def open_rates(rates: str, storage: str) -> Rates:
    """Raises StartError."""
    try:
        limits = parse_many(rates)
        library = {"implementation": "redispy"} if storage.startswith("redis") else {}
        opened = storage_from_string(f"async+{storage}", wrap_exceptions=True, **library)
    except (ValueError, ConfigurationError, ImportError) as error:
        raise StartError(f"rates {rates!r} in {storage}: {error}") from error
    if not isinstance(opened, Storage):
        raise StartError(f"rates cannot be counted in {storage}")
    return Rates(limits, opened)
