"""How each Keras layer is written in ONNX operators; the recurrent ones stand in `recurrent`."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from app.engines.graph import Emit, Graph, Tensor, UnsupportedError
from app.engines.recurrent import bidirectional, recurrent
from app.model_file import Layer


def _input(_graph: Graph, layer: Layer, _inputs: list[Tensor]) -> Tensor:
    if len(layer.config["batch_shape"]) != 2:
        raise UnsupportedError("its input is not a window of ids")
    return Tensor("ids", "ids")


def _same(_graph: Graph, _layer: Layer, inputs: list[Tensor]) -> Tensor:
    """Layers that do something in training alone."""
    return inputs[0]


def _embedding(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    table, masked = layer.weights["vars/0"], bool(layer.config.get("mask_zero"))
    ids = graph.add("Transpose", [inputs[0].require("ids").name], perm=[1, 0])
    graph.mask(masked=masked)
    return Tensor(graph.add("Gather", [graph.constant(table), ids]), "sequence", table.shape[1], masked)


def _dense(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    kernel = layer.weights["vars/0"]
    x = graph.add("MatMul", [inputs[0].name, graph.constant(kernel)])
    if layer.config["use_bias"]:
        x = graph.add("Add", [x, graph.constant(layer.weights["vars/1"])])
    return replace(inputs[0], name=graph.activate(x, layer.config["activation"]), channels=kernel.shape[1])


def _activation(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    return replace(inputs[0], name=graph.activate(inputs[0].name, layer.config["activation"]))


def _concatenate(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    form = inputs[0].form
    if form == "ids" or layer.config["axis"] not in (-1, 2 if form == "sequence" else 1):
        raise UnsupportedError(f"axis {layer.config['axis']}")
    names = [tensor.require_unmasked(form).name for tensor in inputs]
    return Tensor(graph.add("Concat", names, axis=-1), form, sum(tensor.channels for tensor in inputs))


def _global_max(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    x = _over_time(layer, inputs).require_unmasked("sequence")
    y = graph.add("ReduceMax", [x.name], axes=[0], keepdims=1)
    if graph.streaming:
        before = graph.open_state()
        y = graph.add("Max", [y, before])
        graph.hand_on(before, y, x.channels, start=float(np.finfo(np.float32).min))
    return _flatten(graph, y, x.channels)


def _global_average(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    x = _over_time(layer, inputs)
    if not graph.streaming:
        return _flatten(graph, graph.add("ReduceMean", [x.name], axes=[0], keepdims=1), x.channels)
    before = graph.open_state()
    steps = graph.add("ReduceSum", [x.name, graph.constant(np.array([0]))], keepdims=1)
    total = graph.add("Add", [steps, before])
    graph.hand_on(before, total, x.channels)
    return _flatten(graph, graph.add("Div", [total, graph.constant(np.full(1, graph.maxlen, np.float32))]), x.channels)


def _over_time(layer: Layer, inputs: list[Tensor]) -> Tensor:
    _channels_last(layer)
    if layer.config.get("keepdims"):
        raise UnsupportedError("keepdims")
    return inputs[0].require("sequence")


def _flatten(graph: Graph, name: str, channels: int) -> Tensor:
    """(1, batch, channels) -> (batch, channels)."""
    return Tensor(graph.add("Squeeze", [name, graph.constant(np.array([0]))]), "flat", channels)


def _conv(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    graph.read_ahead()
    config, x = layer.config, inputs[0].require_unmasked("sequence")
    _channels_last(layer)
    kernel = layer.weights["vars/0"]  # (size, channels in / groups, channels out)
    weights = [graph.constant(kernel.transpose(2, 1, 0))]
    if config["use_bias"]:
        weights.append(graph.constant(layer.weights["vars/1"]))
    dilation = config["dilation_rate"][0]
    padding: dict[str, dict[str, Any]] = {
        "same": {"auto_pad": "SAME_UPPER"},
        "causal": {"pads": [dilation * (kernel.shape[0] - 1), 0]},
    }
    y = graph.add(
        "Conv",
        [_batch_major(graph, x), *weights],
        strides=list(config["strides"]),
        dilations=[dilation],
        group=config["groups"],
        **padding.get(config["padding"], {}),
    )
    return Tensor(_time_major(graph, graph.activate(y, config["activation"])), "sequence", kernel.shape[2])


def _pool(operator: str) -> Emit:
    def emit(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
        graph.read_ahead()
        config, x = layer.config, inputs[0].require_unmasked("sequence")
        _channels_last(layer)
        y = graph.add(
            operator,
            [_batch_major(graph, x)],
            kernel_shape=list(config["pool_size"]),
            strides=list(config["strides"]),
            auto_pad="SAME_UPPER" if config["padding"] == "same" else "VALID",
        )
        return Tensor(_time_major(graph, y), "sequence", x.channels)

    return emit


def _batch_major(graph: Graph, x: Tensor) -> str:
    """(steps, batch, channels) -> (batch, channels, steps), which convolutions take."""
    return graph.add("Transpose", [x.name], perm=[1, 2, 0])


def _time_major(graph: Graph, name: str) -> str:
    return graph.add("Transpose", [name], perm=[2, 0, 1])


def _channels_last(layer: Layer) -> None:
    if layer.config.get("data_format", "channels_last") != "channels_last":
        raise UnsupportedError("channels_first")


EMITTERS: Final[dict[str, Emit]] = {
    "InputLayer": _input,
    "Embedding": _embedding,
    "SimpleRNN": recurrent,
    "LSTM": recurrent,
    "GRU": recurrent,
    "Bidirectional": bidirectional,
    "Conv1D": _conv,
    "MaxPooling1D": _pool("MaxPool"),
    "AveragePooling1D": _pool("AveragePool"),
    "GlobalMaxPooling1D": _global_max,
    "GlobalAveragePooling1D": _global_average,
    "Concatenate": _concatenate,
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"), _same),
    "Dense": _dense,
    "Activation": _activation,
}
