"""The pictures in a bundle and in a report: learning curves, confusion, calibration, coverage, networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from training.anatomy import Anatomy
from training.answers import Answers
from training.evaluate import Bin, calibration_error, reliability, risk_coverage, wilson
from training.models import LayerShape
from training.run import Epoch

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

TRAINING, HELD_OUT, TEST = "#8a8f98", "#0b6bcb", "#c2410c"


def draw_curves(history: Sequence[Epoch], published: int, path: Path) -> None:
    """Loss and accuracy of training and held-out windows over the epochs, the published epoch marked."""
    epochs = [entry.epoch for entry in history]
    figure, (losses, accuracies) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, name, training, held_out in (
        (losses, "loss (nats)", [e.loss for e in history], [e.val_loss for e in history]),
        (accuracies, "accuracy", [e.accuracy for e in history], [e.val_accuracy for e in history]),
    ):
        axes.plot(epochs, training, "o-", color=TRAINING, label="training (with dropout)", markersize=3)
        axes.plot(epochs, held_out, "o-", color=HELD_OUT, label="held out", markersize=3)
        axes.axvline(published, color="black", linewidth=0.8, linestyle=":", label=f"published: epoch {published}")
        axes.set(xlabel="epoch", ylabel=f"{name}, by window")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    losses.legend(frameon=False, fontsize=8)
    _save(figure, path)


def draw_confusion(counts: Sequence[Sequence[int]], names: Sequence[str], path: Path) -> None:
    """Rows: the right label; columns: the answer. Shaded by share of the row, counts written in."""
    table = np.array(counts)
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    side = max(3.6, 0.26 * len(names) + 1.4)
    figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 10 if len(names) < 12 else 4.5
    for row, column in zip(*np.nonzero(table), strict=True):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=size, color=shade)
    ticks = range(len(names))
    small = 9 if len(names) < 12 else 6.5
    axes.set_xticks(ticks, names, rotation=0 if len(names) < 5 else 90, fontsize=small)
    axes.set_yticks(ticks, names, fontsize=small)
    axes.set(
        xlabel="answer",
        ylabel="right label",
        title=f"{table.sum():,} test texts, {table.trace() / table.sum():.1%} right",
    )
    _save(figure, path)


def draw_reliability(parts: Mapping[str, Answers], path: Path) -> None:
    """A column a part: confidence against accuracy in bins of equal mass (Wilson's 95% interval), confidences below.

    Half of the bins often stand in one corner: they are drawn once more, larger.
    """
    figure, grid = plt.subplots(
        3, len(parts), figsize=(6.2, 6), height_ratios=(3, 2.4, 1), layout="constrained", sharey="row"
    )
    least = min(float(answers.confidence.min()) for answers in parts.values())
    for (name, answers), color, (upper, middle, lower) in zip(parts.items(), (HELD_OUT, TEST), grid.T, strict=True):
        count = len(answers.labels)
        bins = reliability(answers.confidence, answers.right)
        _draw_bins(upper, bins, color)
        error = calibration_error(answers.confidence, answers.right)
        upper.set(xlim=(least, 1.01), title=f"{name}: {count:,} texts, ECE {error:.3f}")
        _draw_bins(middle, bins[len(bins) // 2 :], color)
        middle.set_title("the more confident half, larger", fontsize=9)
        lower.hist(answers.confidence, np.linspace(least, 1.0, 41), color=color, weights=np.full(count, 1 / count))
        lower.set(xlim=(least, 1.01), xlabel="confidence")
        lower.grid(alpha=0.25)
    for axes, name in zip(grid[:, 0], ("accuracy (95% interval)", "accuracy", "share of texts"), strict=True):
        axes.set(ylabel=name)
    _save(figure, path)


def _draw_bins(axes: Axes, bins: Sequence[Bin], color: str) -> None:
    confidence, accuracy = [part.confidence for part in bins], [part.accuracy for part in bins]
    below, above = ([abs(getattr(part, end) - part.accuracy) for part in bins] for end in ("low", "high"))
    axes.errorbar(confidence, accuracy, (below, above), fmt="o", color=color, markersize=3.5, linewidth=1.1)
    axes.axline((1, 1), slope=1, color="black", linewidth=0.8, linestyle=":")
    axes.grid(alpha=0.25)


def draw_risk_coverage(parts: Mapping[str, Answers], threshold: float, target: float, path: Path) -> None:
    """Accuracy over the share answered, the most confident first, from 30 answers on; Wilson's 95% interval shaded."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    least = target
    for (name, answers), color in zip(parts.items(), (HELD_OUT, TEST), strict=True):
        curve = risk_coverage(answers.confidence, answers.right)
        start = min(int(np.searchsorted(curve.answered, 30)), len(curve.answered) - 1)
        shown = np.unique(np.linspace(start, len(curve.answered) - 1, 150).astype(int))
        intervals = [wilson(int(curve.right[place]), int(curve.answered[place])) for place in shown]
        axes.fill_between(curve.coverage[shown], *np.array(intervals).T, color=color, alpha=0.12, linewidth=0)
        axes.plot(curve.coverage[shown], curve.accuracy[shown], color=color, linewidth=1.3, label=name)
        sure = answers.confidence >= threshold
        if sure.any():
            axes.plot(sure.mean(), answers.right[sure].mean(), "o", color=color, markersize=7, markeredgecolor="white")
        least = min(least, intervals[-1][0])
    axes.plot([], [], "o", color=TRAINING, label=f"the threshold: confidence {threshold:.3f} or more")
    axes.axhline(target, color="black", linewidth=0.8, linestyle=":", label=f"stated target: {target:.0%} right")
    axes.set(xlabel="share answered", xlim=(0, 1.01), ylabel="share of these that is right", ylim=(least - 0.01, 1.005))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    _save(figure, path)


def draw_histories(histories: Mapping[str, Sequence[Sequence[Epoch]]], path: Path) -> None:
    """A row a recipe: loss on the left, accuracy on the right; a pair of lines a seed."""
    rows = len(histories)
    figure, grid = plt.subplots(rows, 2, figsize=(9, 2.1 * rows + 0.5), layout="constrained", squeeze=False)
    for row, (name, runs) in enumerate(histories.items()):
        for axes, kind in zip(grid[row], ("loss", "accuracy"), strict=True):
            for place, run in enumerate(runs):
                epochs = [entry.epoch for entry in run]
                shown = {"training (with dropout)": (kind, TRAINING), "held out": (f"val_{kind}", HELD_OUT)}
                for label, (key, color) in shown.items():
                    values = [getattr(entry, key) for entry in run]
                    axes.plot(epochs, values, color=color, linewidth=1.1, label=label if not place else None)
            axes.set_title(f"{name}: {kind}", fontsize=9)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.25)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[0][0].legend(frameon=False, fontsize=7)
    for axes in grid[-1]:
        axes.set_xlabel("epoch", fontsize=8)
    _save(figure, path)


