"""What every tokenizer can do. Knows no library, no ids and no windows."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, Literal

TokenizerName = Literal["keras", "unicode", "korean", "japanese", "chinese"]
Span = tuple[int, int]
"""Where in a text something begins and ends, in characters."""
Found = tuple[str, int, int]
"""A word, and where it begins and ends."""

_BREAKS: Final = ("\n", "。\uff01\uff1f!?.", " \t\u3000")
"""Behind which a long text may be cut, the best first."""


class Tokenizer(ABC):
    """Finds words. The same text has the same words always: nothing is learned, nothing is kept.

    A long text is read in pieces, each as if it stood alone, so that no more of it need be read than somebody wants.
    """

    name: TokenizerName
    glue: str = " "
    """What stands between two words of a text."""
    piece_chars: int = 2_000
    chars_at_once: int = 100_000
    """The longest text that takes no more than some milliseconds: others wait meanwhile."""

    @abstractmethod
    def find(self, piece: str) -> Iterator[Found]:
        """The words of a piece in reading order; two may stand in one place, where they have grown together."""

    def split(self, text: str) -> list[str]:
        """Words in reading order."""
        return [word for start, end in self.pieces(text) for word in self.read(text[start:end])]

    def read(self, piece: str) -> list[str]:
        """The words of one piece."""
        return [word for word, _, _ in self.find(piece)]

    def spans(self, text: str) -> list[Span]:
        """The place of each word of `split`."""
        return [
            (start + first, start + last)
            for start, end in self.pieces(text)
            for _, first, last in self.find(text[start:end])
        ]

    def first_words(self, text: str, count: int) -> str:
        """The text up to the end of its first `count` words."""
        spans = self.spans(text)
        return text if len(spans) <= count else text[: max(end for _, end in spans[:count])] if count else ""

    def last_words(self, text: str, count: int) -> str:
        """The text from the beginning of its last `count` words."""
        spans = self.spans(text)
        return text if len(spans) <= count else text[min(start for start, _ in spans[-count:]) :] if count else ""

    def pieces(self, text: str) -> list[Span]:
        """Cut behind a line, else a sentence, else a word, else wherever `piece_chars` end."""
        found, start = list[Span](), 0
        while len(text) - start > self.piece_chars:
            end = start + _cut(text[start : start + self.piece_chars])
            found.append((start, end))
            start = end
        return [*found, (start, len(text))]


def _cut(piece: str) -> int:
    for marks in _BREAKS:
        place = max(piece.rfind(mark) for mark in marks) + 1
        if place > len(piece) // 2:
            return place
    return len(piece)
