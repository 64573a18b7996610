"""The text contract: text -> words -> ids -> windows, the same for training and for serving.

The standard library and NumPy only. Knows nothing of labels, models or HTTP.

    "It was GREAT!"  -> it was great -> [1, 12, 16, 87] -> [[0, ..., 0, 1, 12, 16, 87]]
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.rare import RareWords

Ids = NDArray[np.int32]
Windows = Literal["last", "first", "cover"]

PAD: Final = 0
START: Final = 1
UNKNOWN: Final = 2
INDEX_FROM: Final = 3
"""A word of rank r has the id r + 3, as in `keras.datasets`."""

SEPARATORS: Final = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n '
"""What ends a word: the filters of Keras' `text_to_word_sequence`, which made its data sets."""

MOSTLY_UNKNOWN_BELOW: Final = 0.5
"""Share of known words under which an answer is not to be trusted."""

_NORMALISE: Final = bytes.maketrans(
    SEPARATORS.encode() + bytes(range(65, 91)), b" " * len(SEPARATORS) + bytes(range(97, 123))
)
_START: Final = np.array([START], np.int32)
_CHARS_PER_WORD: Final = 12
"""First guess at how much of a long text holds a window's words; a wrong one costs a second look."""


def _normalise(text: str) -> str:
    """As many characters as before, each separator a space.

    On UTF-8 bytes: every separator and every letter that changes is one byte, which no longer
    character contains, and translating bytes is 4 times as fast as translating characters.
    """
    return text.encode("utf-8", "surrogatepass").translate(_NORMALISE).decode("utf-8", "surrogatepass")


def _split(text: str) -> list[str]:
    """Words with the empty ones between two separators."""
    return _normalise(text).split(" ")


def split_words(text: str) -> list[str]:
    """Words in reading order: ASCII letters in lower case, apostrophes and other letters as they stand."""
    return [word for word in _split(text) if word]


