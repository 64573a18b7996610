"""Micro-batches without a timer: a free engine takes what waits, oldest first, up to a number of windows.

Knows windows and probabilities, no texts. The queue is bounded in windows, and in time when it does not get empty:
whoever finds it so is refused at once, and whoever has left or run out of time never reaches the engine. While others
wait, the oldest large request has half of each batch, and the others take turns in the rest: neither can keep the
other waiting for long. Work in the background, which has no hurry, gets what they leave, in small batches of its own.

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
from typing import Final, NamedTuple, Protocol

import numpy as np

from app.engines.base import Engine, Probabilities
from app.errors import DeadlineError, OverloadedError
from app.overload import Overload
from app.text import Ids

_FIRST_GUESS_WINDOWS_PER_S: Final = 2_000.0
_FIRST_GUESS_STEPS_PER_S: Final = 100.0
_SMOOTHING: Final = 0.2

_AT_ONCE_S: Final = 0.001
"""Work that takes no longer than this is done in the event loop: handing it to a thread and back takes as long."""

_SOONEST_S: Final = 0.001
"""What two clocks may be apart."""

_BACKGROUND_S: Final = 0.001
"""About as long the engine is busy with the background at once: whoever comes meanwhile waits for no more than that."""

_STARVING_S: Final = 0.02
"""After so long without any, the background has a batch although others wait, or a steady load would never let it."""

_TURNS: Final = 4
"""Requests that find room in each batch at least, if so many wait: one of them in half of it, the others in turns."""


class Predicted(NamedTuple):
    """Probabilities (n, labels); the seconds that the engine took for the batches that they were in, and all others."""

    probabilities: Probabilities
    queue_s: float
    engine_s: float


class Observer(Protocol):
    """Sees what a batcher does, as it does it, in the event loop and in the engine's thread, never in both at once."""

    def set_queue(self, windows: int) -> None: ...
    def add_run(self, windows: int, seconds: float) -> None: ...


class _Nobody:
    def set_queue(self, windows: int) -> None: ...
    def add_run(self, windows: int, seconds: float) -> None: ...


class _Ticket:
    """Windows that wait for their answer; a large one is answered in several batches."""

    __slots__ = (
        "answered", "background", "deadline", "engine_s", "future", "ids", "parts", "patient", "queued", "taken",
    )  # fmt: skip

    def __init__(
        self,
        ids: Ids,
        future: asyncio.Future[Predicted],
        queued: float,
        deadline: float,
        *,
        patient: bool,
        background: bool,
    ) -> None:
        self.ids, self.future, self.queued, self.deadline = ids, future, queued, deadline
        self.patient, self.background = patient, background
        self.engine_s = 0.0
        self.taken = self.answered = 0
        self.parts: list[Probabilities] = []

    @property
    def left(self) -> int:
        return len(self.ids) - self.taken


@dataclass(frozen=True, slots=True)
class _Batch:
    """Windows (n, maxlen) in parts, and whose each part is."""

    parts: list[Ids]
    tickets: list[_Ticket]


