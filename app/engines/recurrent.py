"""SimpleRNN, LSTM and GRU, in one direction or both, as ONNX' fused operators.

Keras keeps a cell as kernel (in, g h), recurrent kernel (h, g h) and bias, for g gates side by side; ONNX wants
W (directions, g h, in), R (directions, g h, h) and B (directions, 2 g h), input biases before recurrent ones.
Gates: LSTM is i, f, c, o in Keras and i, o, f, c in ONNX; GRU is z, r, h in both, and Keras'
`reset_after` is ONNX' `linear_before_reset`.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.engines.graph import Graph, Tensor, UnsupportedError
from app.model_file import Layer

Weights = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

_OPERATORS: Final = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}
_GATES: Final[dict[str, list[int]]] = {"SimpleRNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [0, 1, 2]}
"""For each of ONNX' gates, its place among Keras'."""

_STATES: Final = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}
_INT8_MAX: Final = 127

_ACTIVATIONS: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "relu": ("Relu", {}),
    "linear": ("Affine", {"alpha": 1.0, "beta": 0.0}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "softsign": ("Softsign", {}),
    "elu": ("Elu", {"alpha": 1.0}),
}


def recurrent(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    """One direction: a sequence in; a sequence (`return_sequences`) or the last state out."""
    config, x = layer.config, inputs[0].require("sequence")
    backwards = config["go_backwards"]
    if backwards:
        graph.read_ahead()
        if x.masked and config["return_sequences"]:
            raise UnsupportedError("mask_zero, for a backward sequence")
    weights = _read_weights(layer, layer.kind, config, "cell")
    y = _run(graph, layer.kind, config, x, [weights], "reverse" if backwards else "forward")
    if not config["return_sequences"]:
        return Tensor(graph.add("Squeeze", [y, graph.constant(np.array([0]))]), "flat", config["units"])
    y = graph.add("Squeeze", [y, graph.constant(np.array([1]))])
    return Tensor(_reverse(graph, y) if backwards else y, "sequence", config["units"], x.masked)


def bidirectional(graph: Graph, layer: Layer, inputs: list[Tensor]) -> Tensor:
    """Both directions in one operator, merged as `merge_mode` says."""
    graph.read_ahead()
    inner, x = layer.config["layer"], inputs[0].require("sequence")
    kind, config, mode = inner["class_name"], inner["config"], layer.config["merge_mode"]
    if kind not in _OPERATORS or mode not in ("concat", "sum", "ave", "mul"):
        raise UnsupportedError(f"{kind} merged by {mode}")
    backward = layer.config.get("backward_layer")
    if backward is not None and not _alike(inner, backward):
        raise UnsupportedError("two directions with different settings")
    pair = [_read_weights(layer, kind, config, f"{side}_layer/cell") for side in ("forward", "backward")]
    sequences, units = config["return_sequences"], config["units"]
    y = _run(graph, kind, config, x, pair, "bidirectional")
    form, axis = ("sequence", 1) if sequences else ("flat", 0)
    masked = x.masked and sequences
    if mode != "concat":
        operator = {"sum": "ReduceSum", "ave": "ReduceMean", "mul": "ReduceProd"}[mode]
        axes: dict[str, Any] = {} if mode == "sum" else {"axes": [axis]}
        operands = [y, graph.constant(np.array([axis]))] if mode == "sum" else [y]
        return Tensor(graph.add(operator, operands, keepdims=0, **axes), form, units, masked)
    y = graph.add("Transpose", [y], perm=[0, 2, 1, 3] if sequences else [1, 0, 2])
    shape = np.array([0, 0, 2 * units] if sequences else [0, 2 * units])
    return Tensor(graph.add("Reshape", [y, graph.constant(shape)]), form, 2 * units, masked)


def _run(graph: Graph, kind: str, config: dict[str, Any], x: Tensor, cells: list[Weights], direction: str) -> str:
    """ONNX' Y (steps, directions, batch, units) or Y_h (directions, batch, units)."""
    attributes = _describe(kind, config, len(cells), direction)
    graph.widen(len(_GATES[kind]) * config["units"])  # the inputs' part of all gates, for all steps, one direction each
    wanted = 0 if config["return_sequences"] else 1
    before = [graph.open_state() for _ in range(_STATES[kind])] if graph.streaming else []
    after = range(1, 1 + len(before))  # Y_h, and an LSTM's Y_c
    places = sorted({wanted, *after})
    if kind == "LSTM" and graph.precision == "int8":
        names = _add_quantized(graph, x, cells, before, places, attributes)
    else:
        weights = [graph.constant(np.stack(part)) for part in zip(*cells, strict=True)]
        names = graph.add_outputs(_OPERATORS[kind], [x.name, *weights, "", *before], places, **attributes)
    found: dict[int, str] = dict(zip(places, names, strict=True))
    for source, place in zip(before, after, strict=True):
        graph.hand_on(source, found[place], config["units"])
    return found[wanted]


