"""The pictures in a bundle: learning curves and the confusion matrix."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from training.run import Epoch

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

TRAINING, HELD_OUT = "#8a8f98", "#0b6bcb"


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


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version in it: the same run, the same bytes
    plt.close(figure)
