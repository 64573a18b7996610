"""`sentopic serve` as processes: what it prints, how it starts, fails and ends."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
def serving(*options: str | Path, stderr: IO[str] | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and the first line that it prints."""
    with subprocess.Popen(command(*options), stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.terminate()


def fail(*options: str | Path, code: int = 1, cwd: Path = ROOT, lines: int = 1, files: int = 0) -> str:
    """Runs a service that must not start, and returns its one line. Permissions count, even for root.

    `files`: it may open no more.
    """
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    bounded = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"] if files else []
    line, environment = [*powerless, *bounded, *command(*options)], {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, timeout=30, check=False)
    assert ran.returncode == code
    assert ran.stdout == ""
    if lines:
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


@pytest.mark.parametrize("workers", ["1", "2"])
def test_limit_on_open_files_that_leaves_no_connections_is_one_line(workers: str) -> None:
    told = fail("--port", "0", "--workers", workers, files=140)
    assert told == "sentopic: too few open files are allowed: 140, of at least 144 (ulimit -n)\n"


def test_directory_without_bundles_is_one_line(tmp_path: Path) -> None:
    told = fail("--port", "0", "--artifacts", tmp_path, "--host", "0.0.0.0")
    assert f"{tmp_path}: no bundle stands there" in told


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


@pytest.mark.parametrize(
    ("closed", "mode", "named", "workers"),
    [
        ("topic/gru", 0, "topic/gru/bundle.json", "1"),  # a regression: it was looked up whether that is a link
        ("topic/gru", 0o311, "topic/gru", "1"),
        ("topic/gru", 0o311, "topic/gru", "2"),
        ("topic", 0, "topic", "1"),  # a regression: only the other task was served
        (".", 0, "", "1"),
        ("topic/gru/words.txt", 0, "topic/gru/words.txt", "1"),
    ],
)
def test_what_may_not_be_read_is_one_line(tmp_path: Path, closed: str, mode: int, named: str, workers: str) -> None:
    artifacts = tmp_path / "artifacts"
    shutil.copytree(SHIPPED / "topic" / "gru", artifacts / "topic" / "gru")
    shutil.copytree(SHIPPED / "sentiment" / "gru", artifacts / "sentiment" / "gru")
    (artifacts / closed).chmod(mode)
    try:
        told = fail("--port", "0", "--artifacts", artifacts, "--workers", workers)
    finally:
        (artifacts / closed).chmod(0o700)
    assert told == f"sentopic: {artifacts / named}: permission denied\n"


def test_file_of_settings_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").touch(mode=0)
    assert fail(code=2, cwd=tmp_path) == "sentopic: .env: permission denied\n"


@pytest.mark.parametrize(("jobs", "whose"), [("jobs", "jobs'"), ("", "feedback's")])
def test_database_out_of_reach_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jobs: str, whose: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("SENTOPIC_JOBS", str(tmp_path / jobs) if jobs else "")
    monkeypatch.setenv("SENTOPIC_DATABASE", f"postgresql+pg8000://sentopic:secret@127.0.0.1:{port}/sentopic")
    for workers in ("1", "2"):
        told = fail("--port", "0", "--workers", workers, "--bundle", SHIPPED / "topic" / "gru")
        assert told.startswith(f"sentopic: the {whose} database: ")
        assert "secret" not in told


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="needs a machine without a GPU")
def test_gpu_that_is_asked_for_and_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTOPIC_REQUIRE_GPU", "true")
    for workers in ("1", "2"):
        told = fail("--port", "0", "--workers", workers, "--bundle", SHIPPED / "topic" / "gru")
        why = "no NVIDIA device is there"
        assert told == f"sentopic: a GPU is asked for (SENTOPIC_REQUIRE_GPU), but {why}\n"


def test_two_bundles_of_one_name_are_refused(tmp_path: Path) -> None:
    bundle = shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "gru")
    assert "there is another bundle of topic/gru" in fail(
        "--port", "0", "--bundle", bundle, "--bundle", SHIPPED / "topic" / "gru"
    )


def test_service_that_others_can_reach_without_keys_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for host, loud in (("0.0.0.0", True), ("127.0.0.1", False)):
        with log.open("w") as stderr, serving("--port", "0", "--host", host, stderr=stderr) as (_, line):
            assert "no keys asked for" in line
        assert ("WARNING: whoever reaches 0.0.0.0:" in log.read_text()) == loud


def test_several_workers_that_could_not_count_together_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTOPIC_RATE", "5/second")
    assert "SENTOPIC_RATE_STORAGE=redis://" in fail("--port", "0", "--workers", "2")


