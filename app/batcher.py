"""Micro-batches without a timer: a free engine takes what waits, oldest first, up to a number of windows.

Knows windows and probabilities, no texts. The queue is bounded in windows; whoever does not fit is refused at once,
and whoever has left or run out of time never reaches the engine.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

import numpy as np

from app.engines.base import Engine, Probabilities
from app.errors import DeadlineError, OverloadedError
from app.text import Ids

_FIRST_GUESS_WINDOWS_PER_S: Final = 1_000.0
_SMOOTHING: Final = 0.2


@dataclass(eq=False, slots=True)
class _Ticket:
    """Windows that wait for their answer; a large one is answered in several batches."""

    ids: Ids
    future: asyncio.Future[Probabilities]
    taken: int = 0
    parts: list[Probabilities] = field(default_factory=list)


class Batcher:
    """One engine, one thread, one queue. Use it as an asynchronous context manager."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_batch_windows: int,
        max_queue_windows: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._max_batch = max_batch_windows
        self._max_queue = max_queue_windows
        self._clock = clock
        self._queue: deque[_Ticket] = deque()
        self._waiting = 0
        self._speed = _FIRST_GUESS_WINDOWS_PER_S
        self._wake = asyncio.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting_windows(self) -> int:
        return self._waiting

    @property
    def group_windows(self) -> int:
        """How many windows a large request hands in at once: enough for full batches, and room left for others."""
        return max(1, min(8 * self._max_batch, self._max_queue // 4))

    async def __aenter__(self) -> "Batcher":
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for ticket in self._queue:
            ticket.future.cancel()
        if self._thread is not None:
            self._thread.shutdown()

    async def predict(self, ids: Ids, timeout_s: float) -> Probabilities:
        """Probabilities (n, labels) of windows (n, maxlen).

        Raises OverloadedError if the queue has no room for n more, DeadlineError after `timeout_s`.
        An empty queue has room for anything, or a text larger than the queue could never be answered.
        """
        if self._waiting and self._waiting + len(ids) > self._max_queue:
            raise OverloadedError(retry_after_s=max(1, math.ceil(self._waiting / self._speed)))
        ticket = _Ticket(ids, asyncio.get_running_loop().create_future())
        self._queue.append(ticket)
        self._waiting += len(ids)
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await ticket.future
        except TimeoutError:
            raise DeadlineError(timeout_s) from None
        finally:
            self._leave(ticket)

    def _leave(self, ticket: _Ticket) -> None:
        """Gives back the room of whatever the engine has not taken."""
        ticket.future.cancel()
        self._waiting -= len(ticket.ids) - ticket.taken
        ticket.taken = len(ticket.ids)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._take()
            if not batch:
                self._wake.clear()
                await self._wake.wait()
                continue
            ids = batch[0][1] if len(batch) == 1 else np.concatenate([rows for _, rows in batch])
            started = self._clock()
            try:
                answers = await loop.run_in_executor(self._thread, self._engine.predict, ids)
            except Exception as error:  # noqa: BLE001 - whatever the engine raised is its askers' to see
                for ticket, _ in batch:
                    if not ticket.future.done():
                        ticket.future.set_exception(error)
                continue
            self._measure(len(ids), self._clock() - started)
            self._hand_out(batch, answers)

    def _take(self) -> list[tuple[_Ticket, Ids]]:
        """The oldest windows that wait, up to a batch; those of a ticket stay in order."""
        room, batch = self._max_batch, list[tuple[_Ticket, Ids]]()
        while room and self._queue:
            ticket = self._queue[0]
            rows = ticket.ids[ticket.taken : ticket.taken + room]
            if len(rows):
                batch.append((ticket, rows))
                ticket.taken += len(rows)
                self._waiting -= len(rows)
                room -= len(rows)
            if ticket.taken == len(ticket.ids):
                self._queue.popleft()
        return batch

    def _hand_out(self, batch: list[tuple[_Ticket, Ids]], answers: Probabilities) -> None:
        start = 0
        for ticket, rows in batch:
            ticket.parts.append(answers[start : start + len(rows)])
            start += len(rows)
            if not ticket.future.done() and sum(map(len, ticket.parts)) == len(ticket.ids):
                ticket.future.set_result(ticket.parts[0] if len(ticket.parts) == 1 else np.concatenate(ticket.parts))

    def _measure(self, windows: int, seconds: float) -> None:
        if seconds > 0:
            self._speed += _SMOOTHING * (windows / seconds - self._speed)