def rank_words(texts: Iterable[str], split: Callable[[str], list[str]] = split_words) -> list[str]:
    """The word index of `texts`: every word, the most frequent first, ties in order of appearance."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text))
    return [word for word, _ in counts.most_common()]


class Word(NamedTuple):
    """A word's place in its text, in characters, and its id: `UNKNOWN` if it is rare, 0 if the word index lacks it."""

    start: int
    end: int
    id: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as the model reads it.

    `total` and `known` count the words inside the windows; a word is known if it has an id of its own
    (the word index holds it at a rank that `num_words` admits). `cut`: the text holds more than the windows.
    """

    windows: Ids
    total: int
    known: int
    cut: bool

    @property
    def known_share(self) -> float:
        """Of the words read; 0 where there is none."""
        return self.known / self.total if self.total else 0.0

    @property
    def mostly_unknown(self) -> bool:
        """Too few words are known for an answer to be trusted: less than half, or none of none."""
        return self.known_share < MOSTLY_UNKNOWN_BELOW


class _Ids(dict[str, int]):
    """The ids of words, 0 for those that the word index lacks.

    Beyond `num_words` stand most of a word index and few words of a text: in here they would take more than all others.
    """

    __slots__ = ("_rare",)

    def __init__(self, words: Sequence[str], num_words: int) -> None:
        own = num_words - INDEX_FROM - 1
        super().__init__({word: INDEX_FROM + rank for rank, word in enumerate(words[:own], start=1)})
        self[""] = 0  # between two separators
        self._rare = RareWords(words[own:])

    def __missing__(self, word: str) -> int:
        return UNKNOWN if word in self._rare else 0


class TextEncoder:
    """Turns texts into windows of shape (n, maxlen), int32, padded in front with 0.

    `words` is the whole word index in rank order: one that stands in it beyond `num_words` becomes
    2 (unknown), one that it lacks is skipped. `windows` says which part of a long text is read.
    """

    chars_at_once: float = inf
    """The longest text that may be encoded while others wait: this contract's take no time worth mentioning."""

    def __init__(self, words: Sequence[str], num_words: int, maxlen: int, windows: Windows) -> None:
        if num_words <= INDEX_FROM or maxlen < 1:
            raise ValueError(f"num_words must exceed {INDEX_FROM} and maxlen 0: {num_words}, {maxlen}")
        self.maxlen = maxlen
        self.windows: Windows = windows
        self._ids = _Ids(words, num_words)

    def encode(self, text: str) -> Encoded:
        """Reads no more of `text` than its windows need; never fails, and gives one window at least."""
        if self.windows == "cover":
            words = _split(text)
            return self._pack(words, [START, *self._lookup(words)])
        return self._first(text) if self.windows == "first" else self._last(text)

    def encode_all(self, text: str) -> list[int]:
        """The ids of the whole text, start id first, before any window is cut."""
        return [START, *self._lookup(_split(text))]

    def locate(self, text: str) -> list[Word]:
        """Every word of the whole text."""
        found = re.finditer("[^ ]+", _normalise(text))
        return [Word(*match.span(), self._ids[match.group()]) for match in found]

    def pack(self, ids: Ids) -> Ids:
        """The windows of a text whose words have these ids: what `encode` makes of it."""
        ids = np.concatenate([_START, ids])
        if self.windows == "cover":
            windows = np.zeros(-(-len(ids) // self.maxlen) * self.maxlen, np.int32)
        else:
            ids = ids[: self.maxlen] if self.windows == "first" else ids[-self.maxlen :]
            windows = np.zeros(self.maxlen, np.int32)
        windows[len(windows) - len(ids) :] = ids
        return windows.reshape(-1, self.maxlen)

    def reach(self, words: int) -> slice:
        """Which of so many words that have an id stand in the windows."""
        if self.windows == "first":
            return slice(0, self.maxlen - 1)
        if self.windows == "last" and words >= self.maxlen:
            return slice(words - self.maxlen, None)
        return slice(0, None)

    def _lookup(self, words: Iterable[str]) -> list[int]:
        """The ids of those words that the word index holds."""
        return list(filter(None, map(self._ids.__getitem__, words)))

    def _pack(self, words: list[str], ids: list[int], *, cut: bool = False) -> Encoded:
        """`words`: those read, with the empty ones between two separators; `ids`: what becomes of them."""
        padding = -len(ids) % self.maxlen
        windows = np.array([PAD] * padding + ids, np.int32).reshape(-1, self.maxlen)
        starts = ids[0] == START
        return Encoded(windows, len(words) - words.count(""), len(ids) - starts - ids.count(UNKNOWN), cut)

    def _first(self, text: str) -> Encoded:
        size, need = self.maxlen * _CHARS_PER_WORD, self.maxlen - 1
        while True:
            words = _split(text[:size])
            whole = size >= len(text)
            if not whole:
                words.pop()  # it may go on behind the piece
            ids = self._lookup(words)
            if whole or len(ids) > need:
                read = words if len(ids) <= need else words[: self._reach(words, need) if need else 0]
                return self._pack(read, [START, *ids[:need]], cut=len(ids) > need)
            size *= 4

    def _last(self, text: str) -> Encoded:
        size, need = self.maxlen * _CHARS_PER_WORD, self.maxlen
        while True:
            words = _split(text[-size:])
            whole = size >= len(text)
            if not whole:
                words[0] = ""  # it may begin before the piece
            ids = self._lookup(words)
            if whole and len(ids) < need:
                return self._pack(words, [START, *ids])
            if whole or len(ids) > need:
                read = words[-self._reach(reversed(words), need) :]
                return self._pack(read, ids[-need:], cut=len(ids) > need)
            size *= 4

    def _reach(self, words: Iterable[str], ids: int) -> int:
        """How many of `words` it takes to get that many ids."""
        reach = 0
        for word in words:
            reach += 1
            ids -= self._ids[word] > 0
            if ids <= 0:
                break
        return reach
