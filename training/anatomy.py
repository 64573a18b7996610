"""What a recurrent layer does at each step: gates and states by the formulas, to be drawn over a text's words.

The formulas are Keras': LSTM after Hochreiter and Schmidhuber (1997) with forget gates (Gers et al., 2000), GRU
after Cho et al. (2014) in the form with `reset_after`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.bundle import Bundle
from app.errors import BundleError
from app.model_file import Layer
from app.text import PAD

Steps = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """One recurrent layer over one window. Each array is (steps, units)."""

    layer: str
    gates: dict[str, Steps]
    """From 0 (shut) to 1 (open)."""
    hidden: Steps
    cell: Steps | None
    """The LSTM's second state; a GRU has none."""


@dataclass(frozen=True)
class Anatomy:
    """A text's last window through every recurrent layer; `words` has '' where the window is padded."""

    words: tuple[str, ...]
    traces: tuple[Trace, ...]


def dissect(bundle: Bundle, text: str) -> Anatomy:
    """Raises BundleError if the model is not a plain stack of LSTM and GRU layers over an embedding."""
    encoder = bundle.encoder()
    ids = encoder.encode(text).windows[-1]
    layers = {layer.kind: layer for layer in bundle.model.layers}
    if "Embedding" not in layers:
        raise BundleError(bundle.model.path, "it has no embedding to start from")
    x: Steps = layers["Embedding"].weights["vars/0"][ids].astype(np.float64)
    traces = []
    for layer in bundle.model.layers:
        if layer.kind in ("LSTM", "GRU"):
            traces.append(_trace(layer, x))
            x = traces[-1].hidden
        elif layer.kind in ("SimpleRNN", "Bidirectional", "Conv1D"):
            raise BundleError(bundle.model.path, f"layer {layer.name} ({layer.kind}) is not an LSTM or a GRU")
    index = set(bundle.words)
    known = [word for word in bundle.manifest.text.open_tokenizer().split(text) if word in index]
    shown = ["start", *known][-int((ids != PAD).sum()) :]
    return Anatomy(("",) * (len(ids) - len(shown)) + tuple(shown), tuple(traces))


def _trace(layer: Layer, x: Steps) -> Trace:
    kernel, recurrent, bias = (layer.weights[f"cell/vars/{i}"].astype(np.float64) for i in range(3))
    return (
        _trace_lstm(layer, x @ kernel + bias, recurrent)
        if layer.kind == "LSTM"
        else _trace_gru(layer, x @ kernel + bias[0], recurrent, bias[1])
    )


def _trace_lstm(layer: Layer, read: Steps, recurrent: Steps) -> Trace:
    """`read`: what each step reads, already weighed (steps, 4 units): input, forget, candidate, output."""
    units = recurrent.shape[0]
    hidden, cell = np.zeros(units), np.zeros(units)
    rows: list[tuple[Steps, ...]] = []
    for step in read:
        i, f, c, o = np.split(step + hidden @ recurrent, 4)
        i, f, o = _sigmoid(i), _sigmoid(f), _sigmoid(o)
        cell = f * cell + i * np.tanh(c)
        hidden = o * np.tanh(cell)
        rows.append((i, f, o, hidden, cell))
    i, f, o, hiddens, cells = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(layer.name, {"input": i, "forget": f, "output": o}, hiddens, cells)


def _trace_gru(layer: Layer, read: Steps, recurrent: Steps, bias: Steps) -> Trace:
    """`read`: (steps, 3 units): update, reset, candidate; the reset gate acts after the product."""
    hidden = np.zeros(recurrent.shape[0])
    rows: list[tuple[Steps, ...]] = []
    for step in read:
        z_read, r_read, c_read = np.split(step, 3)
        z_kept, r_kept, c_kept = np.split(hidden @ recurrent + bias, 3)
        z, r = _sigmoid(z_read + z_kept), _sigmoid(r_read + r_kept)
        hidden = z * hidden + (1 - z) * np.tanh(c_read + r * c_kept)
        rows.append((z, r, hidden))
    z, r, hiddens = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(layer.name, {"update": z, "reset": r}, hiddens, None)


def _sigmoid(x: Steps) -> Steps:
    shut: Steps = 1 / (1 + np.exp(-x))
    return shut
