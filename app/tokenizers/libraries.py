"""Tokenizers for languages whose words only a dictionary can tell apart. Each library is imported by its own alone.

One reader a process, and one piece at a time: none of the libraries promises more. None of them may start a thread, as
a service forks its workers when it has them.
"""

import re
import threading
import unicodedata
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from app.tokenizers.base import Found, Tokenizer, TokenizerName
from app.tokenizers.plain import fold, word_pattern

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Library(Tokenizer):
    """Hands a library composed text, and takes the letters, digits and emojis of its words: an address is several."""

    chars_at_once = 0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._word = word_pattern()

    def _fold(self, word: str) -> str:
        return fold(word)

    @abstractmethod
    def _analyse(self, piece: str) -> Iterable[Found]:
        """The library's words, as they go into the index but for their case."""

    def find(self, piece: str) -> Iterator[Found]:
        composed, places = _compose(_SURROGATE.sub("\ufffd", piece))
        with self._lock:
            found = list(self._analyse(composed))
        for found_word, start, end in found:
            for word in self._word.findall(found_word.replace("_", " ")):
                yield self._fold(word), places[start], places[end]


class Korean(Library):
    """Kiwi's morphemes: what stands without a space in Korean is several (배송이: 배송, 이).

    A thousand letters without a space take it 0.15 s, in which no other thread runs, and four hundred a third of that.
    """

    name: TokenizerName = "korean"
    piece_chars = 400

    def __init__(self) -> None:
        super().__init__()
        from kiwipiepy import Kiwi

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it tells what 0 used to mean
            # Without its dictionary of names of several words, which takes 200 MB.
            self._kiwi = Kiwi(num_workers=0, load_multi_dict=False)
        self._kiwi.tokenize("")  # it reads its model now

    def _fold(self, word: str) -> str:
        return word.casefold()  # the compatible form would take ㅋㅋ apart

    def _analyse(self, piece: str) -> Iterable[Found]:
        return [(token.form, token.start, token.start + token.len) for token in self._kiwi.tokenize(piece)]


class Japanese(Library):
    """Sudachi's short units, each as its dictionary writes it (届き: 届く), so that spellings of one word are one."""

    name: TokenizerName = "japanese"
    glue = ""
    piece_chars = 1_000

    def __init__(self) -> None:
        super().__init__()
        from sudachipy import Dictionary, SplitMode

        self._sudachi = Dictionary(dict="small").tokenizer(SplitMode.A)

    def _analyse(self, piece: str) -> Iterable[Found]:
        return [(word.normalized_form(), word.begin(), word.end()) for word in self._sudachi.tokenize(piece)]


class Chinese(Library):
    """Jieba's words, as jieba-rs finds them."""

    name: TokenizerName = "chinese"
    glue = ""
    chars_at_once = 2_000

    def __init__(self) -> None:
        super().__init__()
        from rjieba import Jieba

        self._jieba = Jieba()  # the module's own one may be given words by anybody

    def _analyse(self, piece: str) -> Iterable[Found]:
        return self._jieba.tokenize(piece)


KINDS: Final[dict[TokenizerName, type[Library]]] = {"korean": Korean, "japanese": Japanese, "chinese": Chinese}


def _compose(text: str) -> tuple[str, Sequence[int]]:
    """`text` with letters and their marks as one (NFC), and where each of its characters, and its end, stood before."""
    if unicodedata.is_normalized("NFC", text):
        return text, range(len(text) + 1)
    starts = [place for place, letter in enumerate(text) if place == 0 or not _goes_on(letter)]
    parts, places = list[str](), list[int]()
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        parts.append(unicodedata.normalize("NFC", text[start:end]))
        places += [start] * len(parts[-1])
    return "".join(parts), [*places, len(text)]


def _goes_on(letter: str) -> bool:
    """Whether it may grow together with the one before it: a mark, a Korean vowel, a final consonant."""
    return unicodedata.category(letter)[0] == "M" or "\u1160" <= letter <= "\u11ff"