def draw_roc(scores: Mapping[str, NDArray[np.float64]], labels: NDArray[np.int64], path: Path) -> None:
    """One curve a recipe (its first seed), with the area under it; two labels."""
    figure, axes = plt.subplots(figsize=(5.6, 5), layout="constrained")
    for place, (name, found) in enumerate(scores.items()):
        false, true, _ = roc_curve(labels, found[:, 1])
        style = ("-", "--", ":")[place // 10 % 3]
        axes.plot(false, true, style, linewidth=1.2, label=f"{name}: {roc_auc_score(labels, found[:, 1]):.4f}")
    axes.set(
        xlabel="share of negatives taken for positive", ylabel="share of positives found", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(frameon=False, fontsize=7, title="area under the curve", title_fontsize=7)
    axes.grid(alpha=0.25)
    _save(figure, path)


def draw_recalls(counts: Mapping[str, Sequence[Sequence[int]]], names: Sequence[str], path: Path) -> None:
    """A bar a label and recipe: the share of the label's test texts that were found, labels by their number."""
    support = np.array(next(iter(counts.values()))).sum(axis=1)
    order = np.argsort(support, kind="stable")
    figure, axes = plt.subplots(figsize=(7, 0.2 * len(names) + 1), layout="constrained")
    height = 0.8 / len(counts)
    for place, (name, table) in enumerate(counts.items()):
        found = np.array(table).diagonal()[order] / np.maximum(1, support[order])
        axes.barh(np.arange(len(names)) + place * height, found, height, label=name)
    axes.set_yticks(np.arange(len(names)) + 0.4 - height / 2, [f"{names[i]} ({support[i]})" for i in order], fontsize=7)
    axes.set(xlabel="recall", xlim=(0, 1))
    axes.margins(y=0.01)
    figure.legend(frameon=False, fontsize=8, loc="outside upper right")
    _save(figure, path)


def draw_gates(anatomy: Anatomy, title: str, path: Path) -> None:
    """For each recurrent layer, word by word: its gates (mean, and the middle 80% of units) and its hidden state."""
    start = next((place for place, word in enumerate(anatomy.words) if word), 0)
    words = anatomy.words[start:]
    rows, size = 2 * len(anatomy.traces), (max(6, 0.24 * len(words) + 1.5), 3.6 * len(anatomy.traces))
    figure, grid = plt.subplots(rows, 1, figsize=size, layout="constrained", sharex=True, squeeze=False)
    figure.suptitle(title, fontsize=11)
    for row, trace in enumerate(anatomy.traces):
        gates, states = grid[2 * row][0], grid[2 * row + 1][0]
        for (name, gate), color in zip(trace.gates.items(), (HELD_OUT, "#c2410c", "#15803d"), strict=False):
            shown = gate[start:]
            low, high = np.quantile(shown, [0.1, 0.9], axis=1)
            gates.fill_between(range(len(words)), low, high, color=color, alpha=0.12, linewidth=0)
            gates.plot(shown.mean(axis=1), "o-", markersize=2.5, linewidth=1.1, color=color, label=name)
        gates.set(ylim=(0, 1), ylabel=f"{trace.layer}\ngates")
        gates.legend(frameon=False, fontsize=7, ncols=3, loc="lower left")
        gates.grid(alpha=0.25)
        shown = trace.hidden[start:, np.argsort(trace.hidden[-1], kind="stable")].T
        edge = np.quantile(np.abs(shown), 0.995)
        states.imshow(shown, aspect="auto", cmap="RdBu_r", vmin=-edge, vmax=edge, interpolation="nearest")
        states.set(ylabel="hidden state\n(a row a unit)", yticks=[])
    grid[-1][0].set_xticks(range(len(words)), words, rotation=90, fontsize=7)
    _save(figure, path)


def draw_padding(anatomies: Mapping[str, Anatomy], path: Path) -> None:
    """Length of the lowest layer's hidden state over a whole window: padding first, then the words."""
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    for (name, anatomy), color in zip(anatomies.items(), (HELD_OUT, "#c2410c", "#15803d", TRAINING), strict=False):
        start = next((place for place, word in enumerate(anatomy.words) if word), 0)
        axes.plot(np.linalg.norm(anatomy.traces[0].hidden, axis=1), color=color, label=name)
        axes.axvline(start - 0.5, color=color, linewidth=0.8, linestyle=":")
    axes.set(xlabel="step (dotted: the first that is not padding)", ylabel="length of the hidden state")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    _save(figure, path)


def draw_network(title: str, layers: Sequence[LayerShape], path: Path) -> None:
    """A box a layer, from the ids up to the answer: its name, what it hands on, its parameters; arrows to readers."""
    skipping = sorted({read for place, layer in enumerate(layers) for read in layer.reads if read < place - 1})
    right = 1 + 0.03 * len(skipping)
    figure, axes = plt.subplots(figsize=(5.4 * right, 0.8 * len(layers) + 0.7), layout="constrained")
    axes.set(xlim=(0, right), ylim=(-0.6, len(layers) - 0.3))
    axes.axis("off")
    axes.set_title(title, fontsize=11)
    for place, layer in enumerate(layers):
        shade = "#dcebfb" if layer.parameters else "#f2f3f5"
        axes.add_patch(
            plt.Rectangle((0.04, place - 0.3), 0.92, 0.6, facecolor=shade, edgecolor=TRAINING, linewidth=0.8)
        )
        sizes = " x ".join("batch" if size is None else str(size) for size in layer.output)
        parameters = f"{layer.parameters:,}" if layer.parameters else ""
        axes.text(0.08, place, layer.name, va="center", fontsize=9, weight="bold")
        axes.text(0.62, place, sizes, va="center", ha="center", fontsize=8.5)
        axes.text(0.93, place, parameters, va="center", ha="right", fontsize=8.5)
        for read in layer.reads:
            lane = 0.99 + 0.03 * skipping.index(read) if read < place - 1 else None
            _draw_arrow(axes, read, place, lane)
    _save(figure, path)


def _draw_arrow(axes: Axes, low: int, high: int, lane: float | None) -> None:
    """Straight up to a neighbour; past other boxes in a lane beside them, one a source."""
    style = {"arrowstyle": "->", "color": TRAINING}
    if lane is None:
        axes.annotate("", (0.5, high - 0.3), (0.5, low + 0.3), arrowprops=style)
        return
    axes.plot((0.96, lane, lane), (low, low, high - 0.1), color=TRAINING, linewidth=0.8)
    axes.annotate("", (0.96, high - 0.1), (lane, high - 0.1), arrowprops={**style, "shrinkA": 0})


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version in it: the same run, the same bytes
    plt.close(figure)
