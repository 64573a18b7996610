"""Tuning measures each setting, takes the best of them, and writes it where the service reads it."""

import json
import os
from pathlib import Path

import pytest

from app import cli, tune
from app.bundle import read_bundle
from app.engines.base import EngineOptions
from app.engines.open import open_engine
from app.settings import SHIPPED, Settings, load_settings
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


def test_heaps_fit_what_is_measured_as_they_do_in_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(tune.memory, "settle", asked.append)
    monkeypatch.setattr(tune, "BATCHES", (2, 3))
    monkeypatch.setattr(tune, "thread_counts", lambda: [1])
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    tune.measure([bundle], Settings(), 0.0, 1, lambda _: None)
    assert asked == [[open_engine(bundle, options=EngineOptions(batch=batch)).block_bytes] for batch in (2, 3)]


def test_what_is_measured_is_written_and_read_by_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune, "BATCHES", (2, 3))
    bundle = str(SHIPPED / "sentiment" / "gru")
    assert cli.main(["tune", "--bundle", bundle, "--seconds", "0.02", "--rounds", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    cores = tune.thread_counts()
    assert [(one["threads"], one["batch"]) for one in found["trials"]] == [(t, b) for t in cores for b in (2, 3)]
    assert all(one["texts_per_s"] > 0 for one in found["trials"])
    assert len(err.splitlines()) == len(found["trials"])
    settings = load_settings()  # the tests' directory is the current one
    assert settings.engine_threads == found["chosen"]["threads"]
    assert settings.max_batch_windows == found["chosen"]["batch"]
    assert (tmp_path / ".env").exists()


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--rounds", "0"]])
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
