"""Tokenizers for languages whose words have spaces between them. The standard library only."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

from app.text import SEPARATORS, split_words
from app.tokenizers.base import Found, Tokenizer, TokenizerName

_KERAS_WORD: Final = re.compile(f"[^{re.escape(SEPARATORS)}]+")
_IGNORED: Final = "\u00ad\u200c\u200d"
"""Soft hyphens and what joins letters or keeps them apart: they stand in words and say nothing."""
_SCANNED: Final = (range(0x20000), range(0xE0100, 0xE01F0))
"""Where Unicode has marks and symbols; between them are Han letters, behind them nobody's."""
_FOLDED: Final = str.maketrans({"İ": "i", "\u2019": "'", **dict.fromkeys(_IGNORED)})


class Keras(Tokenizer):
    """The contract of `app.text`, in one piece."""

    name: TokenizerName = "keras"

    def find(self, piece: str) -> Iterator[Found]:
        words = self.read(piece)
        return ((word, *found.span()) for word, found in zip(words, _KERAS_WORD.finditer(piece), strict=True))

    def read(self, piece: str) -> list[str]:
        return split_words(piece)

    def pieces(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


class Unicode(Tokenizer):
    """Letters, digits and their marks in a row are a word; so is an emoji. Upper case and compatible forms are one.

    An apostrophe stays between two letters (isn't, п'ять), but for Latin vowels behind it: it has taken another's place
    there, and ends a word (l'été: l, été).
    """

    name: TokenizerName = "unicode"

    def __init__(self) -> None:
        self._word = word_pattern()

    def find(self, piece: str) -> Iterator[Found]:
        for found in self._word.finditer(piece.replace("_", " ")):
            yield fold(found.group()), *found.span()

    def read(self, piece: str) -> list[str]:
        found = self._word.findall(piece.replace("_", " "))
        return [word.lower() for word in found] if piece.isascii() else [fold(word) for word in found]


def fold(word: str) -> str:
    """Case folded and in its compatible form: STRASSE and straße, ﬁx and fix are one. Knows no language but this:

    a dotted capital I is an i, as Turkish has it, and not the i with another dot that Unicode makes of it.
    """
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFKC", word).translate(_FOLDED).casefold()


@cache
def word_pattern() -> re.Pattern[str]:
    r"""For texts without `_`, which `\w` takes for a letter.

    `re` has no class for marks: they are looked up here, or words of half of Asia would end at each vowel.
    """
    marks, symbols = list[int](), list[int]()
    for place in (place for part in _SCANNED for place in part):
        category = unicodedata.category(chr(place))
        if category == "So":
            symbols.append(place)
        elif category[0] == "M":
            marks.append(place)
    inner = rf"[\w{_as_ranges(marks)}{_IGNORED}]"
    latin = [chr(place) for part in (range(0x180), range(0x1E00, 0x1F00)) for place in part]
    vowels = "".join(letter for letter in latin if unicodedata.normalize("NFD", letter)[0].lower() in set("aeiouyhœæ"))
    return re.compile(rf"\w{inner}*(?:['\u2019](?![{vowels}])[^\W\d]{inner}*)*|[{_as_ranges(symbols)}]")


def _as_ranges(places: list[int]) -> str:
    """For a class of `re`, escaped: some marks have a meaning there, and a few do not print."""
    found = list[list[int]]()
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1][1] = place
        else:
            found.append([place, place])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)
