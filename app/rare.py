"""Words that are seldom asked for: a set of them in a fifth of the memory that a set of strings takes."""

from array import array
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

_MARK: Final = b"\xff"
"""Stands around every word; UTF-8 has no such byte."""


class RareWords:
    """All in one string of bytes, those whose hashes end alike side by side: a word is looked for among a few.

    So a look takes some 0.4 µs, ten times as long as in a set: for words that a text has few of.
    """

    __slots__ = ("_bytes", "_mask", "_starts")

    def __init__(self, words: Sequence[str]) -> None:
        self._mask = (1 << len(words).bit_length()) - 1
        coded = [_code(word) for word in words]
        buckets = np.fromiter(map(hash, words), np.int64, len(words)) & self._mask
        sizes = np.fromiter(map(len, coded), np.int64, len(words)) + len(_MARK)
        ordered = map(coded.__getitem__, np.argsort(buckets, kind="stable").tolist())
        self._bytes = _MARK.join([b"", *ordered, b""])
        ends = np.cumsum(np.bincount(buckets, sizes, self._mask + 1)).astype(np.uint32)
        self._starts = array("I", [0])
        self._starts.frombytes(ends.tobytes())

    def __contains__(self, word: str) -> bool:
        bucket = hash(word) & self._mask
        start, end = self._starts[bucket], self._starts[bucket + 1]
        return self._bytes.find(b"\xff%b\xff" % _code(word), start, end + len(_MARK)) >= 0

    def __reduce__(self) -> tuple[Callable[[Sequence[str]], "RareWords"], tuple[list[str]]]:
        """Its words: in another process they have other hashes."""
        coded = self._bytes.split(_MARK)[1:-1]
        return RareWords, ([word.decode("utf-8", "surrogatepass") for word in coded],)


def _code(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")
