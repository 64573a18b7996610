"""What the engine for GPUs has TensorFlow run there, read off its traced functions: that takes no GPU.

Keras chooses a recurrent layer's kernel while it traces a model, by what it is told of the machine.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app import model_file
from app.bundle import read_bundle
from app.engines.cudnn import find_slow_layers
from app.engines.onnx import OnnxEngine
from app.settings import SHIPPED

keras = pytest.importorskip("keras")

from app.engines import keras as engines  # noqa: E402

layers = keras.layers
MAXLEN, WORDS, LABELS = 6, 9, 3
RECURRENT = {"SimpleRNN", "LSTM", "GRU", "Bidirectional"}
WINDOWS = np.array([[0, 0, 0, 1, 5, 3], [0, 1, 2, 2, 4, 8], [1, 5, 6, 7, 3, 2]], np.int32)
Stack = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def _as_where_a_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["keras.src.backend.tensorflow.rnn"], "_is_gpu_available", lambda: True)
    monkeypatch.setattr(engines, "BATCH_SIZES", ())


def draft(folder: Path, stack: list[Any], *, mask: bool = False) -> Any:
    """What the engine takes of a bundle."""
    start = [keras.Input((MAXLEN,), dtype="int32"), layers.Embedding(WORDS, 4, mask_zero=mask)]
    return save(folder, keras.Sequential([*start, *stack, layers.Dense(LABELS, activation="softmax")]))


def save(folder: Path, model: Any) -> Any:
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(np.random.default_rng(7).normal(0, 0.4, weight.shape))
    path = folder / "model.keras"
    model.save(path)
    return SimpleNamespace(model_bytes=path.read_bytes(), model=model_file.parse(path.read_bytes(), path))


def count_operations(function: Any) -> Counter[str]:
    graph = function.graph.as_graph_def()
    bodies = [graph.node, *(body.node_def for body in graph.library.function)]
    return Counter(node.op for nodes in bodies for node in nodes)


FAST: dict[str, tuple[Stack, int]] = {
    "lstm": (lambda: [layers.LSTM(3)], 1),
    "stacked": (lambda: [layers.LSTM(3, return_sequences=True, dropout=0.3), layers.GRU(3)], 2),
    "both directions": (lambda: [layers.Bidirectional(layers.GRU(3, return_sequences=True)), layers.LSTM(3)], 3),
    "backwards": (lambda: [layers.GRU(3, go_backwards=True)], 1),
    "after a convolution": (lambda: [layers.Conv1D(3, 2), layers.MaxPooling1D(2), layers.LSTM(3)], 1),
}
SLOW: dict[str, tuple[Stack, int]] = {
    "simple": (lambda: [layers.SimpleRNN(3)], 1),
    "gru that resets before": (lambda: [layers.Bidirectional(layers.GRU(3, reset_after=False))], 2),
    "no bias": (lambda: [layers.LSTM(3, use_bias=False, return_sequences=True), layers.GRU(3, use_bias=False)], 2),
    "activation": (lambda: [layers.LSTM(3, activation="relu")], 1),
    "gates": (lambda: [layers.LSTM(3, recurrent_activation="hard_sigmoid")], 1),
    "recurrent dropout": (lambda: [layers.GRU(3, recurrent_dropout=0.2)], 1),
}
MASKED: dict[str, tuple[Stack, int]] = {
    "lstm": (lambda: [layers.LSTM(3, return_sequences=True), layers.LSTM(3)], 2),
    "gru": (lambda: [layers.Dense(3), layers.Dropout(0.5), layers.GRU(3)], 1),
    "both directions": (lambda: [layers.Bidirectional(layers.LSTM(3))], 2),
}


@pytest.mark.parametrize("name", FAST)
def test_layer_that_cudnn_can_run_is_its_kernel(name: str, tmp_path: Path) -> None:
    stack, kernels = FAST[name]
    bundle = draft(tmp_path, stack())
    operations = count_operations(engines.KerasEngine(bundle, MAXLEN, LABELS).trace(4))
    assert (operations["CudnnRNNV3"], operations["While"]) == (kernels, 0)
    assert find_slow_layers(bundle.model) == []


@pytest.mark.parametrize("bundle", sorted(SHIPPED.glob("*/*/")), ids=lambda path: "-".join(path.parts[-2:]))
def test_shipped_models_are_nothing_but_cudnn_kernels(bundle: Path) -> None:
    opened = read_bundle(bundle)
    kinds = Counter(layer.kind for layer in opened.model.layers)
    spec, labels = opened.manifest.text, len(opened.manifest.labels)
    operations = count_operations(engines.KerasEngine(opened, spec.maxlen, labels).trace(16))
    assert operations["CudnnRNNV3"] == 2 * kinds["Bidirectional"] + kinds["LSTM"] + kinds["GRU"] > 0
    assert operations["While"] == 0


@pytest.mark.parametrize(
    ("name", "mask"), [*((name, False) for name in SLOW), *((name, True) for name in MASKED)], ids=str
)
def test_every_other_layer_goes_step_by_step_and_is_named(
    name: str, mask: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without cuDNN's kernels it runs here too: where padding is masked, Keras' own choice would fail."""
    monkeypatch.setattr(engines, "BATCH_SIZES", (4,))
    stack, loops = (MASKED if mask else SLOW)[name]
    bundle = draft(tmp_path, stack(), mask=mask)
    engine = engines.KerasEngine(bundle, MAXLEN, LABELS)
    operations = count_operations(engine.trace(4))
    assert (operations["CudnnRNNV3"], operations["While"]) == (0, loops)
    assert len(find_slow_layers(bundle.model)) == len(
        [layer for layer in bundle.model.layers if layer.kind in RECURRENT]
    )
    expected = OnnxEngine(bundle.model, MAXLEN, LABELS).predict(WINDOWS)
    np.testing.assert_allclose(engine.predict(WINDOWS), expected, atol=1e-5)


