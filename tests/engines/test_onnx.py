"""The onnx engine keeps what it runs on, and says which layer it cannot run."""

import gc
from pathlib import Path

import numpy as np
import pytest

from app import model_file
from app.bundle import read_bundle
from app.engines.base import EngineOptions, Probabilities
from app.engines.graph import Graph, UnsupportedError
from app.engines.onnx import OnnxEngine
from app.errors import UnsupportedLayerError
from app.settings import SHIPPED
from app.text import PAD, Ids
from benchmarks import heaps
from benchmarks.heaps import make_model


def test_engine_reads_embeddings_where_they_are_and_forbids_to_write_to_them() -> None:
    """Processes share what the runtime does not copy."""
    bundle = read_bundle(SHIPPED / "sentiment" / "lstm")
    engine = OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 2)
    ids = np.random.default_rng(1).integers(0, 5_000, (4, 100), dtype=np.int32)
    before = engine.predict(ids)
    (table,) = [layer.weights["vars/0"] for layer in bundle.model.layers if layer.kind == "Embedding"]
    assert not table.flags.writeable
    table.flags.writeable = True
    table[...] = 0
    assert not np.allclose(engine.predict(ids), before)


def test_engine_needs_nobody_to_keep_its_weights() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "lstm")
    engine, words = OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 2), bundle.encoder()
    ids, scores = words.encode(bundle.manifest.golden[0].text).windows, bundle.manifest.golden[0].scores
    calibration = bundle.manifest
    del bundle
    gc.collect()
    others = [np.full((20_000, 64), number, np.float32) for number in range(8)]  # where they were, were they gone
    assert calibration.scores(engine.predict(ids)) == pytest.approx(scores, abs=1e-5)
    del others


def test_any_number_of_rows_is_answered() -> None:
    bundle = read_bundle(SHIPPED / "topic" / "gru")
    engine = OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 46)
    assert engine.predict(np.ones((0, 100), np.int32)).shape == (0, 46)
    for rows in (1, 2, 31, 33, 200):
        answer = engine.predict(np.ones((rows, 100), np.int32))
        assert answer.shape == (rows, 46)
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, np.tile(answer[:1], (rows, 1)), atol=1e-6)


@pytest.mark.parametrize(("name", "numbers"), [("sentiment/gru", 3 * 128), ("topic/lstm", 4 * 128)])
def test_engine_says_how_large_a_block_its_runs_take(name: str, numbers: int) -> None:
    """All gates of the widest layer, for each step of each row."""
    bundle = read_bundle(SHIPPED / name)
    engine = OnnxEngine(bundle.model, 100, len(bundle.manifest.labels), EngineOptions(batch=8))
    assert engine.block_bytes == 4 * 8 * 100 * numbers


def test_block_is_as_large_as_the_widest_sequence_if_that_is_wider_than_any_gates() -> None:
    model = make_model(units=8)
    engine = OnnxEngine(model, heaps.STEPS, heaps.LABELS, EngineOptions(batch=2))
    assert engine.block_bytes == 4 * 2 * heaps.STEPS * heaps.CHANNELS


def padded(lengths: list[int], maxlen: int = 100) -> Ids:
    """A window of each length, padded in front as texts are."""
    ids = np.random.default_rng(3).integers(4, 20_000, (len(lengths), maxlen), dtype=np.int32)
    for row, length in zip(ids, lengths, strict=True):
        row[: maxlen - length] = PAD
    return ids


@pytest.mark.parametrize("name", ["sentiment/gru", "sentiment/lstm", "topic/gru", "topic/lstm"])
def test_short_texts_skip_their_padding_and_get_the_same_answer(name: str) -> None:
    bundle = read_bundle(SHIPPED / name)
    engine = OnnxEngine(bundle.model, 100, len(bundle.manifest.labels), EngineOptions(batch=8))
    ids = padded([*range(1, 101), 100, 7])
    skipping, steps = engine.predict(ids), record_steps(engine)
    np.testing.assert_allclose(skipping, np.concatenate([engine.predict(row[None]) for row in ids]), atol=1e-6)
    assert steps[:3] == [(1, 1), (1, 2), (1, 3)]
    engine._skips = "none"
    np.testing.assert_allclose(skipping, engine.predict(ids), atol=1e-6)
    assert {length for _, length in steps[-13:]} == {100}


def test_rows_run_with_others_about_as_long_and_no_more_than_a_batch() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    engine = OnnxEngine(bundle.model, 100, 2, EngineOptions(batch=3))
    steps = record_steps(engine)
    engine.predict(padded([100, 10, 90, 9, 76, 75, 8, 3]))
    assert steps == [(3, 100), (1, 75), (3, 10), (1, 3)]


def record_steps(engine: OnnxEngine) -> list[tuple[int, int]]:
    """(rows, steps) of each run from now on."""
    seen, run = list[tuple[int, int]](), engine._run

    def recording(ids: Ids, skipped: int) -> Probabilities:
        seen.append((len(ids), ids.shape[1] - skipped))
        return run(ids, skipped)

    engine._run = recording  # type: ignore[method-assign]
    return seen


def test_int8_is_close_and_a_row_does_not_depend_on_its_neighbours() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "lstm")
    exact = OnnxEngine(bundle.model, 100, 2)
    rounded = OnnxEngine(bundle.model, 100, 2, EngineOptions(precision="int8"))
    assert (exact.precision, rounded.precision) == ("float32", "int8")
    ids = padded([100, 100, 50, 50, 10, 10, 3, 3])
    together = rounded.predict(ids)
    assert 1e-6 < np.abs(together - exact.predict(ids)).max() < 0.03
    np.testing.assert_array_equal(together, np.concatenate([rounded.predict(row[None]) for row in ids]))


def test_model_without_lstm_stays_float32() -> None:
    bundle = read_bundle(SHIPPED / "topic" / "gru")
    assert OnnxEngine(bundle.model, 100, 46, EngineOptions(precision="int8")).precision == "float32"


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("LayerNormalization", "the engine has no such layer"),
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
    }
    ids = keras.Input(batch_shape=(2, 5), dtype="int32")
    stack = [ids, layers.Embedding(9, 4), *options[layer], layers.Dense(2, activation="softmax")]
    model = keras.Sequential(stack)
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(UnsupportedLayerError) as refused:
        OnnxEngine(model_file.parse(path.read_bytes(), path), 5, 2)
    message = str(refused.value)
    assert message.startswith(f"{path}: layer culprit")
    assert why in message
    assert message.endswith("Try --engine keras.")
    assert "\n" not in message


def test_two_embeddings_that_disagree_on_masking_are_refused() -> None:
    graph = Graph(5)
    graph.mask(masked=False)
    with pytest.raises(UnsupportedError, match="one embedding has mask_zero and another has not"):
        graph.mask(masked=True)


def test_model_whose_answers_do_not_fit_the_labels_is_refused() -> None:
    bundle = read_bundle(SHIPPED / "topic" / "gru")
    with pytest.raises(UnsupportedLayerError, match="for 45 labels"):
        OnnxEngine(bundle.model, bundle.manifest.text.maxlen, 45)


def test_telemetry_of_the_runtime_is_off() -> None:
    import os

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
