"""A text's windows are averaged in training as they are in serving."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

import keras

from app.bundle import Calibration
from training import models
from training.network import Convolution, Embedding, Recurrent


@pytest.mark.parametrize("labels", [2, 3])
def test_learner_answers_a_text_as_the_service_does(labels: int, tiny: Any, whole_run: Any) -> None:
    """`Calibration.scores` with nothing fitted, window by window from the served model."""
    served = models.build(tiny.recipe(), labels)
    learner = models.build_learner(served)
    ids = np.random.default_rng(0).integers(4, 40, (7, 10)).astype(np.int32)
    owner = np.array([0, 0, 1, 2, 2, 2, 6], np.int32)
    windows = np.asarray(served(ids))
    whole = np.concatenate([1 - windows, windows], axis=1) if labels == 2 else windows
    texts = np.asarray(learner([ids, owner]))
    calibration = Calibration(temperature=1, uncertain_below=0)
    assert np.array_equal(texts[7:], windows)
    for text in (0, 1, 2):
        scores = calibration.scores(whole[owner == text])
        assert texts[text] == pytest.approx(scores[1:] if labels == 2 else scores, abs=1e-6)


def test_saved_learner_holds_what_is_served(tiny: Any, tmp_path: Any) -> None:
    served = models.build(tiny.recipe(), 2)
    learner = models.compile_model(models.build_learner(served), tiny.recipe())
    learner.optimizer.build(learner.trainable_variables)
    learner.save(tmp_path / "learner.keras")
    loaded = models.served_model(keras.saving.load_model(tmp_path / "learner.keras"))
    ids = np.full((2, 10), 5, np.int32)
    assert np.array_equal(np.asarray(loaded(ids)), np.asarray(served(ids)))


@pytest.mark.parametrize(
    ("targets", "probabilities", "right"),
    [
        ([[0.9], [0.2], [1.0]], [[0.6], [0.6], [0.4]], [1, 0, 0]),
        ([[0.1, 0.7, 0.2], [1, 0, 0]], [[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], [1, 0]),
    ],
)
def test_accuracy_takes_shares_for_targets(targets: Any, probabilities: Any, right: list[int]) -> None:
    found = models.accuracy(np.array(targets, np.float32), np.array(probabilities, np.float32))
    assert np.asarray(found).tolist() == right


def test_machine_without_a_gpu_may_say_so_by_an_error(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JAX does."""

    def list_devices(kind: str) -> list[str]:
        raise RuntimeError(f"Unknown backend: {kind!r} requested.")

    monkeypatch.setattr("keras.distribution.list_devices", list_devices)
    assert models.pays_to_compile(tiny.recipe(), 5_000) is True
    monkeypatch.setattr("keras.distribution.list_devices", lambda kind: [f"{kind}:0"])
    assert models.pays_to_compile(tiny.recipe(), 5_000) == "auto"


def test_only_long_runs_of_small_recurrent_layers_are_compiled(tiny: Any) -> None:
    recipe = tiny.recipe()
    convolution = tiny.recipe(network=(Embedding(4), Convolution(4, 3), Recurrent("gru", 4)))
    assert models.pays_to_compile(recipe, 5_000) is True
    assert models.pays_to_compile(recipe, 4_999) == "auto"
    assert models.pays_to_compile(convolution, 5_000) == "auto"
    assert models.pays_to_compile(tiny.recipe(network=(Embedding(4), Recurrent("lstm", 33))), 5_000) == "auto"
