"""Workers under one parent: replaced, reloaded, ended; and what is told of it. Each scene is a program of its own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc, which only Linux has")

PLAY = """
import os, signal, sys, time
from pathlib import Path
from app import child, logs, supervisor
from app.errors import StartError
from app.supervisor import Supervisor

logs.configure("text")
child.BEAT_S = 0.3
child.HUNG_AFTER_S = supervisor.HUNG_AFTER_S = 0.6
child.STUCK_AFTER_S, supervisor.BACKOFF_S = 1.5, (0.0, 0.3)
here, workers, stop_s, ends = Path({here!r}), 2, 5.0, []

def read():
    if (here / "hangs").exists():
        time.sleep(3_600)
    if (here / "crashes").exists():
        os.kill(os.getpid(), signal.SIGSEGV)
    if (here / "unreadable").exists():
        raise StartError("it cannot be read")
    return (here / "what").read_text()

def live(lifeline):
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    lifeline.tell_ready()
    while lifeline.beat() and not ends:
        time.sleep(0.02)

def work(what, lifeline):
    live(lifeline)

{scene}
tell = lambda *words: print(*words, flush=True)
status = Supervisor(workers, read, work, stop_s=stop_s).run(lambda what: tell("ready", what), lambda: tell("stopped"))
sys.exit(status)
"""

DEAF = """
def work(what, lifeline):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lifeline.tell_ready()
    while lifeline.beat():
        time.sleep(0.02)
"""


class Play:
    """A supervisor that runs, and what it says."""

    def __init__(self, process: subprocess.Popen[str], here: Path) -> None:
        self.process, self.here = process, here

    @property
    def workers(self) -> list[int]:
        return sorted(map(int, Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()))

    @property
    def said(self) -> str:
        return (self.here / "stderr").read_text()

    def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def send(self, number: int) -> None:
        self.process.send_signal(number)


@contextmanager
def playing(here: Path, scene: str = "", *, starts: bool = True) -> Iterator[Play]:
    (here / "what").write_text("first")
    program = PLAY.format(here=str(here), scene=textwrap.dedent(scene))
    with (here / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT
        )
    with process:
        play = Play(process, here)
        try:
            if starts:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready first\n"
            yield play
        finally:
            for pid in [*play.workers, process.pid] if process.poll() is None else []:
                os.kill(pid, signal.SIGKILL)


def test_parent_has_one_thread_and_as_many_workers_as_asked_for(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        assert len(play.workers) == 2
        assert len(list(Path(f"/proc/{play.process.pid}/task").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_end_together_with_0_and_nothing_to_say(tmp_path: Path, number: int) -> None:
    with playing(tmp_path) as play:
        play.send(number)
        assert play.process.wait(5) == 0
        assert play.said == ""
        assert play.process.stdout is not None
        assert play.process.stdout.read() == "stopped\n"


def test_killed_worker_is_replaced(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        dies, lives = play.workers
        os.kill(dies, signal.SIGKILL)
        play.until(lambda: len(play.workers) == 2 and dies not in play.workers)
        assert lives in play.workers
        assert play.said == f"sentopic: worker {dies}: it ended with SIGKILL; another one starts\n"


def test_silent_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        hangs, lives = play.workers
        os.kill(hangs, signal.SIGSTOP)
        play.until(lambda: len(play.workers) == 2 and hangs not in play.workers)
        assert lives in play.workers
        assert f"worker {hangs} does not answer and is killed" in play.said


def test_worker_that_dies_before_it_is_ready_is_tried_again_after_a_while(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        with (here / "starts").open("a") as starts:
            print(time.monotonic(), file=starts)
        if (here / "broken").exists():
            raise StartError("no memory")
        live(lifeline)
    """
    with playing(tmp_path, scene) as play:
        (tmp_path / "broken").touch()
        os.kill(play.workers[0], signal.SIGKILL)
        play.until(lambda: play.said.count("no memory; another one starts in 0.3 s") >= 3)
        (tmp_path / "broken").unlink()
        play.until(lambda: len(play.workers) == 2)
        starts = [float(line) for line in (tmp_path / "starts").read_text().split()]
        assert all(later - earlier >= 0.3 for earlier, later in pairwise(starts[3:]))


def test_system_that_cannot_fork_for_a_while_is_asked_again(tmp_path: Path) -> None:
    scene = """
    fork = os.fork
    def refuse_once():
        if (here / "crowded").exists():
            (here / "crowded").unlink()
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()
    os.fork = refuse_once
    """
    with playing(tmp_path, scene) as play:
        (tmp_path / "crowded").touch()
        dies, lives = play.workers
        os.kill(dies, signal.SIGKILL)
        play.until(lambda: "no worker could be started: Resource temporarily unavailable; another one" in play.said)
        play.until(lambda: len(play.workers) == 2)
        assert lives in play.workers


