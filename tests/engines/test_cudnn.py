"""Layers that a GPU would run step by step are named, with the reason."""

from pathlib import Path
from typing import Any

import pytest

from app import model_file
from app.bundle import read_bundle
from app.engines.cudnn import find_slow_layers
from app.settings import SHIPPED

keras = pytest.importorskip("keras")
layers = keras.layers


def slow(folder: Path, *stack: Any, mask: bool = False) -> list[str]:
    model = keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(9, 4, mask_zero=mask), *stack])
    path = folder / "model.keras"
    model.save(path)
    return [str(layer) for layer in find_slow_layers(model_file.parse(path.read_bytes(), path))]


@pytest.mark.parametrize("bundle", sorted(SHIPPED.glob("*/*/")), ids=lambda path: "-".join(path.parts[-2:]))
def test_shipped_models_are_fast_on_a_gpu(bundle: Path) -> None:
    assert find_slow_layers(read_bundle(bundle).model) == []


def test_layers_as_keras_makes_them_are_fast(tmp_path: Path) -> None:
    assert slow(tmp_path, layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(3)) == []


def test_each_slow_layer_is_named_with_the_reason(tmp_path: Path) -> None:
    assert slow(
        tmp_path,
        layers.SimpleRNN(3, return_sequences=True, name="plain"),
        layers.Bidirectional(layers.GRU(3, reset_after=False, return_sequences=True), name="both"),
        layers.LSTM(3, activation="relu", use_bias=False, return_sequences=True, name="odd"),
        layers.LSTM(3, recurrent_dropout=0.2, name="dropping"),
    ) == [
        "layer plain (SimpleRNN): cuDNN is not used for this kind",
        "layer both (GRU): reset_after is False",
        "layer odd (LSTM): activation is relu, use_bias is False",
        "layer dropping (LSTM): recurrent_dropout is 0.2",
    ]


def test_padding_that_is_masked_in_front_is_slow(tmp_path: Path) -> None:
    (line,) = slow(tmp_path, layers.LSTM(3, name="first"), mask=True)
    assert line.startswith("layer first (LSTM): padding in front is masked")


def test_mask_reaches_through_layers_that_hand_it_on(tmp_path: Path) -> None:
    stack = layers.Dense(4), layers.Dropout(0.5), layers.Bidirectional(layers.GRU(3, return_sequences=True))
    first, second = slow(tmp_path, *stack, layers.LSTM(3, name="last"), mask=True)
    assert "(GRU): padding in front is masked" in first
    assert second.startswith("layer last (LSTM): padding in front is masked")


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
@pytest.mark.parametrize("layer", [layers.Conv1D(4, 2), layers.MaxPooling1D(2), layers.AveragePooling1D(2)])
def test_mask_ends_at_layers_that_know_nothing_of_it(layer: Any, tmp_path: Path) -> None:
    assert slow(tmp_path, layer, layers.LSTM(3), mask=True) == []


def test_slow_layer_of_the_way_back_is_named_too(tmp_path: Path) -> None:
    back = layers.LSTM(3, go_backwards=True, recurrent_dropout=0.1)
    both = layers.Bidirectional(layers.LSTM(3), backward_layer=back, name="both")
    assert slow(tmp_path, both) == ["layer both (LSTM): recurrent_dropout is 0.1"]
