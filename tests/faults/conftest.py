"""Services of their own for tests that harm them, and sockets to do it with."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Running:
    """A service on loopback, and its process (the parent, where there are several workers)."""

    process: subprocess.Popen[str]
    url: str

    def connect(self, timeout_s: float = 30) -> socket.socket:
        host, port = self.url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout_s)

    def status(self, sent: bytes) -> bytes:
        """The status lines that come back, joined by a space, once the service has closed the connection."""
        with self.connect() as line:
            line.sendall(sent)
            return b" ".join(re.findall(rb"HTTP/1\.1 (\d+) ", read_all(line)))

    @property
    def memory_mb(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found
        return int(found.group(1)) / 1024


def read_all(line: socket.socket) -> bytes:
    """Until the other side closes, in whatever way."""
    found = bytearray()
    try:
        while piece := line.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return bytes(found)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts `sentopic serve` with settings by their names; the services end with the test."""
    with starting() as serve:
        yield serve


@pytest.fixture(scope="module")
def start_once() -> Iterator[Callable[..., Running]]:
    """As `start`; the services end with the module's last test."""
    with starting() as serve:
        yield serve


@contextmanager
def starting() -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def serve(*options: str, program: Sequence[str] = ("-m", "app.cli"), **settings: object) -> Running:
            settings.setdefault("jobs", stack.enter_context(TemporaryDirectory()))
            environment = {f"SENTOPIC_{name.upper()}": str(value) for name, value in settings.items()}
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *program, "serve", "--port", "0", *options],
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=ROOT,
                    env={**os.environ, **environment},
                )
            )
            stack.callback(process.send_signal, signal.SIGINT)  # which waits for no idle connection
            assert process.stdout is not None
            found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
            assert found
            return Running(process, found.group())

        yield serve
