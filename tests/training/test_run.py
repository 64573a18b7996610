"""Whatever moment a run ends at, its folder names a model that is whole."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.errors import DataError
from training import models
from training.run import Epoch, Run

SETTINGS = {"recipe": {"units": [4]}, "seed": 1, "data": "abc"}


def epoch(number: int, val_loss: float | None) -> Epoch:
    return Epoch(epoch=number, loss=0.5, accuracy=0.5, val_loss=val_loss, val_accuracy=0.5, seconds=1.0)


@pytest.fixture(scope="module")
def model(tiny: Any) -> Any:
    built = models.compile_model(models.build(tiny.recipe(), 2), tiny.recipe())
    built.optimizer.build(built.trainable_variables)
    return built


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_last_and_best_model_are_kept_and_no_other(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    for number, val_loss in enumerate([0.6, 0.4, 0.5, 0.45], start=1):
        run.record(epoch(number, val_loss), model)
    assert names(folder) == {"state.json", "epoch-0002.keras", "epoch-0004.keras"}
    assert (run.best.epoch, run.stale_epochs()) == (2, 2)


def test_first_of_two_equal_epochs_is_the_best(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    assert run.stale_epochs() == 0
    run.history = [epoch(1, 0.5), epoch(2, 0.5)]
    assert run.best.epoch == 1


def test_resumed_run_knows_its_history(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    run.record(epoch(1, 0.123456789012345), model)
    again = Run.resume(folder, SETTINGS)
    assert again.history == run.history
    assert all(np.array_equal(a, b) for a, b in zip(again.load_last().get_weights(), model.get_weights(), strict=True))


def test_finished_run_may_be_started_anew(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    run.record(epoch(1, 0.5), model)
    with pytest.raises(DataError, match="unfinished run"):
        Run.start(folder, SETTINGS)
    run.finish()
    assert Run.start(folder, SETTINGS).history == []
    assert names(folder) == {"state.json"}


def test_broken_state_says_what_to_do(folder: Path) -> None:
    folder.mkdir()
    (folder / "state.json").write_text('{"settings": {')
    for open_run in (Run.start, Run.resume):
        with pytest.raises(DataError, match=r"state\.json is broken\. Start anew: another --out"):
            open_run(folder, SETTINGS)


def _disk_full(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _break_model(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    def save(path: Path) -> None:
        path.write_bytes(b"half a mod")
        _disk_full()

    monkeypatch.setattr(model, "save", save)


def _break_state(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    def write_text(path: Path, text: str) -> None:
        path.write_bytes(text[:20].encode())
        _disk_full()

    monkeypatch.setattr(Path, "write_text", write_text)


def _break_rename(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    monkeypatch.setattr(os, "replace", _disk_full)


@pytest.mark.parametrize("break_it", [_break_model, _break_state, _break_rename])
def test_full_disk_keeps_the_last_good_model(
    break_it: Callable[[pytest.MonkeyPatch, Any], None], model: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.start(folder, SETTINGS)
    run.record(epoch(1, 0.5), model)
    with monkeypatch.context() as patch:
        break_it(patch, model)
        with pytest.raises(OSError, match="No space left"):
            run.record(epoch(2, 0.4), model)
    assert not list(folder.glob("part-*"))
    again = Run.resume(folder, SETTINGS)
    assert again.history == [epoch(1, 0.5)]
    assert len(again.load_last().get_weights()) == len(model.get_weights())
    again.record(epoch(2, 0.4), model)
    assert json.loads((folder / "state.json").read_text())["history"][1]["epoch"] == 2


def test_run_interrupted_before_its_first_epoch_can_be_resumed(folder: Path) -> None:
    Run.start(folder, SETTINGS)
    assert Run.resume(folder, SETTINGS).history == []


def test_checkpoint_that_is_gone_says_what_to_do(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    run.record(epoch(1, 0.5), model)
    (folder / "epoch-0001.keras").unlink()
    with pytest.raises(DataError, match=r"epoch-0001\.keras is gone.*another --out"):
        Run.resume(folder, SETTINGS).load_last()


def test_epoch_whose_loss_is_no_number_is_never_the_best(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    run.history = [epoch(1, float("nan")), epoch(2, 0.9)]
    assert run.best.epoch == 2


def test_last_epoch_is_the_best_where_nothing_is_held_out(model: Any, folder: Path) -> None:
    run = Run.start(folder, SETTINGS)
    run.history = [epoch(1, None), epoch(2, None)]
    assert run.best.epoch == 2