class Batcher:
    """One engine, one queue, one thread. Use it as an asynchronous context manager."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_batch_windows: int,
        max_queue_windows: int,
        max_wait_s: float = math.inf,
        observer: Observer = _Nobody(),  # noqa: B008 - it has no state
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._observer = engine, observer
        self._max_batch = max_batch_windows
        self._turn = max(1, max_batch_windows // _TURNS)
        self._max_queue = max_queue_windows
        self._clock = clock
        self._windows_per_s = _FIRST_GUESS_WINDOWS_PER_S
        self._steps_per_s = _FIRST_GUESS_STEPS_PER_S
        self._lock = threading.Lock()
        # The thread and the event loop change these, under the lock.
        self._queue: deque[_Ticket] = deque()
        self._large: _Ticket | None = None
        self._background: deque[_Ticket] = deque()
        self._background_at = 0.0
        """When the background had a batch last, or nothing to do."""
        self._waiting = self._impatient = 0
        self._overload = Overload(max_batch_windows, max_wait_s)
        self._busy = False
        # The event loop's own.
        self._open: dict[_Ticket, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._dispatching = False
        self._had_turn = False
        self._handed: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def waiting_windows(self) -> int:
        return self._waiting

    @property
    def retry_after_s(self) -> int:
        """When what waits now will have been answered, at the speed measured."""
        return max(1, math.ceil(self._waiting / self._windows_per_s))

    @property
    def group_windows(self) -> int:
        """How many windows a large request hands in at once: enough for full batches, and room left for others."""
        return max(1, min(8 * self._max_batch, self._max_queue // 4))

    async def __aenter__(self) -> "Batcher":
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, args=(loop,), name="engine", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for ticket in (*self._queue, *self._background, *([self._large] if self._large else [])):
                ticket.future.cancel()
            self._queue.clear()
            self._background.clear()
            self._large = None
        if self._timer is not None:
            self._timer.cancel()
        self._handed.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def predict(
        self, ids: Ids, timeout_s: float, *, patient: bool = False, background: bool = False
    ) -> Predicted:
        """What the engine makes of windows (n, maxlen).

        Raises OverloadedError if the queue has no room for n more or does not get empty, DeadlineError after
        `timeout_s`. One who is `patient` asks for a part of much, and is not refused because others wait.
        An empty queue has room for anything, or a text larger than the queue could never be answered.
        Work in the `background` takes no room in the queue: whoever hands it in sees to it that it is little.
        """
        loop = asyncio.get_running_loop()
        now = self._clock()
        if not background and self._may_run_at_once(ids):
            self._had_turn = True
            loop.call_soon(self._end_turn)
            return Predicted(self._run(ids), 0.0, self._clock() - now)
        ticket = _Ticket(ids, loop.create_future(), now, now + timeout_s, patient=patient, background=background)
        with self._lock:
            if background:
                self._append_to_background(ticket, now)
            else:
                self._append(ticket, now)
        if not self._dispatching:
            self._dispatching = True
            loop.call_soon(self._dispatch)  # after whatever else is ready has been queued too
        self._open[ticket] = timeout_s
        if self._timer is None or self._timer_at > loop.time() + timeout_s:
            self._expire_at(loop, timeout_s)
        try:
            return await ticket.future
        finally:
            del self._open[ticket]
            self._leave(ticket)

    def _append(self, ticket: _Ticket, now: float) -> None:
        windows = ticket.left
        is_full = self._waiting > 0 and self._waiting + windows > self._max_queue
        if is_full or (not ticket.patient and self._is_crowded(now)):
            raise OverloadedError(self.retry_after_s)
        if not ticket.patient:
            self._overload.admit(windows)
        self._queue.append(ticket)
        self._add_waiting(ticket, windows)
        self._observer.set_queue(self._waiting)

    def _append_to_background(self, ticket: _Ticket, now: float) -> None:
        if not self._background:
            self._background_at = now
        self._background.append(ticket)

    def refuse_if_crowded(self) -> None:
        """Raises OverloadedError if `predict` would anyhow, and so spares its asker what comes before it."""
        with self._lock:
            if self._is_crowded(self._clock()):
                raise OverloadedError(self.retry_after_s)

    def _is_crowded(self, now: float) -> bool:
        return self._overload.refuses(now, self._impatient, self._windows_per_s)

    def _add_waiting(self, ticket: _Ticket, windows: int) -> None:
        if ticket.background:
            return
        self._waiting += windows
        if not ticket.patient:
            self._impatient += windows

    def _may_run_at_once(self, ids: Ids) -> bool:
        """If nobody else is there: one text in a turn of the event loop, or many would go one by one for ever."""
        if self._busy or self._queue or self._had_turn or len(ids) > self._max_batch:
            return False
        return int(np.count_nonzero(ids)) <= self._steps_per_s * _AT_ONCE_S

    def _end_turn(self) -> None:
        self._had_turn = False

    def _expire_at(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_later(seconds, self._expire, loop), loop.time() + seconds

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells those whose time is over, and sets the timer anew for the next of the others: there is one for all."""
        now, self._timer = self._clock(), None
        for ticket, timeout_s in self._open.items():
            if now >= ticket.deadline and not ticket.future.done():
                ticket.future.set_exception(DeadlineError(timeout_s))
        if left := [ticket.deadline - now for ticket in self._open if not ticket.future.done()]:
            self._expire_at(loop, max(_SOONEST_S, min(left)))

    def _leave(self, ticket: _Ticket) -> None:
        """Gives back the room of whatever the engine has not taken."""
        ticket.future.cancel()
        if not ticket.left:
            return
        with self._lock:
            self._forget(ticket)
            self._observer.set_queue(self._waiting)

    def _forget(self, ticket: _Ticket) -> None:
        """What it has not got is not wanted any more, and takes no memory while it is still in the queue."""
        self._add_waiting(ticket, -ticket.left)
        ticket.ids = ticket.ids[:0].copy()
        ticket.taken = 0
        for queue in (self._queue, self._background):
            while queue and not queue[0].left:
                queue.popleft()

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
                started = self._clock()
                try:
                    ids = batch.parts[0] if len(batch.parts) == 1 else np.concatenate(batch.parts)
                    answers: Probabilities | Exception = self._run(ids)
                except Exception as error:  # noqa: BLE001 - whatever the engine raised is its askers' to see
                    answers = error
                seconds = self._clock() - started
                kept = not isinstance(answers, Exception) and self._keep(batch, answers, seconds)
                following = self._take()
                if not kept:
                    loop.call_soon_threadsafe(self._hand_out, batch, answers, seconds)

    def _keep(self, batch: _Batch, answers: Probabilities, seconds: float) -> bool:
        """Whether there is more to come for its one asker in the background, who is not told of each small batch."""
        ticket = batch.tickets[0]
        if not ticket.background or not ticket.left:
            return False
        ticket.engine_s += seconds
        ticket.parts.append(answers)
        ticket.answered += len(answers)
        return True

    def _take(self) -> _Batch | None:
        """Up to a batch of what waits, or a small one of the background's if nothing does or it has waited for long.

        Makes the engine busy, or free if there is nothing to do.
        """
        batch = _Batch([], [])
        with self._lock:
            now = self._clock()
            if self._background and (not self._waiting or now - self._background_at > _STARVING_S):
                self._background_at = now
                self._take_background(batch, now)
            if not batch.parts:
                self._take_in_turns(batch, now)
            self._busy = bool(batch.parts)
            self._observer.set_queue(self._waiting)
        return batch if batch.parts else None

    def _take_background(self, batch: _Batch, now: float) -> None:
        """So few of the oldest's windows that others can soon go on, but enough to be worth a run."""
        most = max(1, self._max_batch // 4, min(self._max_batch, int(self._windows_per_s * _BACKGROUND_S)))
        while self._background and not batch.parts:
            ticket = self._background[0]
            self._take_share(batch, ticket, most, now)
            if not ticket.left and self._background and self._background[0] is ticket:
                self._background.popleft()

    def _take_in_turns(self, batch: _Batch, now: float) -> None:
        """Half of the batch is the oldest large request's, the rest goes by turns."""
        room = self._max_batch
        if self._large is not None:
            room -= self._take_share(batch, self._large, max(1, room // 2), now)
        while room and self._queue:
            ticket = self._queue.popleft()
            if (self._large is None or not self._large.left) and ticket.left > self._turn:
                self._large = ticket
                room -= self._take_share(batch, ticket, min(room, max(1, self._max_batch // 2)), now)
                continue
            share = self._take_share(batch, ticket, min(room, self._turn), now)
            room -= share
            if ticket.left and share < self._turn:  # cut by the batch's end, not by its turn: it is still the oldest
                self._queue.appendleft(ticket)
            elif ticket.left:
                self._queue.append(ticket)
        if self._large is not None:
            self._take_share(batch, self._large, room, now)  # nobody else wants it
            self._large = self._large if self._large.left else None

    def _take_share(self, batch: _Batch, ticket: _Ticket, most: int, now: float) -> int:
        """Moves up to so many of the ticket's windows into the batch, none if it is late, and says how many."""
        if now >= ticket.deadline:
            self._forget(ticket)
        if share := min(ticket.left, most):
            batch.parts.append(ticket.ids[ticket.taken : ticket.taken + share])
            batch.tickets.append(ticket)
            ticket.taken += share
            self._add_waiting(ticket, -share)
        return share

    def _run(self, ids: Ids) -> Probabilities:
        started = self._clock()
        answers = self._engine.predict(ids)
        seconds = self._clock() - started
        self._observer.add_run(len(ids), seconds)
        if seconds > 0:
            steps = int(np.count_nonzero(ids))  # without padding, which is what an engine's time goes by
            self._windows_per_s += _SMOOTHING * (len(ids) / seconds - self._windows_per_s)
            self._steps_per_s += _SMOOTHING * (steps / seconds - self._steps_per_s)
        return answers

    def _hand_out(self, batch: _Batch, answers: Probabilities | Exception, seconds: float) -> None:
        """In the event loop: each asker's share to it, and its future when it has all."""
        start, now = 0, self._clock()
        for ticket in set(batch.tickets):
            ticket.engine_s += seconds
        for ticket, part in zip(batch.tickets, batch.parts, strict=True):
            end = start + len(part)
            ticket.answered += len(part)
            if ticket.future.done():
                pass
            elif isinstance(answers, Exception):
                ticket.future.set_exception(answers)
            else:
                ticket.parts.append(answers[start:end])
                if ticket.answered == len(ticket.ids):
                    whole = ticket.parts[0] if len(ticket.parts) == 1 else np.concatenate(ticket.parts)
                    waited = now - ticket.queued - ticket.engine_s
                    ticket.future.set_result(Predicted(whole, waited, ticket.engine_s))
            start = end
