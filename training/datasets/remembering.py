"""A tokenizer that keeps what it found: training reads each text a dozen times, and some take long to read.

Never for a service: it would keep its clients' texts.
"""

from collections.abc import Iterator

from app.tokenizers import Tokenizer
from app.tokenizers.base import Found


class Remembering(Tokenizer):
    def __init__(self, inner: Tokenizer) -> None:
        self.name, self.glue, self.piece_chars = inner.name, inner.glue, inner.piece_chars
        self._inner = inner
        self._found: dict[str, list[Found]] = {}

    def find(self, piece: str) -> Iterator[Found]:
        if piece not in self._found:
            self._found[piece] = list(self._inner.find(piece))
        return iter(self._found[piece])
