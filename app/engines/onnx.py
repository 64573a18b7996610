"""The engine for CPUs: a model file compiled at start-up, run by ONNX Runtime. Imports no Keras."""

import os
from collections.abc import Iterator
from typing import Final

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is on by default, and must be off before the import

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.engines.base import EngineOptions, Precision, Probabilities, blank_overflows
from app.engines.compile import Compiled, compile_graph
from app.model_file import ModelFile
from app.text import PAD, Ids

_ALIKE: Final = 0.75
"""How long a row must be, as a share of a run's longest, to run with it: a run costs half a row more than its rows."""

_SHARED_BYTES: Final = 2**20
"""Embeddings. What is smaller is kernels, of which the runtime keeps a copy in an order of its own anyway."""


class OnnxEngine:
    """One session, in memory: nothing is written to disk.

    Rows run together with others about as long, from their first word on: what padding leaves in the model before it is
    noted once, at start-up.
    """

    name = "onnx"

    def __init__(
        self,
        model: ModelFile,
        maxlen: int,
        labels: int,
        options: EngineOptions = EngineOptions(),  # noqa: B008 - it is frozen
    ) -> None:
        compiled = compile_graph(model, maxlen, labels, options.precision)
        self.precision: Precision = "int8" if compiled.rows_interact else "float32"
        self._maxlen, self._labels = maxlen, labels
        self._batch = 1 if compiled.rows_interact else options.batch
        self.block_bytes = np.dtype(np.float32).itemsize * self._batch * maxlen * compiled.widest
        self._session, self._shared = _open_session(compiled, options.threads)
        self._output = [compiled.output]
        self._skips = compiled.skips
        self._alike = 1.0 if compiled.skips == "all" else _ALIKE
        self._states = self._read_padding(compiled) if compiled.skips == "any" else {}

    def predict(self, ids: Ids) -> Probabilities:
        padding = self._count_padding(ids)
        if len(ids) == 1:
            return self._run(ids, int(padding[0]))
        if 0 < len(ids) <= self._batch and self._are_alike(least := int(padding.min()), int(padding.max())):
            return self._run(ids, least)  # as most are: there is nothing to sort, and nothing to copy
        answer = np.empty((len(ids), self._labels), np.float32)
        for rows, skipped in self._group(padding):
            answer[rows] = self._run(ids[rows], skipped)
        return answer

    def _count_padding(self, ids: Ids) -> NDArray[np.intp]:
        """The steps in front of each row that need not be read; the last one always is."""
        if self._skips == "none":
            return np.zeros(len(ids), np.intp)
        has_begun = ids != PAD
        has_begun[:, -1] = True
        padding: NDArray[np.intp] = has_begun.argmax(axis=1)
        return padding

    def _group(self, padding: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], int]]:
        """Rows that run together, and the steps that they skip; the longest rows first."""
        order = padding.argsort(kind="stable")
        skipped = padding[order].tolist()
        start = 0
        while start < len(order):
            end = start + 1
            while end < min(start + self._batch, len(order)) and self._are_alike(skipped[start], skipped[end]):
                end += 1
            yield order[start:end], skipped[start]
            start = end

    def _are_alike(self, least: int, most: int) -> bool:
        """Whether rows with so many steps of padding run together."""
        return self._maxlen - most >= (self._maxlen - least) * self._alike

    def _run(self, ids: Ids, skipped: int) -> Probabilities:
        rows = len(ids)
        feed = {name: table[skipped].repeat(rows, axis=1) for name, table in self._states.items()}
        feed["ids"] = np.ascontiguousarray(ids[:, skipped:])
        return blank_overflows(self._session.run(self._output, feed)[0])

    def _read_padding(self, compiled: Compiled) -> dict[str, NDArray[np.float32]]:
        """Each state's values (maxlen, 1, 1, channels) after 0, 1, ... steps of padding."""
        step = np.full((1, 1), PAD, np.int32)
        results = [state.result for state in compiled.states]
        values = [np.full((1, 1, state.channels), state.start, np.float32) for state in compiled.states]
        names = [state.source for state in compiled.states]
        found = [values]
        for _ in range(self._maxlen - 1):
            found.append(self._session.run(results, dict(zip(names, found[-1], strict=True), ids=step)))
        return {name: np.stack(column) for name, column in zip(names, zip(*found, strict=True), strict=True)}


def _open_session(compiled: Compiled, threads: int) -> tuple[onnxruntime.InferenceSession, list[onnxruntime.OrtValue]]:
    """A session, and the weights that it reads where they are, for processes to share: they must outlive it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised as well
    options.enable_cpu_mem_arena = False  # it would keep the largest batch's memory for ever
    options.enable_mem_pattern = False  # it would keep a plan for each size of a run, and take one block for many
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in compiled.weights.items()}
    options.add_external_initializers(list(values), list(values.values()))  # makes the graph whole, by copying
    shared = [name for name, array in compiled.weights.items() if array.nbytes >= _SHARED_BYTES]
    for name in shared:
        compiled.weights[name].flags.writeable = False
        options.add_initializer(name, values[name])  # takes the copy's place
    session = onnxruntime.InferenceSession(compiled.graph, options, providers=["CPUExecutionProvider"])
    return session, [values[name] for name in shared]
