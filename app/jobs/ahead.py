"""A job's chunks with their answers, in order, while engines have the next ones. Knows not whose engines these are."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from app.bulk import Chunk
from app.classifier import Classifier
from app.engines.base import Probabilities
from app.errors import FileError
from app.text import Ids


class Engines(Protocol):
    """`window`: so many chunks are to be asked at once."""

    window: int

    async def predict(self, ids: Ids) -> Probabilities:
        """Windows (n, maxlen), n may be 0 -> probabilities (n, labels)."""
        ...


class OwnEngines:
    """The service's, behind everybody else's texts."""

    window = 1

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    async def predict(self, ids: Ids) -> Probabilities:
        return await self._classifier.predict_bulk(ids, background=True)


class Ahead:
    """Reads one chunk more than it has asked for. `read`: the next chunk, or None at the end."""

    def __init__(self, read: "Callable[[], asyncio.Future[Chunk | None]]", engines: Engines) -> None:
        self._read, self._engines = read, engines
        self._reading: asyncio.Future[Chunk | None] | None = read()
        self._asked: deque[tuple[Chunk, asyncio.Future[Probabilities]]] = deque()
        self._fault: FileError | None = None

    async def next(self) -> tuple[Chunk, Probabilities] | None:
        """Raises FileError where no more can be read, once all before has been given; and what engines raise."""
        while self._reading and len(self._asked) < self._engines.window:
            try:
                chunk = await self._reading
            except FileError as error:
                chunk, self._fault = None, error
            if chunk is None:
                self._reading = None
            else:
                self._asked.append((chunk, asyncio.ensure_future(self._engines.predict(chunk.ids))))
                self._reading = self._read()
        if self._asked:
            chunk, asked = self._asked.popleft()
            try:
                return chunk, await asked
            except BaseException:
                asked.cancel()
                raise
        if self._fault:
            raise self._fault
        return None

    def cancel(self) -> None:
        if self._reading:
            self._reading.cancel()
        for _, asked in self._asked:
            asked.cancel()
            asked.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody is left to hear of it
