"""Tuning measures each setting, takes the best of them, and writes it where the service reads it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import cli, tune
from app.settings import SHIPPED, load_settings
from app.tune import Trial


def test_the_best_is_chosen() -> None:
    trials = [Trial(1, 4, 900), Trial(1, 8, 2_000), Trial(2, 4, 1_000), Trial(2, 8, 2_500)]
    assert tune.choose(trials) == trials[3]


def test_of_those_near_the_best_the_one_that_asks_for_least_is_chosen() -> None:
    trials = [Trial(1, 4, 900), Trial(1, 8, 960), Trial(1, 16, 1_000), Trial(2, 2, 1_005)]
    assert tune.choose(trials) == trials[1]


def test_threads_are_tried_up_to_the_cores_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert tune.thread_counts() == [1, 2, 4]


def test_other_lines_of_the_settings_file_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nSENTOPIC_PORT=9000\nexport SENTOPIC_ENGINE_THREADS=7\nSENTOPIC_ENGINE_THREADS_=1\n")
    tune.write(path, {"SENTOPIC_ENGINE_THREADS": 2})
    assert path.read_text() == "# mine\nSENTOPIC_PORT=9000\nSENTOPIC_ENGINE_THREADS_=1\nSENTOPIC_ENGINE_THREADS=2\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]


def test_settings_file_stays_as_private_as_it_was_and_a_link_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("SENTOPIC_KEY=secret\n")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / ".env").symlink_to("real")
    tune.write(tmp_path / ".env", {"SENTOPIC_ENGINE_THREADS": 2})
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "real").read_text() == "SENTOPIC_KEY=secret\nSENTOPIC_ENGINE_THREADS=2\n"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600


def run(command: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`sentopic tune` with two batch sizes, in a process that may be forked, after some lines of Python."""
    told = f"import sys\nfrom app import cli, main, tune\ntune.BATCHES = (2, 3)\n{command}\n"
    told += "sys.exit(cli.main(['tune', *sys.argv[1:]]))"
    return subprocess.run(
        [sys.executable, "-c", told, "--bundle", str(SHIPPED / "sentiment" / "gru"), *options],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(SHIPPED.parent), **environment},
    )


def test_what_is_measured_is_written_and_read_by_the_service(tmp_path: Path) -> None:
    done = run("", "--seconds", "0.05", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    cores = tune.thread_counts()
    assert [(one["threads"], one["batch"]) for one in found["trials"]] == [(t, b) for t in cores for b in (2, 3)]
    assert all(one["texts_per_s"] > 0 for one in found["trials"])
    assert len(done.stderr.splitlines()) == len(found["trials"])
    settings = load_settings()  # the tests' directory is the current one
    assert settings.engine_threads == found["chosen"]["threads"]
    assert settings.max_batch_windows == found["chosen"]["batch"]
    assert (tmp_path / ".env").exists()


def test_service_is_measured_without_what_would_keep_the_askers_out(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    environment = {"KEYS": str(tmp_path / "keys"), "RATE": "1/hour", "WORKERS": "3", "DEADLINE_S": "0.000001"}
    environment |= {"MAX_WAIT_S": "0.000001", "LOG_REQUESTS": "true", "PORT": "1", "TRACE_ENDPOINT": "http://no/where"}
    named = {f"SENTOPIC_{name}": value for name, value in environment.items()}
    done = run("tune.thread_counts = lambda: [1]", "--seconds", "0.05", "--rounds", "1", "--quiet", **named)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("def create(*_): raise tune.StartError('there is none')\nmain.create_app = create", "there is none"),
        ("import os\nmain.create_app = lambda *_: os._exit(3)", "the service ended with 3"),
        ("tune._ask = lambda *given: measure(*given)\ndef measure(*_): raise tune.StartError('odd')", "odd"),
    ],
)
def test_service_that_cannot_be_measured_is_one_line_and_nothing_is_written(
    spoil: str, why: str, tmp_path: Path
) -> None:
    done = run(spoil, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"sentopic: {why}\n")
    assert not (tmp_path / ".env").exists()


def test_few_descriptors_are_made_more_or_told() -> None:
    few = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, {}))\ntune.thread_counts = lambda: [1]"
    options = ("--seconds", "0.02", "--rounds", "1", "--quiet")
    assert run(few.format(4096), *options).returncode == 0
    done = run(few.format(64), *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("sentopic: too few open files are allowed: 64")


def test_service_that_is_measured_ends_with_who_measures_it() -> None:
    told = """if True:
        import os, signal, threading, time
        def die(*_):
            (line,) = [pid for pid in os.listdir("/proc") if pid.isdigit() and parent(pid) == os.getpid()]
            print(line, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        def parent(pid):
            try:
                return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
            except OSError:
                return 0
        tune._ask = die
    """
    done = run(told)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 20
    while Path(f"/proc/{done.stdout.strip()}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--seconds", "nan"], ["--seconds", "inf"], ["--rounds", "0"]])
def test_wrong_use_ends_with_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tune", *wrong]) == 2
    assert "must be positive" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["no/such/place", "."])
def test_settings_file_that_cannot_be_written_is_told_before_anything_is_measured(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune, "measure", None)
    assert cli.main(["tune", "--output", place]) == 1
    assert capsys.readouterr().err == f"sentopic: cannot write {place}\n"
