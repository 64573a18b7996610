"""A replica's queue on paper: requests come, an event loop reads them, an engine answers them in batches.

Two threads, as in the service (`app/batcher.py`): the event loop does what it is handed in the order that it came; the
engine takes up to a batch of what waits as soon as it is free. A request that finds nobody else is answered in the
event loop itself. On one core each of the two gets half of it while both have work; on two cores they do not meet.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_READ, _ALONE, _ANSWER, _DISPATCH, _END_TURN = range(5)
_NEVER = float("inf")
_HARDLY_S = 1e-12


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one core: of the event loop for a request, until it waits for the engine, and after that.

    `wake_s`: of an event loop that had nothing to do, whatever wakes it. `batches`: (texts, seconds) of engine runs,
    from one text to as many as it is given at once; between them a straight line.
    """

    read_s: float
    answer_s: float
    wake_s: float
    batches: Sequence[tuple[float, float]]

    @property
    def max_batch(self) -> int:
        return int(self.batches[-1][0])

    def engine_s(self, texts: float) -> float:
        sizes, seconds = zip(*self.batches, strict=True)
        return float(np.interp(texts, sizes, seconds))

    def capacity_per_s(self, cores: int) -> float:
        """Requests that are answered at most, in full batches."""
        loop = self.read_s + self.answer_s
        engine = self.engine_s(self.max_batch) / self.max_batch
        return 1 / (loop + engine) if cores == 1 else 1 / max(loop, engine)


@dataclass(slots=True)
class Foretold:
    """`waits_s`: of each request, from its moment to the end of its answer. `batches`: texts in each."""

    waits_s: np.ndarray
    batches: list[int] = field(default_factory=list)

    def wait_ms(self, percent: float) -> float:
        return float(np.percentile(self.waits_s, percent)) * 1e3


class _Replica:
    """The state of one replica between two events."""

    def __init__(self, moments: Sequence[float], times: Times, cores: int) -> None:
        self.moments, self.times, self.cores = moments, times, cores
        self.done = Foretold(np.full(len(moments), np.nan))
        self.now = 0.0
        self.loop: deque[tuple[int, int]] = deque()  # what the event loop has to do, and for whom
        self.loop_left = _NEVER
        self.waiting: deque[int] = deque()
        self.batch: list[int] = []
        self.engine_left = _NEVER
        self.dispatching = self.had_turn = False
        self.alone_s = times.engine_s(1) + times.answer_s
        self.costs = {
            _READ: times.read_s,
            _ANSWER: times.answer_s,
            _ALONE: self.alone_s,
            _DISPATCH: 0.0,
            _END_TURN: 0.0,
        }
        self.engine_s = [_NEVER, *(times.engine_s(n) for n in range(1, times.max_batch + 1))]

    def run(self) -> Foretold:
        coming = 0
        while coming < len(self.moments) or self.loop or self.batch:
            arrival = self.moments[coming] if coming < len(self.moments) else _NEVER
            speed = 0.5 if self.cores == 1 and self.loop and self.batch else 1.0
            step = min(arrival - self.now, self.loop_left / speed, self.engine_left / speed)
            self.now += step
            self.loop_left -= step * speed
            self.engine_left -= step * speed
            if self.loop and self.loop_left <= _HARDLY_S:
                self._end_of_task()
            elif self.batch and self.engine_left <= _HARDLY_S:
                self._end_of_batch()
            else:
                self.now = arrival
                self._add(_READ, coming)
                coming += 1
        return self.done

    def _add(self, task: int, who: int = -1) -> None:
        self.loop.append((task, who))
        if len(self.loop) == 1:
            self.loop_left = self.times.wake_s + self.costs[task]

    def _end_of_task(self) -> None:
        task, who = self.loop[0]
        if task == _READ and not (self.batch or self.waiting or self.had_turn):
            self.had_turn = True
            self.done.batches.append(1)
            self.loop[0], self.loop_left = (_ALONE, who), self.alone_s
            return
        self.loop.popleft()
        if task == _READ:
            self.waiting.append(who)
            if not self.dispatching:
                self.dispatching = True
                self._add(_DISPATCH)
        elif task == _DISPATCH:
            self.dispatching = False
            if not self.batch:
                self._take()
        elif task == _END_TURN:
            self.had_turn = False
        else:
            self.done.waits_s[who] = self.now - self.moments[who]
            if task == _ALONE:
                self._add(_END_TURN)
        self.loop_left = self.costs[self.loop[0][0]] if self.loop else _NEVER

    def _end_of_batch(self) -> None:
        answered = self.batch
        self._take()
        for who in answered:
            self._add(_ANSWER, who)

    def _take(self) -> None:
        self.batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), self.times.max_batch))]
        self.engine_left = self.engine_s[len(self.batch)]
        if self.batch:
            self.done.batches.append(len(self.batch))


def simulate(moments: Sequence[float] | np.ndarray, times: Times, cores: int = 1) -> Foretold:
    """What becomes of requests that come at these moments, ascending, in a replica that has nothing else to do."""
    return _Replica(np.asarray(moments, dtype=float).tolist(), times, cores).run()
