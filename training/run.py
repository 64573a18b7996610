"""One training run on disk: its settings, its history, its last and its best model. Always consistent.

A model is written first, then the state that names it, each by renaming a finished file: whatever
moment a run is killed at, the state names a model that is whole.
"""

import json
import math
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras

from app.errors import DataError
from training.models import served_model


@dataclass(frozen=True)
class Epoch:
    """Means over the windows of one epoch (counted from 1); `loss` and `accuracy` with dropout on.

    `val_loss` and `val_accuracy` are None where nothing is held out.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class Trained:
    """What a run ends with: the model of `epoch` as it is served, and how it came about."""

    model: keras.Model
    epoch: int
    history: tuple[Epoch, ...]
    seed: int


class Run:
    """`settings` is what must be the same for a resumed run to be the run that was interrupted."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self._settings = settings
        self.history: list[Epoch] = []

    @classmethod
    def start(cls, folder: Path, settings: dict[str, Any]) -> "Run":
        """A new run; refuses to throw away one that is not finished."""
        state = _read_state(folder)
        if state and not state["finished"]:
            raise DataError(f"{folder} holds an unfinished run. Go on with it: --resume. Start anew: another --out.")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run = cls(folder, settings)
        run._write_state(finished=False)
        return run

    @classmethod
    def resume(cls, folder: Path, settings: dict[str, Any]) -> "Run":
        state = _read_state(folder)
        if state is None:
            raise DataError(f"{folder} holds no run.")
        if changed := [key for key in settings if state["settings"].get(key) != settings[key]]:
            raise DataError(f"{folder} holds another run: its {', '.join(changed)} differs.")
        run = cls(folder, settings)
        run.history = [Epoch(**entry) for entry in state["history"]]
        return run

    @classmethod
    def resume_or_start(cls, folder: Path, settings: dict[str, Any]) -> "Run":
        return cls.start(folder, settings) if _read_state(folder) is None else cls.resume(folder, settings)

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """A run as it stands, to look at."""
        state = _read_state(folder)
        if state is None or not state["history"]:
            raise DataError(f"{folder} holds no run that has finished an epoch.")
        return cls.resume(folder, state["settings"])

    @property
    def seed(self) -> int:
        seed: int = self._settings["seed"]
        return seed

    @property
    def best(self) -> Epoch:
        """The first with the least held-out loss; where none has one, the last."""
        losses = [math.inf if e.val_loss is None or math.isnan(e.val_loss) else e.val_loss for e in self.history]
        return self.history[losses.index(min(losses)) if min(losses) < math.inf else -1]

    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return len(self.history) - self.best.epoch if self.history else 0

    def record(self, epoch: Epoch, model: keras.Model) -> None:
        """Keeps the model of this epoch, as the best one too if it is that."""
        self.history.append(epoch)
        _save(model, self._model(epoch.epoch))
        self._write_state(finished=False)
        keep = {self._model(epoch.epoch), self._model(self.best.epoch)}
        for path in self.folder.glob("epoch-*.keras"):
            if path not in keep:
                path.unlink()

    def finish(self) -> None:
        self._write_state(finished=True)

    def load_last(self) -> keras.Model:
        """With its optimizer, so that training goes on as if it had never stopped."""
        return _load(self._model(self.history[-1].epoch))

    def load_epoch(self, which: Literal["best", "last"]) -> keras.Model:
        """What is served of one of the two models that a run keeps."""
        epoch = (self.best if which == "best" else self.history[-1]).epoch
        return served_model(_load(self._model(epoch), compile=False))

    def load_trained(self, keep: Literal["best", "last"]) -> Trained:
        epoch = (self.best if keep == "best" else self.history[-1]).epoch
        return Trained(self.load_epoch(keep), epoch, tuple(self.history), self.seed)

    def _model(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04}.keras"

    def _write_state(self, *, finished: bool) -> None:
        history = [asdict(entry) for entry in self.history]
        state = {"settings": self._settings, "finished": finished, "history": history}
        path = self.folder / "state.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(state, indent=2))
        os.replace(part, path)


def _save(model: keras.Model, path: Path) -> None:
    part = path.with_name(f"part-{path.name}")
    try:
        model.save(part)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _load(path: Path, **options: bool) -> keras.Model:
    if not path.exists():
        raise DataError(f"{path} is gone, so the run cannot go on. Start anew: another --out.")
    return keras.saving.load_model(path, **options)


def _read_state(folder: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{folder} holds a run whose state.json is broken. Start anew: another --out.") from error
    return state
