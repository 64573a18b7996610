"""A child process that shares what its parent has read, and its line to its parent, on which it says how it is.

starting -> ready -> (dismissed: SIGTERM) -> gone
"""

import contextlib
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from app.errors import SentopicError

BEAT_S: Final = 1.0
"""How often a child says that it is alive."""

HUNG_AFTER_S: Final = 5.0
"""One that has not been heard of for so long is hung: nothing that a worker does keeps its event loop half as long."""

START_S: Final = 300.0
"""Longest time until one is ready: a GPU's kernels are compiled first."""

STUCK_AFTER_S: Final = 30.0
"""As `HUNG_AFTER_S`, for one that starts: what it loads may keep its threads from saying anything for a while."""

NO_ROOM: Final = os.EX_TEMPFAIL
"""How a child ends that could not begin, as the system had no room for a thread of its."""

HEEDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""The signals that a parent handles."""

_READY, _BEAT, _WHY = b"r", b".", b"!"
_WHY_BYTES: Final = 2_000


class Lifeline:
    """A child's line to its parent; `place`: its number among those of its generation, from 0."""

    def __init__(self, descriptor: int, place: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self.place = descriptor, place
        self._ready = threading.Event()

    def beat_until_ready(self) -> None:
        """In a thread, while whatever must be loaded is loaded. Ends the process if nobody is there to hear it.

        Raises RuntimeError if there can be no thread.
        """

        def beat() -> None:
            while not self._ready.wait(BEAT_S):
                if not self.beat():
                    os._exit(1)  # it may hang for ever in what it loads, with its parent's sockets

        threading.Thread(target=beat, name="starting", daemon=True).start()

    def tell_ready(self) -> None:
        self._ready.set()
        self._say(_READY)

    def beat(self) -> bool:
        """Says that it is alive. False: the parent is not."""
        return self._say(_BEAT)

    def tell_why(self, why: str) -> None:
        """Its last words, for the parent to pass on: once, however many children end for the same reason."""
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
class Child:
    """What its parent knows of a child."""

    pid: int
    line: int
    started: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
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

    def dismiss(self, within_s: float) -> None:
        """Lets it end by itself, for so long."""
        if not self.dismissed:
            self.kill_at = time.monotonic() + within_s
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def bury(self) -> int | None:
        """Its status, or the signal that ended it as a negative number, once. None: it lives."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.listen()
        os.close(self.line)
        return os.waitstatus_to_exitcode(status)


def begin(life: Callable[[Lifeline], None], place: int, siblings: Iterable[Child]) -> Child:
    """A child that lives so. It ends with 0, with `NO_ROOM`, or with 1 after a SentopicError, which it tells.

    For a process of one thread. `siblings`: its other children. Raises OSError if the system has no room for one.
    """
    line, end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # Held back, or a signal to a child that still has its parent's handlers would reach the parent.
    signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
        os.close(line)
        os.close(end)
        raise
    if not pid:
        _live(life, Lifeline(end, place), [line, *(sibling.line for sibling in siblings)])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
    os.close(end)
    os.set_blocking(line, False)
    return Child(pid, line)


def _live(life: Callable[[Lifeline], None], lifeline: Lifeline, inherited: list[int]) -> NoReturn:
    status = 1
    try:
        _forget_parent(inherited)
        try:
            lifeline.beat_until_ready()
        except RuntimeError as error:
            status = NO_ROOM
            lifeline.tell_why(str(error))
        else:
            life(lifeline)
            status = 0
    except SentopicError as error:
        lifeline.tell_why(str(error))
    except BaseException:  # noqa: BLE001 - a child must not become a second parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _forget_parent(descriptors: list[int]) -> None:
    """A child leaves Ctrl-C and reloads to its parent, and ends with SIGTERM until it can do better."""
    wakeup = signal.set_wakeup_fd(-1)  # -1 where Python has forgotten it already
    for descriptor in [*descriptors, *([wakeup] if wakeup >= 0 else [])]:
        os.close(descriptor)
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN if number in (signal.SIGINT, signal.SIGHUP) else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)


def describe(status: int) -> str:
    """What `bury` gives, for people."""
    return signal.Signals(-status).name if status < 0 else str(status)
