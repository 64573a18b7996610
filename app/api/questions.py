"""Questions to the database: each has a time, and there are few at once, so that nobody else waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.admission import Admission
from app.errors import DeadlineError
from app.settings import Settings

_SHARE: Final = 8
"""One permit of so many that there are for requests; the threads that ask are fewer."""


class Questions:
    def __init__(self, settings: Settings) -> None:
        self._permits = Admission(max(1, settings.max_requests // _SHARE), 0)
        self._deadline_s = settings.deadline_s

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[None]:
        """Raises OverloadedError, or DeadlineError if what is done in it takes too long."""
        with self._permits.permit(retry_after_s=1):
            try:
                async with asyncio.timeout(self._deadline_s) as limit:
                    yield
            except TimeoutError:
                if limit.expired():
                    raise DeadlineError(self._deadline_s) from None
                raise
