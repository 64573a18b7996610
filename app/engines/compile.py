"""Compiles a model file into one ONNX graph of fused operators, without Keras.

A window is padded in front, and what padding leaves behind does not depend on the text. So a window need not be read
from its first step: where every step depends on earlier ones alone, the graph starts from given states; where padding
is masked, it starts where the text does.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.engines import proto
from app.engines.base import Precision
from app.engines.graph import Graph, ReadsAheadError, State, Tensor, UnsupportedError
from app.engines.layers import EMITTERS
from app.errors import UnsupportedLayerError
from app.model_file import ModelFile

OPSETS: Final = {"": 17, "com.microsoft": 1}
IR_VERSION: Final = 8


@dataclass(frozen=True, slots=True)
class Compiled:
    """A graph: ids (batch, steps) int32 in and probabilities (batch, labels) float32 out, and its large weights.

    `skips`: the steps of padding that need not be read: none; any number, from the states' values there (`states`
    go in and come out too); or exactly all of a window's. `widest`: the most numbers that a run keeps of each step of a
    row in one block.
    """

    graph: bytes
    output: str
    weights: dict[str, NDArray[Any]]
    skips: Literal["none", "any", "all"]
    states: tuple[State, ...]
    rows_interact: bool
    widest: int


def compile_graph(
    model: ModelFile, maxlen: int, labels: int, precision: Precision = "float32", *, streaming: bool = True
) -> Compiled:
    """Raises UnsupportedLayerError. Where not `streaming`, windows are read from their first step."""
    try:
        return _compile(model, labels, Graph(maxlen, streaming=streaming, precision=precision))
    except ReadsAheadError:
        return _compile(model, labels, Graph(maxlen, precision=precision))


def _compile(model: ModelFile, labels: int, graph: Graph) -> Compiled:
    tensors = dict[str, Tensor]()
    for layer in model.layers:
        try:
            if layer.kind not in EMITTERS:
                raise UnsupportedError("the engine has no such layer")
            tensor = EMITTERS[layer.kind](graph, layer, [tensors[name] for name in layer.inputs])
            if tensor.form == "sequence":
                graph.widen(tensor.channels)
            tensors[layer.name] = tensor
        except UnsupportedError as why:
            raise UnsupportedLayerError(
                model.path,
                f"layer {layer.name} ({layer.kind}) does not run on the onnx engine: {why}. Try --engine keras.",
            ) from None
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise UnsupportedLayerError(
                model.path, f"layer {layer.name} ({layer.kind}) has unfit settings or weights ({error})"
            ) from error
    return _close(graph, model, tensors[model.output], labels)


def _close(graph: Graph, model: ModelFile, top: Tensor, labels: int) -> Compiled:
    """One probability p of the second of two labels becomes (1 - p, p)."""
    if top.form != "flat" or top.channels != (1 if labels == 2 and top.channels == 1 else labels):
        raise UnsupportedLayerError(model.path, f"the model answers {top.form} ({top.channels}) for {labels} labels")
    output = top.name
    if top.channels == 1:
        other = graph.add("Sub", [graph.constant(np.ones((1, 1), np.float32)), top.name])
        output = graph.add("Concat", [other, top.name], axis=-1)
    flows = [(state.source, state.result, (1, "batch", state.channels)) for state in graph.states]
    content = proto.graph(
        "sentopic",
        graph.nodes,
        graph.constants,
        [
            proto.value_info("ids", proto.INT32, ("batch", "steps")),
            *(proto.value_info(source, proto.FLOAT, shape) for source, _, shape in flows),
        ],
        [
            proto.value_info(output, proto.FLOAT, ("batch", labels)),
            *(proto.value_info(result, proto.FLOAT, shape) for _, result, shape in flows),
        ],
    )
    skips: Literal["none", "any", "all"] = "any" if graph.streaming else "all" if graph.masked else "none"
    compiled = proto.model(content, IR_VERSION, OPSETS)
    return Compiled(compiled, output, graph.weights, skips, tuple(graph.states), graph.rows_interact, graph.widest)
