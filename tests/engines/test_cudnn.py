"""Layers that a GPU would run step by step are named, with the reason."""

from pathlib import Path
from typing import Any

import pytest

from app import model_file
from app.bundle import read_bundle
from app.engines.cudnn import find_slow_layers
from app.model_file import Layer, ModelFile
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


def test_layer_that_was_told_not_to_use_cudnn_is_named(tmp_path: Path) -> None:
    """Keras does not write that down, but who edits a configuration may."""
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(9, 4), layers.LSTM(3)]).save(path)
    model = model_file.parse(path.read_bytes(), path)
    model.layers[-1].config["use_cudnn"] = False
    (found,) = find_slow_layers(model)
    assert found.why == "use_cudnn is False"


def follow(kind: str, *masked: bool) -> list[str]:
    """What is found in an LSTM that reads a layer of this kind, which reads embeddings."""
    read = [Layer("Embedding", f"e{place}", {"mask_zero": mask}, (), {}) for place, mask in enumerate(masked)]
    stack = [*read, Layer(kind, "joined", {}, tuple(layer.name for layer in read), {})]
    stack.append(Layer("LSTM", "last", {"return_sequences": False}, ("joined",), {}))
    return [layer.name for layer in find_slow_layers(ModelFile(Path("made up"), tuple(stack), "last"))]


@pytest.mark.parametrize("kind", ["Add", "Average", "Maximum", "Multiply", "Subtract"])
def test_merged_branches_have_a_mask_if_all_of_them_have(kind: str) -> None:
    assert follow(kind, True, True) == ["last"]
    assert follow(kind, True, False) == follow(kind, False, False) == []


def test_joined_branches_have_a_mask_if_one_of_them_has() -> None:
    assert follow("Concatenate", True, False) == ["last"]
    assert follow("Concatenate", False, False) == []


@pytest.mark.parametrize("kind", ["Flatten", "GlobalMaxPooling1D", "GlobalAveragePooling1D", "Embedding"])
def test_nothing_is_masked_behind_a_layer_that_takes_time_away_or_begins_anew(kind: str) -> None:
    assert follow(kind, True) == []


def test_nothing_is_masked_behind_a_recurrent_layer_that_gives_its_last_step() -> None:
    read = Layer("Embedding", "e", {"mask_zero": True}, (), {})
    first = Layer("LSTM", "first", {"return_sequences": False}, ("e",), {})
    second = Layer("LSTM", "second", {"return_sequences": False}, ("first",), {})
    assert [layer.name for layer in find_slow_layers(ModelFile(Path("it"), (read, first, second), "second"))] == [
        "first"
    ]
