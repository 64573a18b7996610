"""What every engine is to the rest of the service."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from app.text import Ids

Probabilities = NDArray[np.float32]
Precision = Literal["float32", "int8"]

SWITCH_INTERVAL_S: Final = 0.0001
"""How long an engine's thread waits for Python's lock when it has answers. The default, 5 ms, is worth 20 texts."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What suits a host; each but `precision` changes speed alone. `batch`: windows in one run of the runtime."""

    threads: int = 1
    batch: int = 16
    precision: Precision = "float32"


class Engine(Protocol):
    """Safe to call from one thread at a time; rows of a batch never influence each other.

    `precision`: what the model is computed in, which is float32 where it has nothing that could be rounded.
    `block_bytes`: the largest block that a layer takes from the heap in a full run and gives back, as far as they tell,
    for the next run to find it there; 0 if they take none.
    """

    name: str
    precision: Precision
    block_bytes: int

    def predict(self, ids: Ids) -> Probabilities:
        """Windows (n, maxlen) int32 -> probabilities (n, labels) float32, each row adding up to 1.

        Windows are as `TextEncoder` makes them: padded in front alone, with one id at least.
        A model with one output (the probability of the second of two labels) gives two columns.
        A row of zeros stands for a window on which the model's numbers overflowed: see `blank_overflows`.
        """
        ...


def blank_overflows(answers: Probabilities) -> Probabilities:
    """Zeros for each row with a value that is no number, so that none gets any further."""
    if np.isfinite(answers).all():
        return answers
    blanked: Probabilities = np.where(np.isfinite(answers).all(axis=1, keepdims=True), answers, np.float32(0))
    return blanked
