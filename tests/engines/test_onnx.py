"""The onnx engine owns what it runs on, and says which layer it cannot run."""

from pathlib import Path

import numpy as np
import pytest

from app import model_file
from app.bundle import read_bundle
from app.engines.onnx import OnnxEngine
from app.errors import UnsupportedLayerError
from app.settings import SHIPPED


def test_engine_does_not_depend_on_the_arrays_that_it_was_built_from() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "lstm")
    engine = OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 2)
    ids = np.random.default_rng(1).integers(0, 5_000, (4, 100), dtype=np.int32)
    before = engine.predict(ids)
    for layer in bundle.model.layers:
        for array in layer.weights.values():
            array.flags.writeable = True
            array[...] = 0
    np.testing.assert_array_equal(engine.predict(ids), before)


def test_any_number_of_rows_is_answered() -> None:
    bundle = read_bundle(SHIPPED / "topic" / "gru")
    engine = OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 46)
    for rows in (1, 2, 31, 33, 200):
        answer = engine.predict(np.ones((rows, 100), np.int32))
        assert answer.shape == (rows, 46)
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, np.tile(answer[:1], (rows, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("LayerNormalization", "the engine has no such layer"),
        ("Masked", "mask_zero"),
        ("Stateful", "stateful"),
        ("Gelu", "activation gelu"),
    ],
)
def test_layer_that_it_cannot_run_is_named_with_the_way_out(layer: str, why: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    options = {
        "LayerNormalization": [layers.LSTM(3), layers.LayerNormalization(name="culprit")],
        "Stateful": [layers.LSTM(3, stateful=True, name="culprit")],
        "Gelu": [layers.LSTM(3), layers.Dense(3, activation="gelu", name="culprit")],
        "Masked": [layers.LSTM(3)],
    }
    masked = layer == "Masked"
    stack = [layers.Embedding(9, 4, mask_zero=masked, name="culprit" if masked else None), *options[layer]]
    ids = keras.Input(batch_shape=(2, 5), dtype="int32")
    model = keras.Sequential([ids, *stack, layers.Dense(2, activation="softmax")])
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(UnsupportedLayerError) as refused:
        OnnxEngine(model_file.parse(path.read_bytes(), path), 5, 2)
    message = str(refused.value)
    assert message.startswith(f"{path}: layer culprit")
    assert why in message
    assert message.endswith("Try --engine keras.")
    assert "\n" not in message


def test_model_whose_answers_do_not_fit_the_labels_is_refused() -> None:
    bundle = read_bundle(SHIPPED / "topic" / "gru")
    with pytest.raises(UnsupportedLayerError, match="for 45 labels"):
        OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 45)


def test_telemetry_of_the_runtime_is_off() -> None:
    import os

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
