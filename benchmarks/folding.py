"""Whether the embedding times the input kernel, folded into one table, would make the engine faster: the sentiment GRU.

ONNX' operators multiply by an input kernel themselves. So a folded table needs either an identity there, or the steps
written out one by one in plain operators. `python -m benchmarks.folding` measures both beside the engine.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from app.bundle import read_bundle
from app.engines.onnx import OnnxEngine
from app.settings import SHIPPED
from app.text import INDEX_FROM, Ids

ROWS = (1, 4, 16, 32)
Weights = dict[str, NDArray[Any]]
Built = tuple[list[onnx.NodeProto], Weights]


def main() -> None:
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    steps = bundle.manifest.text.maxlen
    by_kind = {layer.kind: layer.weights for layer in bundle.model.layers}
    runs = {
        "as it is": OnnxEngine(bundle.model, steps, 2).predict,
        "folded, identity": open_session(fold_with_identity(by_kind)),
        "folded, written out": open_session(write_out(by_kind, steps)),
    }
    for rows in ROWS:
        ids = np.random.default_rng(1).integers(INDEX_FROM + 1, 20_000, (rows, steps), dtype=np.int32)
        answers = [run(ids) for run in runs.values()]
        for answer in answers[1:]:
            np.testing.assert_allclose(answer, answers[0], atol=1e-5)
        spent: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(15):
            for name, run in runs.items():
                started = time.perf_counter()
                run(ids)
                spent[name].append((time.perf_counter() - started) / rows * 1e3)
        print(f"{rows:3} rows: " + ", ".join(f"{name} {statistics.median(s):.3f} ms" for name, s in spent.items()))


def fold(by_kind: dict[str, Weights]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Table (ids, 3 h) with the input bias in it, recurrent kernel (h, 3 h) and its bias (3 h,); gates z, r, h."""
    cell = by_kind["GRU"]
    bias = cell["cell/vars/2"]
    return by_kind["Embedding"]["vars/0"] @ cell["cell/vars/0"] + bias[0], cell["cell/vars/1"], bias[1]


def fold_with_identity(by_kind: dict[str, Weights]) -> Built:
    table, kernel, bias = fold(by_kind)
    wide, units = table.shape[1], len(kernel)
    values = {
        "table": table,
        "W": np.eye(wide, dtype=np.float32)[None],
        "R": np.ascontiguousarray(kernel.T)[None],
        "first": np.array([0]),
        "B": np.concatenate([np.zeros(wide, np.float32), bias])[None],
    }
    nodes = [
        helper.make_node("Transpose", ["ids"], ["by_step"], perm=[1, 0]),
        helper.make_node("Gather", ["table", "by_step"], ["x"]),
        helper.make_node("GRU", ["x", "W", "R", "B"], ["", "state"], hidden_size=units, linear_before_reset=1),
        helper.make_node("Squeeze", ["state", "first"], ["last"]),
    ]
    return [*nodes, *close(by_kind, values)], values


def write_out(by_kind: dict[str, Weights], steps: int) -> Built:
    table, kernel, bias = fold(by_kind)
    units = len(kernel)
    values = {"table": table, "R": kernel, "b": bias, "start": np.zeros((1, units), np.float32)}
    state, nodes = "start", []
    for t in range(steps):
        names = ("id", "x", "m", "r", "xg", "xh", "rg", "rh", "g", "s", "z", "q", "k", "c", "e", "f", "h")
        i, x, m, r, xg, xh, rg, rh, g, s, z, q, k, c, e, f, h = (f"{name}{t}" for name in names)
        values[f"place{t}"] = np.array(t)
        nodes += [
            helper.make_node("Gather", ["ids", f"place{t}"], [i], axis=1),
            helper.make_node("Gather", ["table", i], [x]),
            helper.make_node("MatMul", [state, "R"], [m]),
            helper.make_node("Add", [m, "b"], [r]),
            helper.make_node("Split", [x, "split"], [xg, xh], axis=-1),
            helper.make_node("Split", [r, "split"], [rg, rh], axis=-1),
            helper.make_node("Add", [xg, rg], [g]),
            helper.make_node("Sigmoid", [g], [s]),
            helper.make_node("Split", [s, "halves"], [z, q], axis=-1),
            helper.make_node("Mul", [q, rh], [k]),
            helper.make_node("Add", [xh, k], [c]),
            helper.make_node("Tanh", [c], [e]),
            helper.make_node("Sub", [state, e], [f]),
            helper.make_node("Mul", [z, f], [f"{f}z"]),
            helper.make_node("Add", [e, f"{f}z"], [h]),
        ]
        state = h
    values["split"] = np.array([2 * units, units])
    values["halves"] = np.array([units, units])
    nodes.append(helper.make_node("Identity", [state], ["last"]))
    return [*nodes, *close(by_kind, values)], values


def close(by_kind: dict[str, Weights], values: Weights) -> list[onnx.NodeProto]:
    """The dense layer, and (1 - p, p)."""
    dense = by_kind["Dense"]
    values |= {"D": dense["vars/0"], "d": dense["vars/1"], "all": np.ones(1, np.float32)}
    return [
        helper.make_node("Gemm", ["last", "D", "d"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["p"]),
        helper.make_node("Sub", ["all", "p"], ["other"]),
        helper.make_node("Concat", ["other", "p"], ["answer"], axis=-1),
    ]


def open_session(built: Built) -> Callable[[Ids], NDArray[np.float32]]:
    nodes, values = built
    ids = helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "steps"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 2])
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "folded", [ids], [answer], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(ids: Ids) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(None, {"ids": ids})[0]
        return found

    return run


if __name__ == "__main__":
    main()
