"""The two systems of the tutorials that read no text: numbers that go on, and the shapes of an LSTM's answers."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from keras import layers

from app.errors import DataError

SEQUENCES = ((1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 6))
NEXT = (4, 5, 6, 7)
ASKED = (7, 8, 9)
MODEL = "model.keras"


@dataclass(frozen=True)
class NextNumber:
    """What the regression learned: mean squared error at the end, and its answer to 7, 8, 9 (10 is right)."""

    parameters: tuple[int, ...]
    loss: float
    answer: float
    seed: int


def build_next_number() -> keras.Model:
    """(batch, 3, 1) -> (batch, 1)."""
    return keras.Sequential(
        [keras.Input((3, 1)), layers.LSTM(10, activation="relu"), layers.Dense(10), layers.Dense(1)]
    )


def fit_next_number(out: Path, seed: int, epochs: int = 100) -> NextNumber:
    """Trains on four sequences and writes the model and what it learned to `out`."""
    keras.utils.set_random_seed(seed)
    model = build_next_number()
    model.compile(optimizer="adam", loss="mse")
    x = np.array(SEQUENCES, np.float32)[..., None]
    history = model.fit(x, np.array(NEXT, np.float32)[:, None], epochs=epochs, batch_size=1, verbose=0).history
    parameters = tuple(layer.count_params() for layer in model.layers)
    learned = NextNumber(parameters, float(history["loss"][-1]), _answer(model, ASKED), seed)
    out.mkdir(parents=True, exist_ok=True)
    part = out / f"part-{MODEL}"
    model.save(part, include_optimizer=False)
    os.replace(part, out / MODEL)
    versions = {name: version(name) for name in ("sentopic", "keras", keras.config.backend())}
    (out / "result.json").write_text(json.dumps({**asdict(learned), "versions": versions}, indent=1) + "\n")
    return learned


def predict_next_number(directory: Path, numbers: Sequence[float]) -> float:
    """The number that follows three. Raises DataError if `directory` holds no such model."""
    path = directory / MODEL
    if not path.exists():
        raise DataError(f"{directory} holds no next-number model. Make one: sentopic-train fit next-number")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # a damaged file raises anything
        raise DataError(f"{path} is broken. Make it anew: sentopic-train fit next-number") from error
    return _answer(model, numbers)


def report(name: str, seeds: int, out: Path) -> str:
    """What an exercise gives with seeds 1 to `seeds`, in one line."""
    if name == "lstm-shapes":
        shapes = check_shapes(1)
        return (
            f"output {shapes.output}; {shapes.sequential} parameters as Sequential, {shapes.functional} as functional"
        )
    learned = [fit_next_number(out / f"{name}-{seed}", seed) for seed in range(1, seeds + 1)]
    counts = ", ".join(map(str, learned[0].parameters))
    answers = ", ".join(f"{one.answer:.2f}" for one in learned)
    total = sum(learned[0].parameters)
    what = "beyond its four examples a network says what its start makes it say"
    return f"{total} parameters ({counts}); {answers} for 7, 8, 9 (10 is right), seed by seed: {what}"


def _answer(model: keras.Model, numbers: Sequence[float]) -> float:
    return float(model.predict(np.array(numbers, np.float32).reshape(1, 3, 1), verbose=0)[0, 0])


@dataclass(frozen=True)
class Shapes:
    """What LSTMs make of random input: the answer's shape, and parameters by Sequential and functional API."""

    output: tuple[int, ...]
    sequential: int
    functional: int


def check_shapes(seed: int) -> Shapes:
    """LSTM(4) on (32, 10, 8); LSTM(3) on an input of (4, 8), written in both ways."""
    random = np.random.default_rng(seed).random((32, 10, 8), np.float32)
    sequential = keras.Sequential([keras.Input((4, 8)), layers.LSTM(3)])
    steps = keras.Input((4, 8))
    functional = keras.Model(steps, layers.LSTM(3)(steps))
    output = tuple(int(size) for size in layers.LSTM(4)(random).shape)
    return Shapes(output, sequential.count_params(), functional.count_params())
