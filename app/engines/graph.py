"""An ONNX graph as it grows, in the terms that the layers are written in.

Inside the graph a sequence is time-major, (steps, batch, channels): that is what ONNX' recurrent
operators take, so that nothing is transposed between the embedding and the last recurrent layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.engines import proto
from app.engines.base import Precision
from app.model_file import Layer

LARGE_BYTES: Final = 16_384


class UnsupportedError(Exception):
    """Why a layer cannot be compiled; the compiler adds which one and in which file."""


class ReadsAheadError(Exception):
    """What a layer gives at one step depends on later ones, so that no state can stand for the steps before it."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in the graph: ids (batch, steps), a sequence (steps, batch, channels) or flat (batch, channels).

    `masked`: steps of padding count as if they were not there.
    """

    name: str
    form: str
    channels: int = 0
    masked: bool = False

    def require(self, form: str) -> "Tensor":
        if self.form != form:
            raise UnsupportedError(f"it reads {self.form} where it needs {form}")
        return self

    def require_unmasked(self, form: str) -> "Tensor":
        if self.masked:
            raise UnsupportedError("it reads what mask_zero has masked")
        return self.require(form)


@dataclass(frozen=True, slots=True)
class State:
    """What a layer knows of the steps that it has read, (1, batch, channels): `start` before the first.

    `source` is an input of the graph, `result` an output of it: after these steps too.
    """

    source: str
    result: str
    channels: int
    start: float


@dataclass
class Graph:
    """ONNX nodes and constants as they are added.

    `streaming`: its layers take their states from outside and hand them back, so that a window need not be read
    from its first step.
    """

    maxlen: int
    streaming: bool = False
    precision: Precision = "float32"
    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Large constants, handed to the runtime beside the graph instead of being written into it and parsed again."""
    states: list[State] = field(default_factory=list)
    masked: bool = False
    """Padding counts as if it were not there."""
    widest: int = 0
    """The most numbers that the runtime keeps of each step of a row in one block."""
    rows_interact: bool = False
    """Numbers are rounded on a scale that all rows of a run share, so that a row must run alone."""
    _opened: int = 0
    _masks: set[bool] = field(default_factory=set)

    def add(self, operator: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        """Appends a node and names its first output."""
        return self.add_outputs(operator, inputs, (0,), domain=domain, **attributes)[0]

    def add_outputs(
        self, operator: str, inputs: Sequence[str], wanted: Sequence[int], *, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Appends a node and names those of its outputs that are wanted; the others are not computed."""
        number = len(self.nodes)
        outputs = [f"t{number}_{place}" if place in wanted else "" for place in range(max(wanted) + 1)]
        self.nodes.append(proto.node(operator, inputs, outputs, domain, attributes))
        return [outputs[place] for place in wanted]

    def open_state(self) -> str:
        """The input of a new state, which `hand_on` must follow."""
        self._opened += 1
        return f"s{self._opened}"

    def hand_on(self, source: str, result: str, channels: int, start: float = 0.0) -> None:
        """Says that `result` (1, batch, channels) is what these steps have made of the state `source`."""
        self.states.append(State(source, result, channels, start))

    def read_ahead(self) -> None:
        """A layer says that its steps depend on later ones."""
        if self.streaming:
            raise ReadsAheadError

    def mask(self, *, masked: bool) -> None:
        """An embedding says whether it masks padding: all of them must, since masked steps are not even read."""
        self._masks.add(masked)
        if len(self._masks) > 1:
            raise UnsupportedError("one embedding has mask_zero and another has not")
        self.masked = masked
        if masked:
            self.read_ahead()  # no padding is left, so that there is nothing for a state to stand for

    def widen(self, numbers: int) -> None:
        """A layer says how many numbers of each step of a row it keeps in one block."""
        self.widest = max(self.widest, numbers)

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        value = np.ascontiguousarray(value)
        if value.nbytes < LARGE_BYTES:
            self.constants.append(proto.tensor(name, value))
        else:
            self.weights[name] = value
            self.constants.append(proto.external_tensor(name, value))
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