ROOM = {
    "for a process": "os.fork = lambda fork=os.fork: refuse(OSError(11, 'no room')) or fork()",
    "for a pipe": "os.pipe = lambda pipe=os.pipe: refuse(OSError(24, 'no room')) or pipe()",
    "for a thread": """
import threading
threading.Thread.start = lambda self, start=threading.Thread.start: refuse(RuntimeError('no room')) or start(self)
""",
}
"""What a system that is full lacks."""

REFUSE = """
def refuse(error):
    if (here / "crowded").exists():
        raise error
"""


@pytest.mark.parametrize("place", ROOM.values(), ids=ROOM)
def test_system_without_room_is_asked_again_for_a_reload_and_for_a_worker(tmp_path: Path, place: str) -> None:
    with playing(tmp_path, REFUSE + place) as play:
        dies, lives = play.workers
        (tmp_path / "what").write_text("second")
        (tmp_path / "crowded").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: play.said.count("no reload could begin: no room; it is tried again in 0.3 s") >= 2)
        os.kill(dies, signal.SIGKILL)
        play.until(lambda: play.said.count("no room; another one starts in 0.3 s") >= 2)
        assert lives in play.workers
        (tmp_path / "crowded").unlink()
        play.until(lambda: "2 new workers answer" in play.said)
        play.until(lambda: len(play.workers) == 2)


def test_reload_starts_new_workers_before_the_old_ones_go(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        if what == "second":
            while not (here / "go").exists():
                time.sleep(0.02)
        live(lifeline)
    """
    with playing(tmp_path, scene) as play:
        old = play.workers
        (tmp_path / "what").write_text("second")
        play.send(signal.SIGHUP)
        play.until(lambda: len(play.workers) == 4)
        time.sleep(0.1)
        assert set(old) < set(play.workers)
        (tmp_path / "go").touch()
        play.until(lambda: len(play.workers) == 2)
        assert not set(old) & set(play.workers)
        assert play.said == "sentopic: reloaded: 2 new workers answer\n"


def test_reload_that_is_asked_for_during_another_one_comes_after_it(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        if what == "second":
            while not (here / "go").exists():
                time.sleep(0.02)
        (here / f"{what} was served").touch()
        live(lifeline)
    """
    with playing(tmp_path, scene) as play:
        for what in ("second", "third"):
            (tmp_path / "what").write_text(what)
            play.send(signal.SIGHUP)
            play.until(lambda: len(play.workers) == 4)
        (tmp_path / "go").touch()
        play.until(lambda: (tmp_path / "third was served").exists() and len(play.workers) == 2)
        assert play.said.count("2 new workers answer") == 2


def test_reload_of_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        old = play.workers
        (tmp_path / "unreadable").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: play.said == "sentopic: nothing was reloaded: it cannot be read\n")
        assert play.workers == old
        os.kill(old[0], signal.SIGKILL)  # what was read at first is still there for another one
        play.until(lambda: len(play.workers) == 2 and old[0] not in play.workers)


def test_reload_that_fails_in_a_way_nobody_foresaw_is_no_end_either(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        old = play.workers
        (tmp_path / "what").unlink()
        play.send(signal.SIGHUP)
        play.until(lambda: "FileNotFoundError" in play.said)
        play.until(lambda: play.said.endswith("sentopic: nothing was reloaded: reading it ended with 1\n"))
        assert play.workers == old
        (tmp_path / "what").write_text("second")
        play.send(signal.SIGHUP)
        play.until(lambda: "2 new workers answer" in play.said)


def test_reload_that_hangs_keeps_the_parent_from_nothing(tmp_path: Path) -> None:
    """It once read by itself, and nobody was replaced and nothing ended for as long as a share did not answer."""
    with playing(tmp_path) as play:
        old = play.workers
        (tmp_path / "hangs").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: len(play.workers) == len(old) + 1)
        os.kill(old[0], signal.SIGKILL)
        play.until(lambda: len(set(play.workers) - set(old)) == 2)
        play.send(signal.SIGTERM)
        assert play.process.wait(5) == 0


def test_reload_that_takes_its_time_is_told_once(tmp_path: Path) -> None:
    with playing(tmp_path, "supervisor.SILENT_S = 0.2") as play:
        (tmp_path / "hangs").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: "bundles are still being read, after 0.2 s" in play.said)
        time.sleep(0.5)
        assert play.said.count("still being read") == 1


@pytest.mark.parametrize(
    ("limits", "number", "why"),
    [
        ("supervisor.START_S = child.START_S = 1.0", signal.SIGCONT, "reading it took longer than 1 s"),
        ("", signal.SIGSTOP, "reading it has stopped"),
    ],
    ids=["hangs", "stopped"],
)
def test_reload_that_never_ends_is_given_up(tmp_path: Path, limits: str, number: int, why: str) -> None:
    with playing(tmp_path, limits) as play:
        old = play.workers
        (tmp_path / "hangs").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: len(play.workers) == len(old) + 1)
        (scout,) = set(play.workers) - set(old)
        os.kill(scout, number)
        play.until(lambda: play.said == f"sentopic: nothing was reloaded: {why}\n")
        assert play.workers == old


