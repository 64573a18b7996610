"""Compiles a model file into one ONNX graph of fused operators, without Keras."""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from app.engines.graph import Graph, Tensor, UnsupportedError
from app.engines.layers import EMITTERS
from app.errors import UnsupportedLayerError
from app.model_file import ModelFile

OPSET: Final = 17
IR_VERSION: Final = 8


def compile_graph(model: ModelFile, maxlen: int, labels: int) -> tuple[onnx.ModelProto, dict[str, NDArray[Any]]]:
    """A graph, ids (batch, maxlen) int32 in and probabilities (batch, labels) float32 out, and its large weights."""
    graph, tensors = Graph(), dict[str, Tensor]()
    for layer in model.layers:
        try:
            if layer.kind not in EMITTERS:
                raise UnsupportedError("the engine has no such layer")
            tensors[layer.name] = EMITTERS[layer.kind](graph, layer, [tensors[name] for name in layer.inputs])
        except UnsupportedError as why:
            raise UnsupportedLayerError(
                model.path,
                f"layer {layer.name} ({layer.kind}) does not run on the onnx engine: {why}. Try --engine keras.",
            ) from None
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise UnsupportedLayerError(
                model.path, f"layer {layer.name} ({layer.kind}) has unfit settings or weights ({error})"
            ) from error
    out = _close(graph, model, tensors[model.output], labels)
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", maxlen])
    probabilities = helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", labels])
    compiled = helper.make_model(
        helper.make_graph(graph.nodes, "sentopic", [ids], [probabilities], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return compiled, graph.weights


def _close(graph: Graph, model: ModelFile, top: Tensor, labels: int) -> str:
    """The graph's output; one probability p of the second of two labels becomes (1 - p, p)."""
    if top.form != "flat" or top.channels != (1 if labels == 2 and top.channels == 1 else labels):
        raise UnsupportedLayerError(model.path, f"the model answers {top.form} ({top.channels}) for {labels} labels")
    if top.channels > 1:
        return top.name
    other = graph.add("Sub", [graph.constant(np.ones((1, 1), np.float32)), top.name])
    return graph.add("Concat", [other, top.name], axis=-1)
