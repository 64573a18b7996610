"""The engine for CPUs: a model file compiled at start-up, run by ONNX Runtime. Imports no Keras."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is on by default, and must be off before the import

import onnxruntime

from app.engines.base import Probabilities
from app.engines.compile import compile_graph
from app.model_file import ModelFile
from app.text import Ids


class OnnxEngine:
    """One session, in memory: nothing is written to disk."""

    name = "onnx"

    def __init__(self, model: ModelFile, maxlen: int, labels: int, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False  # it would keep the largest batch's memory for ever
        graph, weights = compile_graph(model, maxlen, labels)
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)  # copied by the session, so not kept here
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [self._session.get_outputs()[0].name]

    def predict(self, ids: Ids) -> Probabilities:
        answer: Probabilities = self._session.run(self._outputs, {"ids": ids})[0]
        return answer
