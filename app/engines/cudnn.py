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
_UNMASKING: Final = {"Conv1D", "MaxPooling1D", "AveragePooling1D"}
"""Layers that read a sequence and give one, and know nothing of masks."""


class SlowLayer(NamedTuple):
    name: str
    kind: str
    why: str

    def __str__(self) -> str:
        return f"layer {self.name} ({self.kind}): {self.why}"


def find_slow_layers(model: ModelFile) -> list[SlowLayer]:
    """The recurrent layers that cuDNN cannot run, each with the reason; of both directions the first that has one."""
    found, masked = list[SlowLayer](), set[str]()
    for layer in model.layers:
        reads_mask = not masked.isdisjoint(layer.inputs)
        slow = [(kind, why) for kind, config in _cells(layer) if (why := _explain(kind, config, masked=reads_mask))]
        found += [SlowLayer(layer.name, *reason) for reason in slow[:1]]
        if layer.kind == "Masking" or layer.config.get("mask_zero") or (reads_mask and layer.kind not in _UNMASKING):
            masked.add(layer.name)
    return found


def _cells(layer: Layer) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = [layer.config["layer"], layer.config.get("backward_layer")] if layer.kind == "Bidirectional" else []
    named = [(part["class_name"], part["config"]) for part in parts if part] or [(layer.kind, layer.config)]
    yield from ((kind, config) for kind, config in named if kind in _CELLS)


def _explain(kind: str, config: dict[str, Any], *, masked: bool) -> str:
    if kind not in _NEEDED:
        return "cuDNN is not used for this kind"
    if masked:
        return "padding in front is masked, and cuDNN can leave out steps at the end alone"
    needed = {**_NEEDED[kind], "recurrent_dropout": 0.0}.items()
    return ", ".join(f"{name} is {config[name]}" for name, value in needed if config.get(name, value) != value)
