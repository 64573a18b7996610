"""Several workers under one parent, which answers nothing itself: it reads what they share, forks, watches, replaces.

Forked once everything is read, workers have in common what none of them changes: code, word indexes, embeddings. The
parent has one thread, so that it may fork at any time. A reload reads everything anew and starts a second generation
beside the first, which leaves when all of the second are ready; if anything fails, the first just goes on. A scout, a
child of its own, reads first: what hangs or crashes there keeps the parent from nothing.

    a worker that dies is replaced, one that is silent is killed and replaced
"""

import contextlib
import logging
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.child import BEAT_S, HEEDED, HUNG_AFTER_S, NO_ROOM, START_S, Child, Lifeline, begin, describe
from app.errors import SentopicError

BACKOFF_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Wait before the next attempt, by how many have failed in a row."""

SILENT_S: Final = 15.0
"""After so long it is said that a reload does not come to its end."""

_log = logging.getLogger("sentopic")
Shared = TypeVar("Shared")


@dataclass(slots=True, eq=False)
class _Worker:
    child: Child
    generation: int
    place: int


@dataclass(slots=True)
class _Attempts:
    """Of something that is tried until it works, the next one not before its time."""

    failed: int = 0
    not_before: float = 0.0

    def put_off(self, *, failed: bool) -> float:
        """Seconds until the next one."""
        self.failed = self.failed + 1 if failed else 0
        wait = BACKOFF_S[min(self.failed, len(BACKOFF_S) - 1)]
        self.not_before = time.monotonic() + wait
        return wait


class Supervisor(Generic[Shared]):
    """`read` gives what workers share or raises SentopicError; `work` is a worker's life, until SIGTERM ends it.

    `work` raises SentopicError if it cannot start. One that was dismissed is killed after `stop_s` seconds.
    """

    def __init__(
        self,
        workers: int,
        read: Callable[[], Shared],
        work: Callable[[Shared, Lifeline], None],
        *,
        stop_s: float,
    ) -> None:
        self._count, self._read, self._work, self._stop_s = workers, read, work, stop_s
        self._on_ready: Callable[[Shared], None] = lambda _: None
        self._on_stop: Callable[[], None] = lambda: None
        self._workers: list[_Worker] = []
        self._shared: dict[int, Shared] = {}
        self._serving = 0
        """The generation that answers; a higher one is on its way to take its place."""
        self._started = self._stopping = self._failed = False
        self._starts, self._reloads = _Attempts(), _Attempts()
        self._tended = -math.inf
        self._asked = self._told = False
        """For a reload; that one takes its time."""
        self._scout: Child | None = None
        """Reads what a reload would, and ends with 0 if that can be read."""

    def run(self, on_ready: Callable[[Shared], None], on_stop: Callable[[], None]) -> int:
        """The exit status: 0 after SIGTERM or SIGINT, 1 if a first worker cannot start. Raises what `read` raises at
        first. `on_ready` is called once, when all workers are; `on_stop` when they are told to end.
        """
        self._on_ready, self._on_stop = on_ready, on_stop
        self._shared[0] = self._read()
        with _signals() as wakeup:
            while not self._stopping or self._workers:
                self._tend()
                for number in self._listen(wakeup):
                    self._heed(number)
        return 1 if self._failed else 0

    @property
    def _newest(self) -> int:
        return max(self._shared)

    @property
    def _children(self) -> list[Child]:
        return [*(worker.child for worker in self._workers), *([self._scout] if self._scout else [])]

    def _of(self, generation: int) -> list[_Worker]:
        return [worker for worker in self._workers if worker.generation == generation and not worker.child.dismissed]

    def _listen(self, wakeup: int) -> bytes:
        """Waits for children's words, and gives the signals that have come."""
        lines = {child.line: child for child in self._children}
        heard, _, _ = select.select([wakeup, *lines], [], [], self._patience())
        for line in heard:
            if line != wakeup:
                lines[line].listen()
        return os.read(wakeup, 4096) if wakeup in heard else b""

    def _patience(self) -> float:
        """Seconds until something must be looked at, whatever happens."""
        now = time.monotonic()
        missing = not self._stopping and len(self._of(self._serving)) < self._count
        moments = [self._starts.not_before if missing else math.inf]
        moments += [child.silent_at for child in self._children]
        return min(BEAT_S, max(0.01, min(moments) - now))

    def _heed(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop(hurry=self._stopping and number == signal.SIGINT)
        elif number == signal.SIGHUP:
            self._asked = True  # again, maybe, while a reload is under way: what it reads may be old by now

    def _stop(self, *, hurry: bool = False) -> None:
        self._stopping = True
        self._on_stop()
        if self._scout is not None:
            self._scout.kill()
        for worker in self._workers:
            worker.child.dismiss(self._stop_s)
            if hurry:
                worker.child.kill_at = time.monotonic()

    def _tend(self) -> None:
        for worker in list(self._workers):
            status = worker.child.bury()
            if status is not None:
                self._workers.remove(worker)
                self._miss(worker, status)
        now = time.monotonic()
        if now - self._tended > 2 * BEAT_S:  # it stood still itself, and has heard nobody: the machine slept, say
            for child in self._children:
                child.heard = max(child.heard, now)
        self._tended = now
        for worker in self._workers:
            child = worker.child
            if now >= child.silent_at:
                what = "end" if child.dismissed else "answer"
                _log.warning("worker %s does not %s and is killed", child.pid, what)
                child.kill()
                child.heard = now
                child.kill_at = max(child.kill_at, now) + HUNG_AFTER_S
        self._tend_scout(now)
        if not self._stopping:
            self._fill(now)
            self._promote()

    def _fill(self, now: float) -> None:
        for generation in list(self._shared):
            while len(self._of(generation)) < self._count and now >= self._starts.not_before:
                self._fork(generation)

    def _fork(self, generation: int) -> None:
        place = min(set(range(self._count)) - {worker.place for worker in self._of(generation)})
        try:
            child = begin(lambda lifeline: self._work(self._shared[generation], lifeline), place, self._children)
        except OSError as error:
            self._try_again(f"no worker could be started: {error.strerror}", failed=True)
        else:
            self._workers.append(_Worker(child, generation, place))

    def _promote(self) -> None:
        """Lets the newest generation serve as soon as all of it can."""
        newest = self._of(self._newest)
        if not all(worker.child.ready for worker in newest) or len(newest) < self._count:
            return
        self._starts.failed = 0
        if not self._started:
            self._started = True
            self._on_ready(self._shared[self._newest])
        if self._newest != self._serving:
            for worker in self._of(self._serving):
                worker.child.dismiss(self._stop_s)
            del self._shared[self._serving]
            self._serving = self._newest
            _log.info("reloaded: %s new workers answer", self._count)

    def _miss(self, worker: _Worker, status: int) -> None:
        """One has ended: there is another one soon, or nothing more to do."""
        child, how = worker.child, f"it ended with {describe(status)}"
        if child.dismissed:
            return
        if worker.generation != self._serving:
            _log.warning("nothing was reloaded: %s", child.why or f"a new worker was not ready when {how}")
            del self._shared[worker.generation]
            for other in self._of(worker.generation):
                other.child.dismiss(self._stop_s)
        elif not self._started:
            _log.error(child.why or f"a worker was not ready when {how}")
            self._failed = True
            self._stop()
        else:
            self._try_again(f"worker {child.pid}: {child.why or how}", failed=not child.ready)

    def _try_again(self, why: str, *, failed: bool) -> None:
        wait = self._starts.put_off(failed=failed)
        _log.warning("%s; another one starts%s", why, f" in {wait:g} s" * (wait > 0))

    # Reloads

    def _tend_scout(self, now: float) -> None:
        if self._scout is None:
            if self._asked and self._may_reload and now >= self._reloads.not_before:
                self._send_scout()
            return
        scout, status = self._scout, self._scout.bury()
        if status is not None:
            self._scout = None
            if not self._stopping:
                self._hear(scout, status)
        elif now >= scout.silent_at:
            long = now >= scout.started + START_S
            scout.why = f"reading it took longer than {START_S:g} s" if long else "reading it has stopped"
            scout.kill()
        elif now >= scout.started + SILENT_S and not self._told:
            self._told = True
            _log.warning("bundles are still being read, after %g s: those before them go on", SILENT_S)

    @property
    def _may_reload(self) -> bool:
        return self._started and not self._stopping and self._newest == self._serving

    def _send_scout(self) -> None:
        try:
            self._scout = begin(self._try_to_read, 0, self._children)
        except OSError as error:
            self._put_reload_off(str(error.strerror))
        else:
            self._asked = self._told = False

    def _try_to_read(self, _: Lifeline) -> None:
        self._read()

    def _hear(self, scout: Child, status: int) -> None:
        if status == NO_ROOM:
            self._put_reload_off(scout.why)
            return
        self._reloads.failed = 0
        if status:
            _log.warning("nothing was reloaded: %s", scout.why or f"reading it ended with {describe(status)}")
        else:
            self._reload()

    def _put_reload_off(self, why: str) -> None:
        self._asked = True
        wait = self._reloads.put_off(failed=True)
        _log.warning("no reload could begin: %s; it is tried again in %g s", why, wait)

    def _reload(self) -> None:
        try:
            shared = self._read()
        except SentopicError as error:
            _log.warning("nothing was reloaded: %s", error)
            return
        except Exception:  # noqa: BLE001 - what is served is worth more than what is not
            _log.exception("nothing was reloaded")
            return
        self._shared[self._serving + 1] = shared


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A descriptor from which the numbers of the signals that come can be read, one byte each."""
    wakeup, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    handlers = {number: signal.signal(number, lambda *_: None) for number in HEEDED}
    try:
        yield wakeup
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(wakeup)
        os.close(end)
