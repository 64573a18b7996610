"""Both engines give the same probabilities on every shipped bundle."""

from pathlib import Path

import numpy as np
import pytest

from app.bundle import Bundle, read_bundle
from app.engines.cudnn import SlowLayer
from app.engines.onnx import OnnxEngine
from app.engines.open import open_engine
from app.settings import SHIPPED
from tests.faults.hostile import Draft

keras = pytest.importorskip("keras")

BUNDLES = sorted(SHIPPED.glob("*/*"))
TOLERANCE = 1e-5


@pytest.fixture(params=BUNDLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return read_bundle(request.param)


def largest_gap(bundle: Bundle, texts: list[str]) -> float:
    encoder = bundle.encoder()
    ids = np.concatenate([encoder.encode(text).windows for text in texts])
    one, other = (open_engine(bundle, name).predict(ids) for name in ("onnx", "keras"))
    assert one.shape == other.shape == (len(ids), len(bundle.manifest.labels))
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-5)
    return float(np.abs(one - other).max())


def test_engines_agree_on_made_up_texts(bundle: Bundle) -> None:
    generator = np.random.default_rng(5)
    made = [" ".join(generator.choice(bundle.words[:30_000], length)) for length in (1, 5, 20, 60, 99, 100, 300) * 8]
    assert largest_gap(bundle, [*made, *(golden.text for golden in bundle.manifest.golden), ""]) <= TOLERANCE


def test_engines_agree_on_a_thousand_real_texts(bundle: Bundle, real_data: Path) -> None:
    from training.datasets import LOADERS

    dataset = LOADERS[str(bundle.manifest.data["name"])](real_data, "auto")
    gap = largest_gap(bundle, list(dataset.test.texts[:1_000]))
    print(f"{bundle.directory}: largest gap {gap:.1e} over 1,000 texts")
    assert gap <= TOLERANCE


def test_keras_engine_takes_any_number_of_rows(bundle: Bundle) -> None:
    engine = open_engine(bundle, "keras")
    ids = np.random.default_rng(6).integers(0, 500, (130, bundle.manifest.text.maxlen), dtype=np.int32)
    whole = engine.predict(ids)
    for rows in (1, 2, 8, 9, 33, 129):
        np.testing.assert_allclose(engine.predict(ids[:rows]), whole[:rows], atol=1e-6)


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_answer_does_not_depend_on_its_neighbours(bundle: Bundle, engine: str) -> None:
    running = open_engine(bundle, engine)  # type: ignore[arg-type]
    ids = np.random.default_rng(7).integers(0, 500, (32, bundle.manifest.text.maxlen), dtype=np.int32)
    together = running.predict(ids)
    alone = np.concatenate([running.predict(ids[row : row + 1]) for row in range(len(ids))])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_keras_engine_warns_of_layers_that_a_gpu_runs_step_by_step(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from app.engines import keras as engine

    monkeypatch.setattr(engine.tf.config, "list_physical_devices", lambda _: ["a GPU"])
    open_engine(bundle, "keras")
    assert caplog.text == ""
    first = next(layer.name for layer in bundle.model.layers if layer.kind in ("LSTM", "GRU"))
    monkeypatch.setattr(
        engine, "find_slow_layers", lambda _: [SlowLayer(first, "LSTM", "activation is relu", is_masked=False)]
    )
    open_engine(bundle, "keras")
    assert f"layer {first} (LSTM): activation is relu: it runs step by step on this GPU" in caplog.text


@pytest.mark.parametrize("name", ["onnx", "keras"])
def test_window_on_which_the_numbers_overflow_is_a_row_of_zeros(name: str, tmp_path: Path) -> None:
    """As after a training that went wrong where no golden text looks: NaN would be an answer that is no JSON."""
    draft = Draft(SHIPPED / "topic" / "gru", tmp_path / "topic" / "gru", tmp_path)
    rare = 19_990
    layers = keras.layers
    network = [layers.Embedding(20_000, 4), layers.GlobalMaxPooling1D(), layers.Dense(46, "softmax", name="last")]
    model = keras.Sequential([keras.Input((100,)), *network])
    table, kernel, bias = model.get_weights()
    table[rare], kernel[:, 0] = 3e38, 1e3
    model.set_weights([table, kernel, bias])
    model.save(draft.model)
    draft.write_members(draft.members)
    draft.seal()
    bundle = read_bundle(draft.directory)
    ids = np.zeros((3, 100), np.int32)
    ids[:, -3:] = [[1, 5, 6], [1, 5, rare], [1, 7, 8]]
    from app.engines.keras import KerasEngine

    engine = KerasEngine(bundle, 100, 46) if name == "keras" else OnnxEngine(bundle.model, 100, 46)
    answers = engine.predict(ids)
    assert not answers[1].any()
    np.testing.assert_allclose(answers[[0, 2]].sum(axis=1), 1, atol=1e-5)
