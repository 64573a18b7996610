"""What a network is made of, from the ids up, as plain values. Knows no Keras: `training.models` builds it.

The last layer is not named: it has one output a label (softmax), or a single one where there are two (sigmoid).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Embedding:
    """`size` numbers for each id."""

    size: int


@dataclass(frozen=True)
class Dropout:
    """Sets each number to 0 with the probability `rate`, in training."""

    rate: float


@dataclass(frozen=True)
class SpatialDropout:
    """Sets a channel to 0 for all steps of a window, with the probability `rate`, in training."""

    rate: float


@dataclass(frozen=True)
class Recurrent:
    """`dropout` on what a step reads, `recurrent_dropout` on what it remembers (which cuDNN cannot do)."""

    kind: Literal["simple_rnn", "lstm", "gru"]
    units: int
    dropout: float = 0.0
    recurrent_dropout: float = 0.0


@dataclass(frozen=True)
class Convolution:
    """`filters` over `width` neighbouring steps, rectified."""

    filters: int
    width: int


@dataclass(frozen=True)
class MaxPooling:
    """The largest of each `width` steps."""

    width: int


@dataclass(frozen=True)
class Summary:
    """Maximum and mean over time of every recurrent layer so far, side by side."""


Layer = Embedding | Dropout | SpatialDropout | Recurrent | Convolution | MaxPooling | Summary
OVER_TIME = (Recurrent, Convolution, MaxPooling, Summary, SpatialDropout)
"""Layers that read a sequence: the recurrent layer below one of them hands on every step."""


def to_json(network: Sequence[Layer]) -> list[dict[str, Any]]:
    return [{"layer": type(layer).__name__, **asdict(layer)} for layer in network]


def describe(network: Sequence[Layer], *, everything: bool = False) -> str:
    """The layers that learn, in a few words: 'embedding 64, LSTM 64, LSTM 64'; with `everything` the others too."""
    words = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
    parts = []
    for layer in network:
        if isinstance(layer, Embedding):
            parts.append(f"embedding {layer.size}")
        elif isinstance(layer, Recurrent):
            parts.append(f"{words[layer.kind]} {layer.units}{_describe_dropout(layer) if everything else ''}")
        elif isinstance(layer, Convolution):
            parts.append(f"convolution {layer.filters} x {layer.width}")
        elif isinstance(layer, Summary):
            parts.append("maximum and mean over time")
        elif everything and isinstance(layer, Dropout):
            parts.append(f"dropout {layer.rate:g}")
        elif everything and isinstance(layer, SpatialDropout):
            parts.append(f"dropout {layer.rate:g} of whole channels")
        elif everything and isinstance(layer, MaxPooling):
            parts.append(f"maximum of each {layer.width} steps")
    return ", ".join(parts)


def _describe_dropout(layer: Recurrent) -> str:
    rates = {"of what it reads": layer.dropout, "of what it remembers": layer.recurrent_dropout}
    drops = [f"{rate:g} {what}" for what, rate in rates.items() if rate]
    return f" (dropout {' and '.join(drops)})" if drops else ""


def count_parameters(network: Sequence[Layer], num_words: int, labels: int) -> list[tuple[str, int]]:
    """(layer, parameters) of each that learns, the answer last, by Keras' formulas.

    A gate of a recurrent layer has a weight for each number that it reads and each that it remembers, and a bias; the
    GRU's has two, one for each (`reset_after`).
    """
    counts: list[tuple[str, int]] = []
    channels, recurrent = 0, list[int]()
    for layer in network:
        match layer:
            case Embedding(size):
                counts.append((describe([layer]), num_words * size))
                channels = size
            case Recurrent(kind, units):
                gates, biases = {"simple_rnn": (1, 1), "lstm": (4, 1), "gru": (3, 2)}[kind]
                counts.append((describe([layer]), gates * units * (channels + units + biases)))
                channels = units
                recurrent.append(units)
            case Convolution(filters, width):
                counts.append((describe([layer]), filters * (width * channels + 1)))
                channels = filters
            case Summary():
                channels = 2 * sum(recurrent)
    outputs = 1 if labels == 2 else labels
    return [*counts, (f"dense {outputs}", outputs * (channels + 1))]


def least_maxlen(network: Sequence[Layer]) -> int:
    """The shortest window of which every layer has a step to read."""
    steps = 1
    for layer in reversed(network):
        match layer:
            case Convolution(_, width):
                steps += width - 1
            case MaxPooling(width):
                steps *= width
    return steps
