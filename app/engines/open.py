"""From a verified bundle to a running engine: `open_engine` is the one way."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from app.bundle import MANIFEST, Bundle
from app.engines.base import Engine, EngineOptions, Precision
from app.errors import BundleError, SentopicError, StartError
from app.text import TextEncoder

EngineName = Literal["auto", "onnx", "keras"]
_DEVICE: Final = Path("/dev/nvidiactl")
GOLDEN_TOLERANCES: Final[dict[Precision, float]] = {"float32": 1e-4, "int8": 5e-2}
"""How far the scores of a golden text may be off."""


def open_engine(
    bundle: Bundle,
    name: EngineName = "auto",
    encoder: TextEncoder | None = None,
    options: EngineOptions = EngineOptions(),  # noqa: B008 - it is frozen
) -> Engine:
    """An engine that is warmed up and has reproduced the bundle's golden texts.

    `auto` is `keras` where TensorFlow and a GPU are found, else `onnx`.
    """
    chosen = choose(name)
    try:
        engine = _build(bundle, chosen, options)
        _check_golden(bundle, engine, encoder or bundle.encoder())
    except (SentopicError, ImportError):
        raise
    except Exception as error:  # whatever a runtime raises where weights and layers do not fit together
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise BundleError(bundle.model.path, f"the {chosen} engine cannot run it ({reason})") from error
    return engine


def choose(name: EngineName) -> Literal["onnx", "keras"]:
    if name != "auto":
        return name
    has_gpu = _DEVICE.exists() and importlib.util.find_spec("tensorflow") is not None
    return "keras" if has_gpu else "onnx"


def explain_no_gpu(name: EngineName) -> str | None:
    """Why this engine runs on the CPU, in some words; None: on a GPU. Raises StartError without TensorFlow."""
    if choose(name) == "onnx":
        return "the onnx engine runs on the CPU" if _DEVICE.exists() else "no NVIDIA device is there"
    if _load_keras().sees_gpu():
        return None
    return "TensorFlow cannot use the NVIDIA device" if _DEVICE.exists() else "no NVIDIA device is there"


def _build(bundle: Bundle, name: Literal["onnx", "keras"], options: EngineOptions) -> Engine:
    spec, labels = bundle.manifest.text, len(bundle.manifest.labels)
    if name == "onnx":
        from app.engines.onnx import OnnxEngine

        return OnnxEngine(bundle.model, spec.maxlen, labels, options)
    engine: Engine = _load_keras().KerasEngine(bundle, spec.maxlen, labels)
    return engine


def _load_keras() -> Any:
    """The module of the engine. Its import is TensorFlow's, which wants a place for temporary files, among others."""
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("tensorflow") is None:
        raise StartError("the keras engine needs TensorFlow: pip install 'sentopic[train]' or 'sentopic[gpu]'")
    try:
        return importlib.import_module("app.engines.keras")
    except Exception as error:
        raise StartError(f"TensorFlow cannot be loaded ({' '.join(str(error).split())})") from error


def _check_golden(bundle: Bundle, engine: Engine, encoder: TextEncoder) -> None:
    allowed = GOLDEN_TOLERANCES[engine.precision]
    for place, golden in enumerate(bundle.manifest.golden, start=1):
        probabilities = engine.predict(encoder.encode(golden.text).windows)
        scores = bundle.manifest.scores(probabilities)
        apart = np.abs(scores - np.array(golden.scores)).max()
        if not probabilities.any(axis=1).all() or not apart <= allowed:  # not <=: NaN must fail
            raise BundleError(
                bundle.directory / MANIFEST,
                f"golden text {place} is not reproduced by the {engine.name} engine ({allowed:g} allowed)",
            )
