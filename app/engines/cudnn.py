"""Which recurrent layers NVIDIA's cuDNN can run as one kernel; the others go step by step, many times as slowly.

The conditions are Keras' own (https://keras.io/api/layers/recurrent_layers/lstm/ and .../gru/) but for one: where
padding in front is masked, Keras takes cuDNN's kernel all the same, and fails on the first batch.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from app.model_file import Layer, ModelFile

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
_MERGES: Final = {"Add", "Average", "Maximum", "Multiply", "Subtract"}
"""They hand a mask on if all that they read have one."""
_UNMASKING: Final = {
    "Conv1D",
    "MaxPooling1D",
    "AveragePooling1D",
    "GlobalMaxPooling1D",
    "GlobalAveragePooling1D",
    "Flatten",
    "Embedding",
}
"""Behind them is no mask, unless an embedding makes one."""


class SlowLayer(NamedTuple):
    """`is_masked`: Keras does not know that it is slow."""

    name: str
    kind: str
    why: str
    is_masked: bool

    def __str__(self) -> str:
        return f"layer {self.name} ({self.kind}): {self.why}"


def find_slow_layers(model: ModelFile) -> list[SlowLayer]:
    """The recurrent layers that cuDNN cannot run, each with the reason; of both directions the first that has one."""
    found, masked = list[SlowLayer](), set[str]()
    for layer in model.layers:
        read = [name in masked for name in layer.inputs]
        is_masked = layer.takes_mask or (all(read) if layer.kind in _MERGES else any(read))
        slow = [(kind, why) for kind, config in _cells(layer) if (why := _explain(kind, config, masked=is_masked))]
        found += [SlowLayer(layer.name, *reason, is_masked) for reason in slow[:1]]
        if layer.kind == "Masking" or layer.config.get("mask_zero") or (is_masked and _hands_on(layer)):
            masked.add(layer.name)
    return found


def _hands_on(layer: Layer) -> bool:
    """Whether a mask is still there behind it."""
    if any(not config["return_sequences"] for _, config in _cells(layer)):
        return False
    return layer.kind not in _UNMASKING


def _cells(layer: Layer) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = [layer.config["layer"], layer.config.get("backward_layer")] if layer.kind == "Bidirectional" else []
    named = [(part["class_name"], part["config"]) for part in parts if part] or [(layer.kind, layer.config)]
    yield from ((kind, config) for kind, config in named if kind in _CELLS)


def _explain(kind: str, config: dict[str, Any], *, masked: bool) -> str:
    if kind not in _NEEDED:
        return "cuDNN is not used for this kind"
    if masked:
        return "padding in front is masked, and cuDNN can leave out steps at the end alone"
    if config.get("use_cudnn") is False:
        return "use_cudnn is False"
    needed = {**_NEEDED[kind], "recurrent_dropout": 0.0}.items()
    return ", ".join(f"{name} is {config[name]}" for name, value in needed if config.get(name, value) != value)
