"""Opens bundles as the service does, and tells what Python and the system did meanwhile. A program of its own.

Reads a JSON document from standard input (`Asked`) and prints one line of JSON for each bundle (`Seen`).
"""

import ctypes
import json
import os
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import h5py


class Asked(TypedDict):
    engine: str
    control: str
    canaries: str
    """A directory whose files nobody may open."""
    early: list[str]
    """Bundles that must be refused before an engine is so much as imported."""
    late: list[str]


class Seen(TypedDict):
    bundle: str
    error: str
    kind: str
    events: list[str]
    """What it must not have brought about: sockets, processes, code, files opened outside the bundle."""
    grown_mb: float
    """How much the process' peak of memory rose."""
    keras: bool
    """Whether Keras or TensorFlow has been imported by now."""


_NEVER = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "urllib.",
    "http.",
    "ftplib.",
    "pickle.",
    "ctypes.dlopen",
    "webbrowser.",
)
_NOT_WHILE_READING = (
    *("exec", "compile", "import", "marshal.", "code.__new__"),
    *("tempfile.", "shutil.", "os.mkdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.chmod"),
)
"""The keras engine does these, as it gives Keras a file; whatever is refused before it does none of them."""

_IN_ACCESS, _IN_OPEN = 0x1, 0x20
_EVENT = struct.Struct("iIII")


class Guard:
    def __init__(self, canaries: str) -> None:
        self._events: list[str] | None = None
        self._inside, self._strict = "", True
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._notices = self._watch(canaries)
        sys.addaudithook(self._hear)

    def _watch(self, folder: str) -> int:
        """HDF5 opens files in C, of which Python hears nothing; the system does."""
        if not hasattr(self._libc, "inotify_init1"):
            return -1
        descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in (folder, *Path(folder).iterdir()):  # the files too, for whoever comes by another name
            assert self._libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_ACCESS | _IN_OPEN) > 0
        return descriptor

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._events is None:
            return
        if event == "open":
            path, _, flags = arguments
            if self._strict and isinstance(path, str | bytes) and not os.fsdecode(path).startswith(self._inside):
                self._events.append(f"open {os.fsdecode(path)}")
            elif self._strict and flags & (os.O_WRONLY | os.O_RDWR):
                self._events.append(f"open for writing {path!r}")
        elif event.startswith(_NEVER) or (self._strict and event.startswith(_NOT_WHILE_READING)):
            self._events.append(f"{event} {arguments!r:.200}")

    @contextmanager
    def watching(self, inside: str, *, strict: bool) -> Iterator[list[str]]:
        """Collects what happens. `strict`: not even files elsewhere are opened, and nothing is imported."""
        self._drain()
        events: list[str] = []
        self._inside, self._strict = f"{inside}/", strict
        self._events = events
        try:
            yield events
        finally:
            self._events = None
        events += [f"canary touched: {name}" for name in self._drain()]

    def _drain(self) -> list[str]:
        found = list[str]()
        while self._notices >= 0:
            try:
                data = os.read(self._notices, 65_536)
            except BlockingIOError:
                break
            while data:
                *_, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode()
                data = data[_EVENT.size + length :]
                found.append(name)
        return found


def peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    from app.bundle import read_bundle
    from app.engines.open import open_engine

    asked: Asked = json.load(sys.stdin)
    engine: Any = asked["engine"]
    guard = Guard(asked["canaries"])

    def serve(path: str) -> None:
        open_engine(read_bundle(Path(path)), engine)

    def look(path: str, *, strict: bool, action: Callable[[str], object] = serve) -> None:
        error: BaseException | None = None
        before = peak_mb()
        with guard.watching(path, strict=strict) as events:
            try:
                action(path)
            except BaseException as raised:  # noqa: BLE001 - a traceback would be the finding
                error = raised
        grown = peak_mb() - before
        keras = bool({"keras", "tensorflow"} & sys.modules.keys())
        kind = "none" if error is None else type(error).__name__
        seen = Seen(bundle=path, error=str(error), kind=kind, events=events, grown_mb=grown, keras=keras)
        print(json.dumps(seen), flush=True)

    read_bundle(Path(asked["control"]))  # imports what reading needs
    for path in asked["early"]:
        look(path, strict=True)
    serve(asked["control"])
    for path in asked["late"]:
        look(path, strict=False)
    look(asked["control"], strict=False)
    look("proof", strict=True, action=lambda _: misbehave(asked["canaries"]))


def misbehave(canaries: str) -> None:
    """All that a bundle must not do, to show that it would be noticed."""
    with h5py.File(Path(canaries) / "canary.h5", "r"):
        pass
    Path(__file__).read_bytes()
    socket.getaddrinfo("localhost", 0)
    socket.create_server(("127.0.0.1", 0)).close()
    os.system("true")
    exec("import colorsys")


if __name__ == "__main__":
    main()
