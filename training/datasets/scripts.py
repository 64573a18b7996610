"""Which tokenizer suits texts, by the scripts that they are written in."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from app.tokenizers import TokenizerName

_MANY: Final = 0.3
"""Share of a script among the letters."""
_SOME_KANA: Final = 0.05
"""Of Japanese and Chinese letters together: Chinese has none."""
_LOOKED_AT: Final = 2_000
_SCRIPTS: Final = {
    "Korean": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3)),
    "kana": ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)),
    "Han": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
    "Thai": ((0x0E00, 0x0E7F),),
    "Lao": ((0x0E80, 0x0EFF),),
    "Burmese": ((0x1000, 0x109F),),
    "Khmer": ((0x1780, 0x17FF),),
}


@dataclass(frozen=True)
class Writing:
    """`language`: what most of the letters point to; `tokenizer`: the one for it, None if there is none here."""

    language: str
    tokenizer: TokenizerName | None
    spaced: bool
    """Whether its words stand apart, more or less."""


def recognise(texts: Iterable[str]) -> Writing | None:
    """None where nothing speaks against words between spaces. Looks at the first texts alone."""
    counts, letters = dict.fromkeys(_SCRIPTS, 0), 0
    for letter in (letter for text in islice(texts, _LOOKED_AT) for letter in text if letter.isalpha()):
        letters += 1
        place = ord(letter)
        if place >= 0x0E00:
            for name, ranges in _SCRIPTS.items():
                counts[name] += any(first <= place <= last for first, last in ranges)
    if not letters:
        return None
    eastern = counts["kana"] + counts["Han"]
    if eastern >= _MANY * letters:
        japanese = counts["kana"] >= _SOME_KANA * eastern
        return Writing("Japanese", "japanese", False) if japanese else Writing("Chinese", "chinese", False)
    if counts["Korean"] >= _MANY * letters:
        return Writing("Korean", "korean", True)
    for name in ("Thai", "Lao", "Burmese", "Khmer"):
        if counts[name] >= _MANY * letters:
            return Writing(name, None, False)
    return None
