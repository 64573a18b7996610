"""What every peer is given: our own text contract, and our own sentiment GRU as one ONNX file.

Needs NumPy and ONNX Runtime. `SENTOPIC_PEER_MODEL` names the directory with the files that `prepare` has written.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from app.text import TextEncoder

MODEL = Path(os.environ["SENTOPIC_PEER_MODEL"])
MAX_BATCH = 32
MAX_WAIT_MS = 2


def load_encoder() -> TextEncoder:
    words = (MODEL / "words.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    spec = json.loads((MODEL / "model.json").read_text())
    return TextEncoder(words, spec["num_words"], spec["maxlen"], "last")


class Classifier:
    """Texts in, label and score out, by ONNX Runtime on one thread, as our own engine."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(MODEL / "model.onnx", options, providers=["CPUExecutionProvider"])
        self._encoder = load_encoder()

    def classify(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        ids = np.concatenate([self._encoder.encode(text).windows for text in texts])
        return [answer(float(row[1])) for row in self._session.run(None, {"ids": ids})[0]]


def answer(positive: float) -> dict[str, Any]:
    label, score = ("positive", positive) if positive >= 0.5 else ("negative", 1 - positive)
    return {"label": label, "score": round(score, 6)}
