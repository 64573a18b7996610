"""The engine for GPUs: Keras on TensorFlow. The only module of the service that imports either."""

import io
import logging
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from app import hdf5
from app.bundle import MODEL, Bundle
from app.engines.base import Precision, Probabilities, blank_overflows
from app.engines.cudnn import find_slow_layers
from app.engines.quiet import native_stderr_muted
from app.errors import BundleError
from app.model_file import MAX_NODES, WEIGHTS
from app.text import Ids

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with native_stderr_muted():
    import keras
    import tensorflow as tf

# A GPU that rounds what it multiplies to ten bits would answer otherwise than a CPU, by more than 1e-5.
tf.config.experimental.enable_tensor_float_32_execution(False)

_log = logging.getLogger("sentopic")

BATCH_SIZES: Final = (1, 4, 16, 64, 128)
"""Rows of the compiled functions: a batch is padded to the next, and one larger than the last is split."""


def sees_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


class KerasEngine:
    """A model from bytes that `app.model_file` has checked, one compiled function a batch size.

    Not compiled by XLA, which would keep recurrent layers from cuDNN's kernels.
    """

    name = "keras"
    precision: Precision = "float32"
    block_bytes = 0  # TensorFlow's own allocator keeps what a GPU needs; on a CPU a step's numbers are few

    def __init__(self, bundle: Bundle, maxlen: int, labels: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MODEL
            _rewrite(bundle.model_bytes, path)
            try:
                self._model = keras.saving.load_model(path, compile=False, safe_mode=True)
            except Exception as error:
                reason = str(error).partition("\n")[0]
                raise BundleError(bundle.model.path, f"Keras cannot load it ({reason})") from error
        outputs = self._model.output_shape[-1]
        if self._model.input_shape[1:] != (maxlen,) or outputs != (1 if labels == 2 and outputs == 1 else labels):
            raise BundleError(bundle.model.path, f"it answers {outputs} values for {labels} labels")
        for slow in find_slow_layers(bundle.model):
            if slow.is_masked:
                self._keep_from_cudnn(slow.name)
            if sees_gpu():
                _log.warning("%s: %s: it runs step by step on this GPU", bundle.model.path, slow)
        self._maxlen = maxlen
        self._functions = {size: self.trace(size) for size in BATCH_SIZES}
        for size, function in self._functions.items():
            function(tf.zeros((size, maxlen), tf.int32))

    def trace(self, size: int) -> Any:
        """A compiled function of exactly that many windows (size, maxlen) int32, which gives what the model gives."""
        function = tf.function(lambda ids: self._model(ids, training=False))
        return function.get_concrete_function(tf.TensorSpec((size, self._maxlen), tf.int32))

    def predict(self, ids: Ids) -> Probabilities:
        largest = BATCH_SIZES[-1]
        parts = [self._predict(ids[start : start + largest]) for start in range(0, len(ids), largest)]
        p = np.concatenate(parts)
        return blank_overflows(np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p)

    def _predict(self, ids: Ids) -> Probabilities:
        size = next(size for size in BATCH_SIZES if size >= len(ids))
        padded = np.zeros((size, self._maxlen), np.int32)
        padded[: len(ids)] = ids
        answer: Probabilities = self._functions[size](tf.constant(padded)).numpy()[: len(ids)]
        return answer

    def _keep_from_cudnn(self, name: str) -> None:
        """Keras chooses when it traces a model, and chooses wrongly where padding in front is masked."""
        layer = self._model.get_layer(name)
        both = isinstance(layer, keras.layers.Bidirectional)
        for part in (layer.forward_layer, layer.backward_layer) if both else (layer,):
            part.use_cudnn = False


def _rewrite(data: bytes, path: Path) -> None:
    """A model file with the same weights in a new HDF5 file: what reads those for Keras never reads a stranger's."""
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, _rewrite_weights(content) if name == WEIGHTS else content)


def _rewrite_weights(content: bytes) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for place, array in hdf5.read_arrays(content, MAX_NODES).items():
            if place.startswith("/layers/"):
                file[place] = array
    return out.getvalue()
