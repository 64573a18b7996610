"""What every engine is to the rest of the service."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.text import Ids

Probabilities = NDArray[np.float32]


class Engine(Protocol):
    """Safe to call from one thread at a time; rows of a batch never influence each other."""

    name: str

    def predict(self, ids: Ids) -> Probabilities:
        """Windows (n, maxlen) int32 -> probabilities (n, labels) float32, each row adding up to 1.

        A model with one output (the probability of the second of two labels) gives two columns.
        """
        ...
