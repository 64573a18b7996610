"""From text to windows of ids with another tokenizer than `app.text`'s own, and the same rules for everything else."""

from collections.abc import Sequence

from app.text import START, Encoded, TextEncoder, Windows, Word
from app.tokenizers.base import Tokenizer


class PieceEncoder(TextEncoder):
    """Reads piece after piece, from the front or from the end, until a window is full."""

    def __init__(
        self, words: Sequence[str], num_words: int, maxlen: int, windows: Windows, tokenizer: Tokenizer
    ) -> None:
        super().__init__(words, num_words, maxlen, windows)
        self.tokenizer = tokenizer
        self.chars_at_once = tokenizer.chars_at_once

    def encode(self, text: str) -> Encoded:
        if self.windows == "cover":
            words = self.tokenizer.split(text)
            return self._pack(words, [START, *self._lookup(words)])
        return self._first(text) if self.windows == "first" else self._last(text)

    def encode_all(self, text: str) -> list[int]:
        return [START, *self._lookup(self.tokenizer.split(text))]

    def locate(self, text: str) -> list[Word]:
        return [
            Word(start + first, start + last, self._ids[word])
            for start, end in self.tokenizer.pieces(text)
            for word, first, last in self.tokenizer.find(text[start:end])
        ]

    def _first(self, text: str) -> Encoded:
        need = self.maxlen - 1
        words, ids = list[str](), list[int]()
        for start, end in self.tokenizer.pieces(text):
            piece = self.tokenizer.read(text[start:end])
            words += piece
            ids += self._lookup(piece)
            if len(ids) > need:
                words = words[: self._reach(words, need) if need else 0]
                return self._pack(words, [START, *ids[:need]], cut=True)
        return self._pack(words, [START, *ids])

    def _last(self, text: str) -> Encoded:
        need = self.maxlen
        words, ids = list[str](), list[int]()
        for start, end in reversed(self.tokenizer.pieces(text)):
            piece = self.tokenizer.read(text[start:end])
            words = piece + words
            ids = self._lookup(piece) + ids
            if len(ids) > need:
                break
        if len(ids) < need:
            return self._pack(words, [START, *ids])
        read = words[-self._reach(reversed(words), need) :]
        return self._pack(read, ids[-need:], cut=len(ids) > need)
