"""Texts that are nearly the same: copies with another name or number in them tell a test what was learned by heart.

Two are near if most of their pairs of neighbouring words are the same (Broder, 1997, "On the resemblance and
containment of documents"); whoever is near one of a group belongs to it. Knows nothing of labels.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NEAR: Final = 0.7
"""Pairs of words that both have, of all that either has: of twenty words, one or two may differ."""
_BANDS: Final = 16
_ROWS: Final = 4
"""Candidates have the least hashes in common, four in one of sixteen bands: 99% of those that are near enough."""
_STEP: Final = 0x9E3779B97F4A7C15

Pairs = NDArray[np.uint64]


def group(texts: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """The group of each text, as a number; one that is near no other is alone. Numbers of digits count as the same."""
    groups = np.arange(len(texts))
    if len(texts) < 2:
        return groups
    pairs = _pair(texts)
    for one, other in _candidates(pairs):
        first, second = _find(groups, one), _find(groups, other)
        if first != second and _likeness(pairs[one], pairs[other]) >= NEAR:
            groups[max(first, second)] = min(first, second)
    return np.array([_find(groups, place) for place in range(len(texts))])


def _pair(texts: Sequence[Sequence[str]]) -> list[Pairs]:
    """Of each text the hashes of its pairs of neighbours, each once, in order; a single word is a pair of its own."""
    numbers: dict[str, int] = {}
    found = []
    for words in texts:
        plain = ["0" if word.isdigit() else word for word in words]
        ids = np.array([numbers.setdefault(word, len(numbers) + 1) for word in plain], np.uint64)
        before, after = (ids[:-1], ids[1:]) if len(ids) > 1 else (ids, ids)
        found.append(np.unique(_mix(before * np.uint64(_STEP) + after)))
    return found


def _mix(values: Pairs) -> Pairs:
    """SplitMix64's last steps: every bit of a value reaches every bit of its hash."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _candidates(pairs: Sequence[Pairs]) -> list[tuple[int, int]]:
    """Places of texts that fall together in a band: each with the first there, and with the one before it."""
    sizes = np.array([len(one) for one in pairs])
    filled = np.flatnonzero(sizes)
    flat = np.concatenate([pairs[int(place)] for place in filled]) if len(filled) else np.zeros(0, np.uint64)
    starts = np.cumsum(sizes[filled]) - sizes[filled]
    found = set[tuple[int, int]]()
    for band in range(_BANDS if len(filled) else 0):
        keys = np.zeros(len(filled), np.uint64)
        for row in range(_ROWS):
            seed = np.uint64((band * _ROWS + row + 1) * _STEP % 2**64)
            keys = _mix(keys * np.uint64(_STEP) + np.minimum.reduceat(_mix(flat + seed), starts))
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
        first = dict[int, int]()
        for place in same:
            key = int(keys[order[place]])
            head = first.setdefault(key, int(filled[order[place - 1]]))
            here, before = int(filled[order[place]]), int(filled[order[place - 1]])
            found |= {(head, here), (before, here)}
    return sorted(found)


def _likeness(one: Pairs, other: Pairs) -> float:
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)


def _find(groups: NDArray[Any], place: int) -> int:
    """The group that `place` belongs to by now; what it passes on the way is shortened."""
    while groups[place] != place:
        groups[place] = groups[groups[place]]
        place = int(groups[place])
    return place