def test_functional_model_whose_padding_is_masked_gives_what_the_onnx_engine_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BATCH_SIZES", (4,))
    ids = keras.Input((MAXLEN,), dtype="int32")
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(layers.Embedding(WORDS, 4, mask_zero=True)(ids))
    bundle = save(tmp_path, keras.Model(ids, layers.Dense(LABELS, activation="softmax")(layers.GRU(3)(x))))
    engine = engines.KerasEngine(bundle, MAXLEN, LABELS)
    assert count_operations(engine.trace(4))["CudnnRNNV3"] == 0
    expected = OnnxEngine(bundle.model, MAXLEN, LABELS).predict(WINDOWS)
    np.testing.assert_allclose(engine.predict(WINDOWS), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("stack", "mask", "slow"),
    [
        (lambda: [layers.LSTM(3, return_sequences=True), layers.GRU(3, reset_after=False, name="odd")], False, "odd"),
        (lambda: [layers.SimpleRNN(3, return_sequences=True, name="odd"), layers.LSTM(3)], False, "odd"),
        (
            lambda: [layers.LSTM(3, return_sequences=True, name="masked"), layers.Conv1D(3, 2), layers.GRU(3)],
            True,
            "masked",
        ),
    ],
    ids=["fast, slow", "slow, fast", "masked, fast"],
)
@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_one_slow_layer_keeps_no_other_from_cudnn(stack: Stack, mask: bool, slow: str, tmp_path: Path) -> None:
    bundle = draft(tmp_path, stack(), mask=mask)
    operations = count_operations(engines.KerasEngine(bundle, MAXLEN, LABELS).trace(4))
    assert (operations["CudnnRNNV3"], operations["While"]) == (1, 1)
    assert [layer.name for layer in find_slow_layers(bundle.model)] == [slow]


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_layer_that_is_given_the_mask_behind_a_convolution_is_kept_from_cudnn(tmp_path: Path) -> None:
    ids = keras.Input((MAXLEN,), dtype="int32")
    x = layers.Conv1D(3, 2, padding="same")(layers.Embedding(WORDS, 4, mask_zero=True)(ids))
    top = layers.LSTM(3, name="given")(x, mask=ids != 0)
    bundle = save(tmp_path, keras.Model(ids, layers.Dense(LABELS, activation="softmax")(top)))
    operations = count_operations(engines.KerasEngine(bundle, MAXLEN, LABELS).trace(4))
    assert (operations["CudnnRNNV3"], operations["While"]) == (0, 1)
    assert [layer.name for layer in find_slow_layers(bundle.model)] == ["given"]


def test_masking_layer_keeps_what_follows_from_cudnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BATCH_SIZES", (1,))
    bundle = draft(tmp_path, [layers.Masking(), layers.LSTM(3, name="last")])
    operations = count_operations(engines.KerasEngine(bundle, MAXLEN, LABELS).trace(1))
    assert (operations["CudnnRNNV3"], operations["While"]) == (0, 1)
    assert [slow.name for slow in find_slow_layers(bundle.model)] == ["last"]


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_convolution_ends_a_mask_and_cudnn_may_go_on(tmp_path: Path) -> None:
    bundle = draft(tmp_path, [layers.Conv1D(3, 2), layers.LSTM(3)], mask=True)
    operations = count_operations(engines.KerasEngine(bundle, MAXLEN, LABELS).trace(4))
    assert (operations["CudnnRNNV3"], operations["Assert"], find_slow_layers(bundle.model)) == (1, 0, [])


def test_products_are_not_rounded_to_ten_bits() -> None:
    assert not engines.tf.config.experimental.tensor_float_32_execution_enabled()
