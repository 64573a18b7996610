"""Micro-batches without a timer: a free engine takes what waits, oldest first, up to a number of windows.

Knows windows and probabilities, no texts. The queue is bounded in windows; whoever does not fit is refused at once,
and whoever has left or run out of time never reaches the engine. Large requests take turns with small ones.

    predict -> an idle engine, and little work: done at once, in the event loop
            -> the queue -> the thread, batch after batch until nothing waits
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Final, NamedTuple

import numpy as np

from app.engines.base import Engine, Probabilities
from app.errors import DeadlineError, OverloadedError
from app.text import Ids

_FIRST_GUESS_WINDOWS_PER_S: Final = 500.0
_SMOOTHING: Final = 0.2

_AT_ONCE_S: Final = 0.001
"""Work that takes no longer than this is done in the event loop: handing it to a thread and back takes as long."""

_TURNS: Final = 4
"""Requests that find room in each batch at least, if so many wait."""


class Predicted(NamedTuple):
    """Probabilities (n, labels), and how long their windows waited and were computed, in seconds."""

    probabilities: Probabilities
    queue_s: float
    engine_s: float


class _Ticket:
    """Windows that wait for their answer; a large one is answered in several batches."""

    __slots__ = ("answered", "deadline", "future", "ids", "parts", "queued", "started", "taken")

    def __init__(self, ids: Ids, future: asyncio.Future[Predicted], queued: float, deadline: float) -> None:
        self.ids, self.future, self.queued, self.deadline = ids, future, queued, deadline
        self.started = 0.0
        self.taken = self.answered = 0
        self.parts: list[Probabilities] = []

    @property
    def left(self) -> int:
        return len(self.ids) - self.taken


@dataclass(frozen=True, slots=True)
class _Batch:
    """Windows (n, maxlen), and whose they are: tickets with the number of theirs, in order."""

    ids: Ids
    shares: list[tuple[_Ticket, int]]


class Batcher:
    """One engine, one queue, one thread. Use it as an asynchronous context manager."""

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
        self._turn = max(1, max_batch_windows // _TURNS)
        self._max_queue = max_queue_windows
        self._clock = clock
        self._speed = _FIRST_GUESS_WINDOWS_PER_S
        self._lock = threading.Lock()
        # The thread and the event loop change these, under the lock.
        self._queue: deque[_Ticket] = deque()
        self._waiting = 0
        self._busy = False
        # The event loop's own.
        self._dispatching = False
        self._had_turn = False
        self._handed: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting_windows(self) -> int:
        return self._waiting

    @property
    def group_windows(self) -> int:
        """How many windows a large request hands in at once: enough for full batches, and room left for others."""
        return max(1, min(2 * self._max_batch, self._max_queue // 4))

    async def __aenter__(self) -> "Batcher":
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, args=(loop,), name="engine", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for ticket in self._queue:
                ticket.future.cancel()
            self._queue.clear()
            self._waiting = 0
        self._handed.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def predict(self, ids: Ids, timeout_s: float) -> Predicted:
        """What the engine makes of windows (n, maxlen).

        Raises OverloadedError if the queue has no room for n more, DeadlineError after `timeout_s`.
        An empty queue has room for anything, or a text larger than the queue could never be answered.
        """
        loop = asyncio.get_running_loop()
        now = self._clock()
        if self._may_run_at_once(ids):
            self._had_turn = True
            loop.call_soon(self._end_turn)
            return Predicted(self._run(ids), 0.0, self._clock() - now)
        ticket = _Ticket(ids, loop.create_future(), now, now + timeout_s)
        with self._lock:
            if self._waiting and self._waiting + len(ids) > self._max_queue:
                raise OverloadedError(retry_after_s=max(1, math.ceil(self._waiting / self._speed)))
            self._queue.append(ticket)
            self._waiting += len(ids)
        if not self._dispatching:
            self._dispatching = True
            loop.call_soon(self._dispatch)  # after whatever else is ready has been queued too
        timer = loop.call_later(timeout_s, self._expire, ticket, timeout_s)
        try:
            return await ticket.future
        finally:
            timer.cancel()
            self._leave(ticket)

    def _may_run_at_once(self, ids: Ids) -> bool:
        """If nobody else is there: one text in a turn of the event loop, or many would go one by one for ever."""
        alone = not (self._busy or self._queue or self._had_turn)
        return alone and len(ids) <= self._speed * _AT_ONCE_S

    def _end_turn(self) -> None:
        self._had_turn = False

    def _expire(self, ticket: _Ticket, timeout_s: float) -> None:
        if not ticket.future.done():
            ticket.future.set_exception(DeadlineError(timeout_s))

    def _leave(self, ticket: _Ticket) -> None:
        """Gives back the room of whatever the engine has not taken."""
        ticket.future.cancel()
        if not ticket.left:
            return
        with self._lock:
            self._forget(ticket)
            while self._queue and not self._queue[0].left:
                self._queue.popleft()

    def _forget(self, ticket: _Ticket) -> None:
        self._waiting -= ticket.left
        ticket.taken = len(ticket.ids)

    def _dispatch(self) -> None:
        """In the event loop: sets a free engine to work."""
        self._dispatching = False
        if not self._busy and (batch := self._take()) is not None:
            self._handed.put(batch)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: goes on until nothing waits."""
        while batch := self._handed.get():
            following: _Batch | None = batch
            while following is not None:
                batch = following
                try:
                    answers: Probabilities | Exception = self._run(batch.ids)
                except Exception as error:  # noqa: BLE001 - whatever the engine raised is its askers' to see
                    answers = error
                following = self._take()
                loop.call_soon_threadsafe(self._hand_out, batch, answers)

    def _take(self) -> _Batch | None:
        """The oldest windows that wait, up to a batch; what is more than a turn goes behind those who wait.

        Makes the engine busy, or free if nothing waits.
        """
        room, parts, shares = self._max_batch, list[Ids](), list[tuple[_Ticket, int]]()
        with self._lock:
            now = self._clock()
            while room and self._queue:
                ticket = self._queue.popleft()
                if now >= ticket.deadline:
                    self._forget(ticket)
                share = min(ticket.left, room, self._turn)
                if not share:
                    continue
                ticket.started = ticket.started or now
                parts.append(ticket.ids[ticket.taken : ticket.taken + share])
                shares.append((ticket, share))
                ticket.taken += share
                self._waiting -= share
                room -= share
                if ticket.left:
                    self._queue.append(ticket)
            self._busy = bool(shares)
        if not shares:
            return None
        return _Batch(parts[0] if len(parts) == 1 else np.concatenate(parts), shares)

    def _run(self, ids: Ids) -> Probabilities:
        started = self._clock()
        answers = self._engine.predict(ids)
        seconds = self._clock() - started
        if seconds > 0:
            self._speed += _SMOOTHING * (len(ids) / seconds - self._speed)
        return answers

    def _hand_out(self, batch: _Batch, answers: Probabilities | Exception) -> None:
        """In the event loop: each asker's share to it, and its future when it has all."""
        start, now = 0, self._clock()
        for ticket, share in batch.shares:
            ticket.answered += share
            if not ticket.future.done():
                if isinstance(answers, Exception):
                    ticket.future.set_exception(answers)
                else:
                    ticket.parts.append(answers[start : start + share])
                    if ticket.answered == len(ticket.ids):
                        whole = ticket.parts[0] if len(ticket.parts) == 1 else np.concatenate(ticket.parts)
                        waited = ticket.started - ticket.queued
                        ticket.future.set_result(Predicted(whole, waited, now - ticket.started))
            start += share
