"""`sentopic serve` as processes: what it prints, how it starts, fails and ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app import __version__
from app.settings import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc, which only Linux has")
TEXT = {"text": "A wonderful film, I loved it."}


def command(*options: str | Path) -> list[str]:
    return [sys.executable, "-m", "app.cli", "serve", *map(str, options)]


@contextmanager
def serving(*options: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and the first line that it prints."""
    with subprocess.Popen(command(*options), stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.terminate()


def fail(*options: str | Path, code: int = 1) -> str:
    """Runs a service that must not start, and returns its one line."""
    ran = subprocess.run(command(*options), capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert ran.returncode == code
    assert ran.stdout == ""
    if code == 1:
        assert ran.stderr.count("\n") == 1
        assert ran.stderr.startswith("sentopic: ")
    return ran.stderr


def address(line: str) -> str:
    found = re.search(r"http://[\d.]+:\d+", line)
    assert found, line
    return found.group()


def test_first_line_says_where_with_what_and_whether_keys_are_asked_for() -> None:
    with serving("--port", "0") as (_, line):
        assert re.fullmatch(
            rf"Sentopic {re.escape(__version__)} on http://127\.0\.0\.1:\d+ - engine onnx - "
            r"sentiment/\w+, sentiment/\w+, topic/\w+, topic/\w+ - no keys asked for\n",
            line,
        )


def test_only_the_bundles_named_are_served() -> None:
    with serving("--port", "0", "--bundle", SHIPPED / "topic" / "lstm") as (_, line):
        url = address(line)
        assert "topic/lstm" in line
        assert "sentiment" not in line
        assert httpx.post(f"{url}/predict/topic", json=TEXT).json()["model"] == "lstm"
        assert httpx.post(f"{url}/predict/sentiment", json=TEXT).json()["code"] == "unknown_task"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_answers_what_is_in_flight_and_ends_with_0(number: signal.Signals) -> None:
    with serving("--port", "0") as (process, line):
        url, answers = address(line), []
        texts = {"texts": ["a good film " * 2_000] * 20}

        def ask() -> None:
            answers.append(httpx.post(f"{url}/predict/sentiment/batch", json=texts, timeout=30))

        asker = threading.Thread(target=ask)
        asker.start()
        time.sleep(0.2)
        process.send_signal(number)
        asker.join()
        assert process.wait(15) == 0
        assert [answer.status_code for answer in answers] == [200]
        assert len(answers[0].json()["results"]) == 20


def test_stop_right_after_the_first_line_is_not_lost() -> None:
    """A regression: the signal fell between the line and the handlers of the server, and was swallowed."""
    for workers in ("1", "2"):
        for pause in (0, 0.01, 0.03):
            options = ("--port", "0", "--workers", workers, "--bundle", SHIPPED / "topic" / "gru")
            with serving(*options) as (process, _):
                time.sleep(pause)
                process.terminate()
                assert process.wait(20) == 0


def test_several_workers_answer_and_end_together() -> None:
    with serving("--port", "0", "--workers", "2", "--bundle", SHIPPED / "sentiment" / "gru") as (process, line):
        url, deadline = address(line), time.monotonic() + 30
        with httpx.Client(timeout=30) as client:
            assert client.post(f"{url}/predict/sentiment", json=TEXT).json()["label"] == "positive"
            assert client.post(f"{url}/predict/topic", json=TEXT).json()["code"] == "unknown_task"
        process.terminate()
        assert process.wait(max(1, deadline - time.monotonic())) == 0


def test_taken_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in fail("--port", str(port))


def test_directory_without_bundles_is_one_line(tmp_path: Path) -> None:
    assert f"{tmp_path}: no bundle stands there" in fail("--port", "0", "--artifacts", tmp_path)


def test_missing_bundle_is_one_line(tmp_path: Path) -> None:
    assert "bundle.json: no such file" in fail("--port", "0", "--bundle", tmp_path / "none")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_altered_bundle_never_becomes_ready(tmp_path: Path, workers: str) -> None:
    bundle = Path(shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "gru"))
    data = bytearray((bundle / "model.keras").read_bytes())
    data[-1000] ^= 1
    (bundle / "model.keras").write_bytes(data)
    line = fail("--port", "0", "--bundle", bundle, "--workers", workers)
    assert f"{bundle / 'model.keras'}: it is not the file that was sealed" in line


def test_two_bundles_of_one_name_are_refused(tmp_path: Path) -> None:
    bundle = shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "gru")
    assert "there is another bundle of topic/gru" in fail(
        "--port", "0", "--bundle", bundle, "--bundle", SHIPPED / "topic" / "gru"
    )


def test_wrong_use_exits_with_2() -> None:
    assert "usage:" in fail("--engine", "cuda", code=2)
    assert "usage:" in fail("--no-such-option", code=2)


@needs_proc
def test_no_tensorflow_is_loaded_by_a_serving_process() -> None:
    with serving("--port", "0") as (process, line):
        assert httpx.post(f"{address(line)}/predict/sentiment", json=TEXT).status_code == 200
        assert "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text()
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident
        assert int(resident.group(1)) < 200 * 1024


@needs_proc
def test_worker_that_cannot_start_again_ends_them_all_with_1(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "gru"))
    with serving("--port", "0", "--workers", "2", "--bundle", bundle) as (process, line):
        with httpx.Client(timeout=30) as client:
            assert client.get(f"{address(line)}/health/ready").status_code == 200
        (bundle / "words.txt").write_bytes(b"other")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), signal.SIGKILL)
        assert process.wait(30) == 1


def test_environment_variable_is_a_setting_of_serve() -> None:
    environment = {**os.environ, "SENTOPIC_PORT": "0", "SENTOPIC_ENGINE": "nonsense"}
    ran = subprocess.run(command(), capture_output=True, text=True, cwd=ROOT, env=environment, timeout=30, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("sentopic: SENTOPIC_ENGINE")
