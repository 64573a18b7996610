"""Batches of whole texts: the windows of a text stay together, since their average is what is learned and served."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.text import Ids
from training.datasets.dataset import Labels
from training.encoding import EncodedExamples

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """`ids` (size, maxlen), `owner` (size,): the row of the text that a window is of; `targets` (2 size, outputs) and
    `weights` (2 size,): a row a text, then a row a window. What fills up to `size` has no weight; `texts` counts the
    texts that have.
    """

    ids: Ids
    owner: NDArray[np.int32]
    targets: Floats
    weights: Floats
    texts: int


@dataclass(frozen=True)
class Lessons:
    """Texts and what is to be answered: `targets` (texts, outputs), a share for each label, or, with one output, the
    second label's.
    """

    examples: EncodedExamples
    targets: Floats

    def __len__(self) -> int:
        return len(self.targets)


def to_targets(labels: Labels, count: int) -> Floats:
    """The right label alone, for `count` labels."""
    rows = np.eye(count, dtype=np.float32)[labels]
    return rows[:, 1:] if count == 2 else rows


def make_batches(
    lessons: Lessons, size: int, order: NDArray[np.int64] | None = None, window_share: float = 0.0
) -> Iterator[Batch]:
    """Texts in `order` (default: as they stand), as many to a batch as have at most `size` windows together.

    `window_share` of the weight is the single windows', the rest the texts'. Of a text with more windows than `size`,
    the last ones are taken.
    """
    starts = np.searchsorted(lessons.examples.owner, np.arange(len(lessons) + 1))
    held: list[tuple[int, int, int]] = []
    windows = 0
    for text in range(len(lessons)) if order is None else order:
        start, stop = max(starts[text], starts[text + 1] - size), starts[text + 1]
        if windows + stop - start > size:
            yield _pack(lessons, held, size, window_share)
            held, windows = [], 0
        held.append((text, start, stop))
        windows += stop - start
    if held:
        yield _pack(lessons, held, size, window_share)


def _pack(lessons: Lessons, held: list[tuple[int, int, int]], size: int, window_share: float) -> Batch:
    examples, targets = lessons.examples, lessons.targets
    places = np.concatenate([np.arange(start, stop) for _, start, stop in held])
    owner = np.full(size, size - 1, np.int32)
    owner[: len(places)] = np.repeat(np.arange(len(held)), [stop - start for _, start, stop in held])
    ids = np.zeros((size, examples.ids.shape[1]), np.int32)
    ids[: len(places)] = examples.ids[places]
    rows = np.zeros((size, targets.shape[1]), np.float32)
    rows[: len(held)] = targets[[text for text, _, _ in held]]
    weights = np.zeros((2, size), np.float32)
    weights[0, : len(held)] = (1 - window_share) * 2 * size / len(held)
    weights[1, : len(places)] = window_share * 2 * size / len(places)
    return Batch(ids, owner, np.concatenate([rows, rows[owner]]), weights.ravel(), len(held))