def test_keys_that_cannot_be_read_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SENTOPIC_KEYS", str(tmp_path / "keys"))
    for workers in ("1", "2"):
        assert "keys: no such file or directory" in fail("--port", "0", "--workers", workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_only_trusted_bundles_are_served(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    seals = {
        model: json.loads((SHIPPED / "topic" / model / "bundle.json").read_text())["sha256"]
        for model in ("gru", "lstm")
    }
    monkeypatch.setenv("SENTOPIC_TRUSTED_BUNDLES", json.dumps([seals["gru"]]))
    options = ("--port", "0", "--workers", workers, "--bundle", SHIPPED / "topic" / "gru")
    with serving(*options) as (_, line):
        assert "topic/gru" in line
    told = fail(*options, "--bundle", SHIPPED / "topic" / "lstm")
    assert f"{SHIPPED / 'topic' / 'lstm' / 'bundle.json'}: its SHA-256 is {seals['lstm']}, which is not among" in told


def test_wrong_use_exits_with_2() -> None:
    assert "usage:" in fail("--engine", "cuda", code=2, lines=0)
    assert "usage:" in fail("--no-such-option", code=2, lines=0)


@needs_proc
def test_no_tensorflow_is_loaded_by_a_serving_process() -> None:
    with serving("--port", "0") as (process, line):
        assert httpx.post(f"{address(line)}/predict/sentiment", json=TEXT).status_code == 200
        assert "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text()
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident
        assert int(resident.group(1)) < 200 * 1024


class Askers:
    """Clients that ask one thing after the other, each over one connection, until they are told to stop."""

    def __init__(self, url: str, clients: int = 8) -> None:
        self.answers = list[httpx.Response]()
        self.failures = list[httpx.HTTPError]()
        self._url, self._stop = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(f"{self._url}/predict/topic", json=TEXT)
                except httpx.ConnectError:  # nobody listens any more
                    return
                except httpx.HTTPError as error:
                    self.failures.append(error)
                    return
                self.answers.append(answer)

    @property
    def models(self) -> set[str]:
        return {answer.json()["model"] for answer in self.answers[-20:]}

    def __enter__(self) -> "Askers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def put_bundle(artifacts: Path, model: str) -> None:
    shutil.rmtree(artifacts, ignore_errors=True)
    shutil.copytree(SHIPPED / "topic" / model, artifacts / "topic" / model)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_reload_under_load_takes_new_bundles_and_loses_nothing(tmp_path: Path, workers: str) -> None:
    artifacts = tmp_path / "artifacts"
    put_bundle(artifacts, "gru")
    with serving("--port", "0", "--artifacts", artifacts, "--workers", workers) as (process, line):
        with Askers(address(line)) as askers:
            for model in ("lstm", "gru", "lstm"):
                until(lambda: len(askers.answers) > 20)
                put_bundle(artifacts, model)
                process.send_signal(signal.SIGHUP)
                until(lambda model=model: askers.models == {model})  # type: ignore[misc]
        assert askers.failures == []
        assert {answer.status_code for answer in askers.answers} == {200}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_reload_of_a_bad_bundle_is_one_line_and_the_old_one_goes_on(tmp_path: Path, workers: str) -> None:
    artifacts, log = tmp_path / "artifacts", tmp_path / "log"
    put_bundle(artifacts, "gru")
    options = ("--port", "0", "--artifacts", artifacts, "--workers", workers)
    with log.open("w") as stderr, serving(*options, stderr=stderr) as (process, line):
        words = artifacts / "topic" / "gru" / "words.txt"
        words.write_bytes(words.read_bytes().replace(b"wheat", b"wheet"))
        process.send_signal(signal.SIGHUP)
        until(log.read_text)
        why = f"{words}: it is not the file that was sealed (its SHA-256 differs)"
        assert log.read_text() == f"sentopic: nothing was reloaded: {why}\n"
        assert httpx.post(f"{address(line)}/predict/topic", json=TEXT).json()["model"] == "gru"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_stop_loses_no_request_of_clients_that_keep_their_connections(workers: str) -> None:
    options = ("--port", "0", "--bundle", SHIPPED / "topic" / "gru", "--workers", workers)
    with serving(*options) as (process, line), Askers(address(line)) as askers:
        until(lambda: len(askers.answers) > 50)
        process.terminate()
        assert process.wait(20) == 0
    assert askers.failures == []
    assert {answer.status_code for answer in askers.answers} == {200}


@needs_proc
def test_killed_worker_is_replaced_by_what_was_read_at_first(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "gru"))
    with serving("--port", "0", "--workers", "2", "--bundle", bundle) as (process, line):
        (bundle / "words.txt").write_bytes(b"other")

        def workers() -> list[int]:
            return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]

        for number in (signal.SIGKILL, signal.SIGSTOP):
            dies, lives = workers()
            os.kill(dies, number)
            until(lambda dies=dies: len(workers()) == 2 and dies not in workers())  # type: ignore[misc]
            assert lives in workers()
            assert httpx.post(f"{address(line)}/predict/topic", json=TEXT, timeout=30).status_code == 200


@needs_proc
def test_workers_share_what_none_of_them_changes() -> None:
    with serving("--port", "0", "--workers", "2") as (process, line):
        with httpx.Client(timeout=30) as client:
            for task in ("sentiment", "topic"):
                assert client.post(f"{address(line)}/predict/{task}", json=TEXT).status_code == 200
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            own = re.search(r"Private_Dirty:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())
            assert own
            assert int(own.group(1)) < 60 * 1024  # one process alone has 100 MB


def test_environment_variable_is_a_setting_of_serve() -> None:
    environment = {**os.environ, "SENTOPIC_PORT": "0", "SENTOPIC_ENGINE": "nonsense"}
    ran = subprocess.run(command(), capture_output=True, text=True, cwd=ROOT, env=environment, timeout=30, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("sentopic: SENTOPIC_ENGINE")


@needs_proc
def test_reload_that_is_asked_for_too_early_ends_no_service(tmp_path: Path) -> None:
    command_line = command("--port", "0", "--bundle", str(SHIPPED / "topic" / "gru"))
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        status = Path(f"/proc/{process.pid}/status")
        try:
            until(lambda: int(re.findall(r"SigIgn:\t(\w+)", status.read_text())[0], 16) & 1)  # it has begun
            process.send_signal(signal.SIGHUP)
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Sentopic ")
        finally:
            process.terminate()
            process.wait(10)
