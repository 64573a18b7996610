"""Files on a share that does not answer, here a pipe that nobody writes to: the service says so, and can be ended."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import keys
from app.settings import SHIPPED
from tests.faults.conftest import Running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes that have names")

SOON = """
import sys
import app.main, app.server
app.server._STOP_S, app.server._ENDING_S, app.main._SILENT_S = 0.5, 0.5, 0.5
from app.cli import main
sys.exit(main())
"""
"""The service, which waits for a second where it would wait for a minute."""

ONCE = """
import time
import app.main, app.server
app.server._SILENT_S, really, read = 0.5, app.main.read_bundles, []
def hang(settings):
    read.append(settings)
    time.sleep(3_600 if len(read) > 1 else 0)
    return really(settings)
app.main.read_bundles = hang
"""
"""Bundles that can be read but once."""


@pytest.mark.parametrize("asked", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["SIGTERM", "Ctrl-C twice"])
def test_service_ends_in_time_though_its_keys_cannot_be_read(
    start: Callable[..., Running], tmp_path: Path, capfd: pytest.CaptureFixture[str], asked: list[signal.Signals]
) -> None:
    """It once waited for as long as the share did: Kubernetes, or whoever asked, had to kill it."""
    store = tmp_path / "keys"
    keys.create(keys.open_store(str(store)), "one", ["predict"])
    service = start(
        "--bundle", str(SHIPPED / "topic" / "gru"),
        program=("-c", SOON), keys=store, client_timeout_s=0.5, keep_alive_s=0.5,
    )  # fmt: skip
    store.unlink()
    os.mkfifo(store)
    time.sleep(keys.REFRESH_S + 2)
    for number in asked:
        service.process.send_signal(number)
        time.sleep(0.2)
    assert service.process.wait(10) == 1
    told = capfd.readouterr().err.splitlines()
    assert told[:-1] == ["sentopic: keys are as they were read last: their store does not answer"]
    assert told[-1].startswith("sentopic: ended although something hangs, among the threads MainThread, ")
    assert "keys_0" in told[-1]


def test_service_takes_nothing_more_and_ends_in_time_though_a_reload_hangs(
    start: Callable[..., Running], capfd: pytest.CaptureFixture[str]
) -> None:
    """It once went on to take requests for as long as it might, and then broke off those that it had."""
    service = start(
        "--bundle", str(SHIPPED / "topic" / "gru"), program=("-c", ONCE + SOON), client_timeout_s=0.5, keep_alive_s=0.5
    )
    service.process.send_signal(signal.SIGHUP)
    time.sleep(1.5)
    assert service.status(b"GET /health/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n") == b"200"
    service.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    with pytest.raises(ConnectionRefusedError):
        service.connect()
    assert service.process.wait(10) == 1
    told = capfd.readouterr().err.splitlines()
    assert told[0] == "sentopic: bundles are still being read, after 0.5 s: those before them go on"
    assert told[1].startswith("sentopic: ended although something hangs, ")