def _describe(kind: str, config: dict[str, Any], directions: int, direction: str) -> dict[str, Any]:
    """The operator's attributes."""
    for option in ("stateful", "return_state"):
        if config.get(option):
            raise UnsupportedError(option)
    names = [config["activation"]] if kind == "SimpleRNN" else [config["recurrent_activation"], config["activation"]]
    if kind == "LSTM":
        names.append(config["activation"])
    if unknown := [name for name in names if not isinstance(name, str) or name not in _ACTIVATIONS]:
        raise UnsupportedError(f"activation {unknown[0]}")
    functions = [_ACTIVATIONS[name] for name in names] * directions
    attributes: dict[str, Any] = {
        "hidden_size": config["units"],
        "direction": direction,
        "activations": [name for name, _ in functions],
    }
    for key in ("alpha", "beta"):  # one value for each function that has such a number, in their order
        if values := [numbers[key] for _, numbers in functions if key in numbers]:
            attributes[f"activation_{key}"] = values
    if kind == "GRU":
        attributes["linear_before_reset"] = int(config["reset_after"])
    return attributes


def _add_quantized(
    graph: Graph, x: Tensor, cells: list[Weights], before: list[str], places: list[int], attributes: dict[str, Any]
) -> list[str]:
    """ONNX Runtime's LSTM on 8-bit weights, a scale for each column; inputs and states are rounded as they come."""
    graph.rows_interact = True  # on the scale of the largest in the run, whichever row has it
    w, r, bias = (np.stack(part) for part in zip(*cells, strict=True))
    operands, scales = list[str](), list[str]()
    for kernel in (w.transpose(0, 2, 1), r.transpose(0, 2, 1)):  # (directions, in, 4 h)
        scale = np.maximum(np.abs(kernel).max(axis=1), np.finfo(np.float32).tiny) / np.float32(_INT8_MAX)
        rounded = np.rint(kernel / scale[:, None]).astype(np.int8)
        operands.append(graph.constant(rounded))
        scales += [graph.constant(scale), graph.constant(np.zeros(scale.shape, np.int8))]
    states = before or ["", ""]
    inputs = [x.name, *operands, graph.constant(bias), "", *states, "", *scales]
    return graph.add_outputs("DynamicQuantizeLSTM", inputs, places, domain="com.microsoft", **attributes)


def _read_weights(layer: Layer, kind: str, config: dict[str, Any], place: str) -> Weights:
    """One cell's W (g h, in), R (g h, h) and B (2 g h)."""
    gates, units = _GATES[kind], config["units"]
    kernel, recurrent_kernel = layer.weights[f"{place}/vars/0"], layer.weights[f"{place}/vars/1"]
    bias = np.zeros((2, len(gates) * units), np.float32)
    if config["use_bias"]:
        given = layer.weights[f"{place}/vars/2"]
        bias[: given.ndim if given.ndim == 2 else 1] = given  # GRU with reset_after has both rows

    def reorder(array: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, g h) with Keras' gates -> (rows, g h) with ONNX'."""
        return array.reshape(len(array), len(gates), units)[:, gates].reshape(len(array), -1)

    return reorder(kernel).T, reorder(recurrent_kernel).T, reorder(bias).ravel()


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    keys = ("units", "activation", "recurrent_activation", "use_bias", "return_sequences", "reset_after")
    same = all(one["config"].get(key) == other["config"].get(key) for key in keys)
    turned = one["config"]["go_backwards"] is False and other["config"]["go_backwards"] is True
    return same and turned and one["class_name"] == other["class_name"]


def _reverse(graph: Graph, name: str) -> str:
    """Keras hands out a backward sequence in the order in which it was computed."""
    start, end, axis, step = (graph.constant(np.array([n])) for n in (-1, np.iinfo(np.int64).min, 0, -1))
    return graph.add("Slice", [name, start, end, axis, step])
