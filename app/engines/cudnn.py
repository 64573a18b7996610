"""Which recurrent layers NVIDIA's cuDNN can run as one kernel; the others go step by step, many times as slowly.

The conditions are Keras' own (https://keras.io/api/layers/recurrent_layers/lstm/ and .../gru/).
"""

from collections.abc import Iterator
from typing import Any, Final

from app.model_file import ModelFile

_NEEDED: Final[dict[str, dict[str, Any]]] = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "unroll": False, "use_bias": True},
    "GRU": {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "unroll": False,
        "use_bias": True,
        "reset_after": True,
    },
}
_CELLS: Final = {"SimpleRNN", *_NEEDED}


def find_slow_layers(model: ModelFile) -> list[str]:
    """A line for each recurrent layer that cuDNN cannot run, with the reason."""
    masked = any(layer.kind == "Masking" or layer.config.get("mask_zero") for layer in model.layers)
    return [
        f"layer {layer.name} ({kind}): {why}"
        for layer in model.layers
        for kind, config in _cells(layer.kind, layer.config)
        if (why := _explain(kind, config, masked=masked))
    ]


def _cells(kind: str, config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if kind == "Bidirectional":
        kind, config = config["layer"]["class_name"], config["layer"]["config"]
    if kind in _CELLS:
        yield kind, config


def _explain(kind: str, config: dict[str, Any], *, masked: bool) -> str:
    if kind not in _NEEDED:
        return "cuDNN is not used for this kind"
    if masked:
        return "padding in front is masked, and cuDNN can leave out steps at the end alone"
    needed = {**_NEEDED[kind], "recurrent_dropout": 0.0}.items()
    return ", ".join(f"{name} is {config[name]}" for name, value in needed if config.get(name, value) != value)
