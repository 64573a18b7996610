"""Made-up texts to measure with: a bundle's own words, as often as words stand in real texts; the same in every run."""

from collections.abc import Sequence
from typing import Final

import numpy as np

_KNOWN: Final = 20_000


def make_texts(words: Sequence[str], count: int, length: int, seed: int = 1) -> list[str]:
    """`count` texts of `length` words from a word index, by Zipf's law."""
    known = words[:_KNOWN]
    shares = 1 / np.arange(1, len(known) + 1)
    drawn = np.random.default_rng(seed).choice(len(known), (count, length), p=shares / shares.sum())
    return [" ".join(known[place] for place in row) for row in drawn]
