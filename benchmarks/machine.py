"""The machine that figures were taken on."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from app.engines import proto
from app.engines.compile import IR_VERSION, OPSETS


def describe() -> dict[str, str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return {
        "processor": cpu.group(1) if cpu else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory.group(1)) / 2**20:.0f} GiB" if memory else "?",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("onnxruntime", "fastapi", "uvicorn", "uvloop")},
    }


def multiply_adds_per_s(rounds: int = 15) -> float:
    """What one core reaches in a float32 matrix product, NumPy's or ONNX Runtime's: not each uses all of a processor.

    NumPy must have been started with one thread.
    """
    return max(_measure(product, rounds) for product in (_make_numpy_product(1_024), _make_onnx_product(512)))


class _Product(NamedTuple):
    work: Callable[[], Any]
    size: int


def _measure(product: _Product, rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        product.work()
        seconds.append(time.perf_counter() - started)
    return product.size**3 / statistics.median(seconds)


def _make_numpy_product(size: int) -> _Product:
    a = np.random.default_rng(1).standard_normal((size, size), np.float32)
    return _Product(lambda: a @ a, size)


def _make_onnx_product(size: int) -> _Product:
    """By a constant, as an engine's kernels are, so that the runtime can lay it out as it likes."""
    a, shape = np.random.default_rng(1).standard_normal((size, size), np.float32), (size, size)
    node = proto.node("MatMul", ["a", "constant"], ["product"], "", {})
    graph = proto.graph(
        "product",
        [node],
        [proto.tensor("constant", a)],
        [proto.value_info("a", proto.FLOAT, shape)],
        [proto.value_info("product", proto.FLOAT, shape)],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = proto.model(graph, IR_VERSION, OPSETS)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return _Product(lambda: session.run(None, {"a": a}), size)
