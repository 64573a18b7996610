"""Both engines give the same probabilities for every layer kind, and for every option of each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from app import model_file  # noqa: E402
from app.engines.onnx import OnnxEngine  # noqa: E402
from app.errors import UnsupportedLayerError  # noqa: E402

layers = keras.layers
MAXLEN, WORDS, LABELS = 12, 30, 3

Stack = Callable[[], list["keras.layers.Layer"]]

STACKS: dict[str, Stack] = {
    "simple_rnn": lambda: [layers.SimpleRNN(5)],
    "simple_rnn_relu": lambda: [layers.SimpleRNN(5, activation="relu")],
    "lstm": lambda: [layers.LSTM(5)],
    "stacked_lstm": lambda: [layers.LSTM(5, return_sequences=True, dropout=0.3), layers.LSTM(4)],
    "lstm_no_bias": lambda: [layers.LSTM(5, use_bias=False)],
    "lstm_backwards": lambda: [layers.LSTM(5, go_backwards=True)],
    "lstm_backwards_sequence": lambda: [layers.LSTM(5, go_backwards=True, return_sequences=True), layers.LSTM(4)],
    "lstm_activations": lambda: [layers.LSTM(5, activation="softsign", recurrent_activation="hard_sigmoid")],
    "lstm_linear": lambda: [layers.LSTM(5, activation="linear")],
    "lstm_elu": lambda: [layers.LSTM(5, activation="elu")],
    "gru": lambda: [layers.GRU(5)],
    "gru_reset_before": lambda: [layers.GRU(5, reset_after=False)],
    "gru_no_bias": lambda: [layers.GRU(5, use_bias=False)],
    "gru_backwards": lambda: [layers.GRU(5, go_backwards=True, return_sequences=True), layers.GRU(3)],
    "recurrent_dropout": lambda: [layers.GRU(5, dropout=0.2, recurrent_dropout=0.2)],
    **{
        f"bidirectional_{kind.__name__}_{mode}": lambda kind=kind, mode=mode: [
            layers.Bidirectional(kind(4, return_sequences=True), merge_mode=mode),
            layers.Bidirectional(kind(3), merge_mode=mode),
        ]
        for kind in (layers.SimpleRNN, layers.LSTM, layers.GRU)
        for mode in ("concat", "sum", "ave", "mul")
    },
    **{
        f"conv_{padding}": lambda padding=padding: [
            layers.Conv1D(6, 5, padding=padding, activation="relu"),
            layers.GRU(4),
        ]
        for padding in ("valid", "same", "causal")
    },
    "conv_strided": lambda: [layers.Conv1D(6, 4, strides=2, padding="same"), layers.GRU(4)],
    "conv_dilated": lambda: [layers.Conv1D(6, 3, dilation_rate=2, use_bias=False), layers.GRU(4)],
    "conv_grouped": lambda: [layers.Conv1D(6, 3, groups=2), layers.GRU(4)],
    **{
        f"{kind.__name__}_{padding}": lambda kind=kind, padding=padding: [
            kind(5, strides=3, padding=padding),
            layers.GRU(4),
        ]
        for kind in (layers.MaxPooling1D, layers.AveragePooling1D)
        for padding in ("valid", "same")
    },
    "global_max": lambda: [layers.LSTM(5, return_sequences=True), layers.GlobalMaxPooling1D()],
    "global_average": lambda: [layers.LSTM(5, return_sequences=True), layers.GlobalAveragePooling1D()],
    "dropouts": lambda: [
        layers.SpatialDropout1D(0.5),
        layers.GaussianNoise(0.5),
        layers.GaussianDropout(0.5),
        layers.AlphaDropout(0.5),
        layers.LSTM(4),
        layers.Dropout(0.5),
    ],
    "dense_over_time": lambda: [layers.Dense(5, activation="tanh"), layers.GRU(4)],
    **{
        f"activation_{name}": lambda name=name: [layers.GRU(4), layers.Dense(5), layers.Activation(name)]
        for name in (
            "linear relu tanh sigmoid hard_sigmoid softmax softplus softsign elu selu exponential silu"
        ).split()
    },
}


def _sequential(stack: Stack, *, mask: bool = False) -> "keras.Model":
    start = [keras.Input((MAXLEN,), dtype="int32"), layers.Embedding(WORDS, 8, mask_zero=mask)]
    return keras.Sequential([*start, *stack(), layers.Dense(LABELS, activation="softmax")])


def _functional() -> "keras.Model":
    ids = keras.Input((MAXLEN,), dtype="int32")
    x = layers.Embedding(WORDS, 8)(ids)
    sequence = layers.GRU(6, return_sequences=True)(x)
    joined = layers.Concatenate()([x, sequence])
    top = layers.LSTM(5, return_sequences=True)(joined)
    pooled = [layers.GlobalMaxPooling1D()(top), layers.GlobalAveragePooling1D()(top), layers.GRU(3)(x)]
    return keras.Model(ids, layers.Dense(LABELS, activation="softmax")(layers.Concatenate()(pooled)))


def _masked_functional(stack: Stack) -> "keras.Model":
    """With a second branch from the same embedding, and a third from another one."""
    ids = keras.Input((MAXLEN,), dtype="int32")
    x = start = layers.Embedding(WORDS, 8, mask_zero=True)(ids)
    for layer in stack():
        x = layer(x)
    pooled = layers.GlobalAveragePooling1D()(layers.GRU(3, return_sequences=True)(layers.Dropout(0.5)(start)))
    other = layers.LSTM(3)(layers.Embedding(WORDS, 4, mask_zero=True)(ids))
    return keras.Model(ids, layers.Dense(LABELS, activation="softmax")(layers.Concatenate()([x, pooled, other])))


def _agree(model: "keras.Model", folder: Path, labels: int = LABELS) -> None:
    for weight in model.weights:  # Keras starts biases at 0, which would hide a bias in the wrong place
        if "seed" not in weight.path:
            weight.assign(np.random.default_rng(7).normal(0, 0.4, weight.shape))
    path = folder / "model.keras"
    model.save(path)
    ids = np.random.default_rng(8).integers(1, WORDS, (3 * MAXLEN, MAXLEN), dtype=np.int32)
    for row in ids:
        row[: np.random.default_rng(int(row[0])).integers(MAXLEN)] = 0  # as texts are: padded in front
    expected = model.predict(ids, verbose=0)
    if labels == 2 and expected.shape[1] == 1:
        expected = np.concatenate([1 - expected, expected], axis=1)
    engine = OnnxEngine(model_file.parse(path.read_bytes(), path), MAXLEN, labels)
    np.testing.assert_allclose(engine.predict(ids), expected, rtol=0, atol=1e-5)


MASKED: dict[str, Stack] = {
    "lstm": lambda: [layers.LSTM(5, return_sequences=True), layers.LSTM(4)],
    "gru_backwards": lambda: [layers.GRU(5, go_backwards=True)],
    "bidirectional": lambda: [
        layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        layers.Bidirectional(layers.LSTM(3), merge_mode="sum"),
    ],
    "dense_over_time": lambda: [layers.Dense(5), layers.Activation("tanh"), layers.Dropout(0.5), layers.SimpleRNN(4)],
    "global_average": lambda: [layers.GRU(5, return_sequences=True), layers.GlobalAveragePooling1D()],
}


@pytest.mark.parametrize("name", STACKS)
def test_onnx_engine_gives_what_keras_gives(name: str, tmp_path: Path) -> None:
    _agree(_sequential(STACKS[name]), tmp_path)


@pytest.mark.parametrize("name", MASKED)
def test_masked_padding_counts_as_if_it_were_not_there(name: str, tmp_path: Path) -> None:
    _agree(_sequential(MASKED[name], mask=True), tmp_path)


@pytest.mark.parametrize("name", MASKED)
def test_functional_model_whose_padding_is_masked_agrees(name: str, tmp_path: Path) -> None:
    """Keras writes its mask down as an operation of its own, which each layer takes by name."""
    _agree(_masked_functional(MASKED[name]), tmp_path)


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
@pytest.mark.parametrize(
    "stack",
    [
        lambda: [layers.GRU(5, return_sequences=True), layers.GlobalMaxPooling1D()],
        lambda: [layers.GRU(5, return_sequences=True, go_backwards=True), layers.GRU(3)],
        lambda: [layers.Conv1D(5, 3), layers.GRU(3)],
    ],
)
def test_layer_that_looks_at_masked_steps_is_refused(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError, match="mask_zero"):
        _agree(_sequential(stack, mask=True), tmp_path)


def test_functional_model_with_branches_agrees(tmp_path: Path) -> None:
    _agree(_functional(), tmp_path)


def test_one_output_is_the_second_of_two_labels(tmp_path: Path) -> None:
    stack = [
        keras.Input((MAXLEN,), dtype="int32"),
        layers.Embedding(WORDS, 8),
        layers.LSTM(4),
        layers.Dense(1),
        layers.Activation("sigmoid"),
    ]
    _agree(keras.Sequential(stack), tmp_path, labels=2)