def test_reload_that_hangs_ends_with_its_parent(tmp_path: Path) -> None:
    """It has the sockets on which nobody would answer any more."""
    with playing(tmp_path) as play:
        old = play.workers
        (tmp_path / "hangs").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: len(play.workers) == len(old) + 1)
        orphans = play.workers
        play.process.kill()
        play.process.wait()
        play.until(lambda: not any(is_alive(pid) for pid in orphans))


def test_reload_that_crashes_takes_nobody_with_it(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        old = play.workers
        (tmp_path / "crashes").touch()
        play.send(signal.SIGHUP)
        play.until(lambda: play.said == "sentopic: nothing was reloaded: reading it ended with SIGSEGV\n")
        assert play.workers == old


def test_reload_whose_workers_cannot_start_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        if what == "second":
            raise StartError("golden text 1 is not reproduced")
        live(lifeline)
    """
    with playing(tmp_path, scene) as play:
        old = play.workers
        (tmp_path / "what").write_text("second")
        play.send(signal.SIGHUP)
        play.until(lambda: play.said != "" and play.workers == old)
        assert play.said == "sentopic: nothing was reloaded: golden text 1 is not reproduced\n"
        (tmp_path / "what").write_text("third")
        play.send(signal.SIGHUP)
        play.until(lambda: "2 new workers answer" in play.said)


def test_worker_that_does_not_end_is_killed_in_time(tmp_path: Path) -> None:
    with playing(tmp_path, f"stop_s = 0.5\n{DEAF}") as play:
        started = time.monotonic()
        play.send(signal.SIGTERM)
        assert play.process.wait(5) == 0
        assert time.monotonic() - started >= 0.5
        assert play.said.count("does not end and is killed") == 2


def test_second_ctrl_c_waits_for_nobody(tmp_path: Path) -> None:
    with playing(tmp_path, f"stop_s = 60\n{DEAF}") as play:
        play.send(signal.SIGINT)
        time.sleep(0.2)
        assert len(play.workers) == 2
        play.send(signal.SIGINT)
        assert play.process.wait(5) == 0


def test_second_sigterm_hurries_nobody(tmp_path: Path) -> None:
    """Whoever stops a group of processes sends it to parent and workers, and often twice."""
    scene = """
    def work(what, lifeline):
        signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
        lifeline.tell_ready()
        while not ends:
            time.sleep(0.02)
        for _ in range(50):
            time.sleep(0.02)
            lifeline.beat()
        (here / f"{lifeline.place} answered all").touch()
    """
    with playing(tmp_path, scene) as play:
        play.send(signal.SIGTERM)
        time.sleep(0.2)
        play.send(signal.SIGTERM)
        assert play.process.wait(5) == 0
        assert play.said == ""
        assert len(list(tmp_path.glob("* answered all"))) == 2


def test_first_workers_that_cannot_start_are_status_1_and_one_line(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        raise StartError("golden text 1 is not reproduced")
    """
    with playing(tmp_path, scene, starts=False) as play:
        assert play.process.wait(5) == 1
        assert play.said == "sentopic: golden text 1 is not reproduced\n"


def test_worker_that_is_killed_while_it_starts_is_told(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        os.kill(os.getpid(), signal.SIGSEGV)
    """
    with playing(tmp_path, scene, starts=False) as play:
        assert play.process.wait(5) == 1
        assert play.said == "sentopic: a worker was not ready when it ended with SIGSEGV\n"


def test_workers_of_a_parent_that_was_killed_end_by_themselves(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        orphans = play.workers
        play.process.kill()
        play.process.wait()
        play.until(lambda: not any(is_alive(pid) for pid in orphans))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_time_in_which_all_stood_still_is_nobodys_silence(tmp_path: Path) -> None:
    """As when a container is paused, or a machine sleeps."""
    with playing(tmp_path) as play:
        before = play.workers
        everybody = [play.process.pid, *before]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2.5)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
        assert play.workers == before
        assert play.said == ""


def test_worker_that_hangs_while_it_starts_is_killed_and_replaced(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        if (here / "stuck").exists():
            (here / "stuck").unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        live(lifeline)
    """
    with playing(tmp_path, scene) as play:
        (tmp_path / "stuck").touch()
        dies, lives = play.workers
        os.kill(dies, signal.SIGKILL)
        play.until(lambda: "does not answer and is killed" in play.said)
        play.until(lambda: len(play.workers) == 2 and lives in play.workers)


def test_worker_that_takes_its_time_to_start_is_let(tmp_path: Path) -> None:
    scene = """
    def work(what, lifeline):
        time.sleep(2)
        live(lifeline)
    """
    with playing(tmp_path, scene) as play:
        assert play.said == ""
