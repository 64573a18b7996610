"""A process with Ray in it. Ray ends its process when a cluster's head is lost, takes signals for itself and talks a
lot on standard error: none of that is for a service or a command.

It ends with its parent, however that ends: its standard input is then at its end.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryFile
from typing import IO, Any, Final, NoReturn, TypeVar

from app.cluster.link import explain
from app.errors import ClusterError, SentopicError, UsageError

Request = TypeVar("Request")

_ROOT: Final = Path(__file__).resolve().parents[2]
_ENDING_S: Final = 10.0


class Child:
    """`module`: a program of this package. `stdin`, `stdout`: pipes to it."""

    def __init__(self, module: str) -> None:
        self._log = TemporaryFile()  # noqa: SIM115 - as long as the child
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for its parent
        )
        self.stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment] # it is a pipe
        self.stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]

    def explain(self) -> ClusterError:
        """Why it ended without a word."""
        self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        if any("GCS" in line for line in lines[-20:]):
            return ClusterError("the cluster is lost: its head does not answer any more")
        return ClusterError(f"the cluster is lost{f' ({lines[-1]})' if lines else ''}")

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends it, if it has not ended."""
        for pipe in (self.stdin, self.stdout):
            try:
                pipe.close()
            except OSError:  # what it was to be told yet
                continue
        try:
            self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """In the child: what comes from its parent, and what goes there; whatever else is printed goes to the log."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, out


def report(read: Callable[[IO[bytes]], Request], work: Callable[[Request], Iterable[dict[str, Any]]]) -> NoReturn:
    """In the child: tells its parent, a line of JSON each, what `work` gives for its request, and at last how it ended.

    After what says `ready`, it goes on when its parent says a line. The end of its standard input ends the process at
    once, and with it the work on all machines.
    """
    source, out = take_pipes()
    request = read(source)
    said = SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(source, said), daemon=True).start()
    try:
        for told in work(request):
            _say(out, told)
            if "ready" in told:
                said.get()
    except SentopicError as error:
        _say(out, {"fault": str(error), "usage": isinstance(error, UsageError)})
    except Exception as error:  # noqa: BLE001 - Ray's, of whatever kind
        _say(out, {"fault": str(explain(error))})
    else:
        _say(out, {"end": True})
    os._exit(0)  # Ray ends what runs elsewhere when its driver is gone


def _listen(parent: IO[bytes], said: SimpleQueue[bytes]) -> None:
    for line in parent:
        said.put(line)
    os._exit(1)


def _say(out: IO[bytes], told: dict[str, Any]) -> None:
    out.write(json.dumps(told).encode() + b"\n")
    out.flush()
