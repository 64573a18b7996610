"""An ONNX graph as it grows, in the terms that the layers are written in.

Inside the graph a sequence is time-major, (steps, batch, channels): that is what ONNX' recurrent
operators take, so that nothing is transposed between the embedding and the last recurrent layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from app.model_file import Layer

LARGE_BYTES: Final = 16_384


class UnsupportedError(Exception):
    """Why a layer cannot be compiled; the compiler adds which one and in which file."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in the graph: ids (batch, steps), a sequence (steps, batch, channels) or flat (batch, channels)."""

    name: str
    form: str
    channels: int = 0

    def require(self, form: str) -> "Tensor":
        if self.form != form:
            raise UnsupportedError(f"it reads {self.form} where it needs {form}")
        return self


@dataclass
class Graph:
    """ONNX nodes and constants as they are added."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Large constants, handed to the runtime beside the graph instead of being written into it and parsed again."""

    def add(self, operator: str, inputs: Sequence[str], *, output: int = 0, **attributes: Any) -> str:
        """Appends a node and names its output number `output`; the ones before it are not computed."""
        name = f"t{len(self.nodes)}"
        outputs = [""] * output + [name]
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        value = np.ascontiguousarray(value)
        if value.nbytes < LARGE_BYTES:
            self.constants.append(numpy_helper.from_array(value, name))
            return name
        self.weights[name] = value
        place = onnx.StringStringEntryProto(key="location", value="memory")
        self.constants.append(
            TensorProto(
                name=name,
                dims=value.shape,
                data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
                data_location=TensorProto.EXTERNAL,
                external_data=[place],
            )
        )
        return name

    def activate(self, name: str, activation: Any) -> str:
        """Applies one of Keras' activations by its name."""
        if activation == "linear":
            return name
        if activation in ("silu", "swish"):
            return self.add("Mul", [name, self.add("Sigmoid", [name])])
        if not isinstance(activation, str) or activation not in _ACTIVATIONS:
            raise UnsupportedError(f"activation {activation}")
        operator, attributes = _ACTIVATIONS[activation]
        return self.add(operator, [name], **attributes)


_ACTIVATIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "softmax": ("Softmax", {"axis": -1}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "exponential": ("Exp", {}),
}

Emit = Callable[[Graph, Layer, list[Tensor]], Tensor]
