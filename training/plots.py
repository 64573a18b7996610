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


def draw_network(title: str, layers: Sequence[tuple[str, tuple[int | None, ...], int]], path: Path) -> None:
    """A box a layer, from the ids up to the answer: its name, what it hands on, and its parameters."""
    figure, axes = plt.subplots(figsize=(5.4, 0.8 * len(layers) + 0.7), layout="constrained")
    axes.set(xlim=(0, 1), ylim=(-0.6, len(layers) - 0.3))
    axes.axis("off")
    axes.set_title(title, fontsize=11)
    for place, (name, shape, parameters) in enumerate(layers):
        shade = "#dcebfb" if parameters else "#f2f3f5"
        axes.add_patch(
            plt.Rectangle((0.04, place - 0.3), 0.92, 0.6, facecolor=shade, edgecolor=TRAINING, linewidth=0.8)
        )
        sizes = " x ".join("batch" if size is None else str(size) for size in shape)
        axes.text(0.08, place, name, va="center", fontsize=9, weight="bold")
        axes.text(0.62, place, sizes, va="center", ha="center", fontsize=8.5)
        axes.text(0.93, place, f"{parameters:,}" if parameters else "", va="center", ha="right", fontsize=8.5)
        if place:
            axes.annotate(
                "", (0.5, place - 0.3), (0.5, place - 0.7), arrowprops={"arrowstyle": "->", "color": TRAINING}
            )
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})  # no version in it: the same run, the same bytes
    plt.close(figure)
