"""Several workers under one parent, which answers nothing itself: it reads what they share, forks, watches, replaces.

Forked once everything is read, workers have in common what none of them changes: code, word indexes, embeddings. The
parent has one thread, so that it may fork at any time. A reload reads everything anew and starts a second generation
beside the first, which leaves when all of the second are ready; if anything fails, the first just goes on. A scout, a
child of its own, reads first: what hangs or crashes there keeps the parent from nothing.

    starting -> ready -> (dismissed: SIGTERM, answers what it has) -> gone
        a worker that dies is replaced, one that is silent is killed and replaced
"""

import contextlib
import logging
import math
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.errors import SentopicError

BEAT_S: Final = 1.0
"""How often a worker says that its event loop turns."""

HUNG_AFTER_S: Final = 5.0
"""A worker that has not been heard of for so long is killed: nothing that it does keeps its event loop half as long."""

START_S: Final = 300.0
"""Longest time until a worker is ready: a GPU's kernels are compiled first."""

STUCK_AFTER_S: Final = 30.0
"""As `HUNG_AFTER_S`, for a worker that starts: what it loads may keep its threads from saying anything for a while."""

BACKOFF_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Wait before the next attempt, by how many have failed in a row."""

_READY, _BEAT, _WHY = b"r", b".", b"!"
_WHY_BYTES: Final = 2_000
_HEEDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_log = logging.getLogger("sentopic")
Shared = TypeVar("Shared")


class Lifeline:
    """A worker's line to its parent; `place`: its number among those of its generation, from 0."""

    def __init__(self, descriptor: int, place: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self.place = descriptor, place
        self._ready = threading.Event()

    def beat_until_ready(self) -> None:
        """In a thread, while whatever must be loaded is loaded."""

        def beat() -> None:
            while not self._ready.wait(BEAT_S) and self.beat():
                pass

        threading.Thread(target=beat, name="starting", daemon=True).start()

    def tell_ready(self) -> None:
        self._ready.set()
        self._say(_READY)

    def beat(self) -> bool:
        """Says that it is alive. False: the parent is not."""
        return self._say(_BEAT)

    def tell_why(self, why: str) -> None:
        """Its last words, for the parent to pass on: once, however many workers end for the same reason."""
        self._say(_WHY + why.encode("utf-8", "backslashreplace")[:_WHY_BYTES])

    def _say(self, words: bytes) -> bool:
        try:
            os.write(self._descriptor, words)
        except BlockingIOError:  # the parent is busy and has not read for hours
            return True
        except BrokenPipeError:
            return False
        return True


@dataclass(slots=True, eq=False)
class _Worker:
    pid: int
    line: int
    generation: int
    place: int
    started: float
    heard: float
    ready: bool = False
    why: str = ""
    kill_at: float = math.inf

    @property
    def dismissed(self) -> bool:
        return self.kill_at < math.inf

    @property
    def silent_at(self) -> float:
        """When it has said nothing for too long. One that was dismissed speaks until it has nothing more to answer."""
        if self.dismissed:
            return min(self.kill_at, self.heard + HUNG_AFTER_S)
        return self.heard + HUNG_AFTER_S if self.ready else min(self.started + START_S, self.heard + STUCK_AFTER_S)

    def listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            words, ends, why = os.read(self.line, 65_536).partition(_WHY)
            self.heard = time.monotonic()
            self.ready |= _READY in words
            if ends:
                self.why = why.decode("utf-8", "replace")


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
        self._scout: _Worker | None = None
        """Reads what a reload would, and ends with 0 if that can be read."""
        self._serving = 0
        """The generation that answers; a higher one is on its way to take its place."""
        self._started = self._stopping = self._failed = self._asked = False
        self._failures = 0
        self._not_before = 0.0
        self._tended = -math.inf

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
    def _children(self) -> list[_Worker]:
        return [*self._workers, *([self._scout] if self._scout else [])]

    def _of(self, generation: int) -> list[_Worker]:
        return [worker for worker in self._workers if worker.generation == generation and not worker.dismissed]

    def _listen(self, wakeup: int) -> bytes:
        """Waits for workers' words, and gives the signals that have come."""
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
        moments = [self._not_before if missing else math.inf]
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
            os.kill(self._scout.pid, signal.SIGKILL)
        for worker in self._workers:
            self._dismiss(worker)
            if hurry:
                worker.kill_at = time.monotonic()

    def _heed_scout(self) -> None:
        if self._scout is None:
            return
        pid, status = os.waitpid(self._scout.pid, os.WNOHANG)
        if not pid:
            if time.monotonic() >= self._scout.silent_at:
                os.kill(self._scout.pid, signal.SIGKILL)
            return
        scout, self._scout = self._scout, None
        scout.listen()
        os.close(scout.line)
        if self._stopping:
            return
        if status:
            why = f"reading it ended with {_describe(os.waitstatus_to_exitcode(status))}"
            _log.warning("nothing was reloaded: %s", scout.why or why)
        else:
            self._reload()

    def _try_to_read(self, _: Lifeline) -> None:
        self._read()

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

    def _tend(self) -> None:
        for worker in list(self._workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._bury(worker, os.waitstatus_to_exitcode(status))
        now = time.monotonic()
        if now - self._tended > 2 * BEAT_S:  # it stood still itself, and has heard nobody: the machine slept, say
            for worker in self._children:
                worker.heard = max(worker.heard, now)
        self._tended = now
        for worker in self._workers:
            if now >= worker.silent_at:
                what = "end" if worker.dismissed else "answer"
                _log.warning("worker %s does not %s and is killed", worker.pid, what)
                os.kill(worker.pid, signal.SIGKILL)
                worker.heard = now
                worker.kill_at = max(worker.kill_at, now) + HUNG_AFTER_S
        self._heed_scout()
        if not self._stopping:
            may_reload = self._started and self._newest == self._serving and self._scout is None
            if self._asked and may_reload and now >= self._not_before:
                self._scout = self._begin(self._try_to_read, self._serving + 1, 0)
                self._asked = self._scout is None  # then it is tried again
            self._fill(now)
            self._promote()

    def _fill(self, now: float) -> None:
        for generation in list(self._shared):
            while len(self._of(generation)) < self._count and now >= self._not_before:
                self._fork(generation)

    def _promote(self) -> None:
        """Lets the newest generation serve as soon as all of it can."""
        newest = self._of(self._newest)
        if not all(worker.ready for worker in newest) or len(newest) < self._count:
            return
        self._failures = 0
        if not self._started:
            self._started = True
            self._on_ready(self._shared[self._newest])
        if self._newest != self._serving:
            for worker in self._of(self._serving):
                self._dismiss(worker)
            del self._shared[self._serving]
            self._serving = self._newest
            _log.info("reloaded: %s new workers answer", self._count)

    def _dismiss(self, worker: _Worker) -> None:
        if not worker.dismissed:
            worker.kill_at = time.monotonic() + self._stop_s
            os.kill(worker.pid, signal.SIGTERM)

    def _bury(self, worker: _Worker, status: int) -> None:
        worker.listen()
        os.close(worker.line)
        self._workers.remove(worker)
        if worker.dismissed:
            return
        how = f"it ended with {_describe(status)}"
        if worker.generation != self._serving:
            _log.warning("nothing was reloaded: %s", worker.why or f"a new worker was not ready when {how}")
            del self._shared[worker.generation]
            for other in self._of(worker.generation):
                self._dismiss(other)
        elif not self._started:
            _log.error(worker.why or f"a worker was not ready when {how}")
            self._failed = True
            self._stop()
        else:
            self._try_again(f"worker {worker.pid}: {worker.why or how}", failed=not worker.ready)

    def _try_again(self, why: str, *, failed: bool) -> None:
        self._failures = self._failures + 1 if failed else 0
        wait = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._not_before = time.monotonic() + wait
        _log.warning("%s; another one starts%s", why, f" in {wait:g} s" * (wait > 0))

    def _fork(self, generation: int) -> None:
        place = min(set(range(self._count)) - {worker.place for worker in self._of(generation)})
        if worker := self._begin(lambda lifeline: self._work(self._shared[generation], lifeline), generation, place):
            self._workers.append(worker)

    def _begin(self, life: Callable[[Lifeline], None], generation: int, place: int) -> _Worker | None:
        """A child that lives so; None if there can be none now."""
        line, end = os.pipe()
        os.set_blocking(line, False)
        sys.stdout.flush()
        sys.stderr.flush()
        # Held back, or a signal to a child that still has its parent's handlers would reach the parent.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED)
            os.close(line)
            os.close(end)
            self._try_again(f"no worker could be started: {error.strerror}", failed=True)
            return None
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED)
            os.close(end)
            now = time.monotonic()
            return _Worker(pid, line, generation, place, started=now, heard=now)
        status, lifeline = 1, Lifeline(end, place)
        try:
            _forget_parent([line, *(child.line for child in self._children)])
            lifeline.beat_until_ready()
            life(lifeline)
            status = 0
        except SentopicError as error:
            lifeline.tell_why(str(error))
        except BaseException:  # noqa: BLE001 - a worker must not become a second parent
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)


def _describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else str(status)


def _forget_parent(descriptors: list[int]) -> None:
    """A new worker leaves Ctrl-C and reloads to its parent, and ends with SIGTERM until it can do better."""
    wakeup = signal.set_wakeup_fd(-1)  # -1 where Python has forgotten it already
    for descriptor in [*descriptors, *([wakeup] if wakeup >= 0 else [])]:
        os.close(descriptor)
    for number in _HEEDED:
        signal.signal(number, signal.SIG_IGN if number in (signal.SIGINT, signal.SIGHUP) else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED)


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A descriptor from which the numbers of the signals that come can be read, one byte each."""
    wakeup, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    handlers = {number: signal.signal(number, lambda *_: None) for number in _HEEDED}
    try:
        yield wakeup
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(wakeup)
        os.close(end)
