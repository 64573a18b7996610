"""Tokenizers: how a text becomes words, and where in it each of them stands. A bundle declares which it was made with.

`keras` is the contract of `app.text` and needs nothing. The others are imported when a bundle asks for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final, get_args

from app.errors import TokenizerError
from app.text import TextEncoder, Windows
from app.tokenizers.base import Span, Tokenizer, TokenizerName
from app.tokenizers.encoder import PieceEncoder
from app.tokenizers.plain import Keras

KERAS: Final = Keras()
NAMES: Final[tuple[TokenizerName, ...]] = get_args(TokenizerName)
DISTRIBUTIONS: Final[dict[TokenizerName, tuple[str, ...]]] = {
    "keras": (),
    "unicode": (),
    "korean": ("kiwipiepy", "kiwipiepy_model"),
    "japanese": ("SudachiPy", "SudachiDict-small"),
    "chinese": ("rjieba",),
}
"""What each needs, by the names of Python's packages: another version of one may find other words."""


def open_tokenizer(name: TokenizerName, sealed: Mapping[str, str] | None = None) -> Tokenizer:
    """`sealed`: the versions that a bundle was made with, of all that the tokenizer needs.

    Raises TokenizerError, which says what to install, where something is missing or of another version. A library is
    imported only once that is known, and read once in a process.
    """
    needed = DISTRIBUTIONS[name]
    wanted = dict.fromkeys(needed, "") if sealed is None else dict(sealed)
    if wanted.keys() != {*needed}:
        raise TokenizerError(f"the {name} tokenizer needs {_list(needed)}, not {_list(sorted(wanted))}")
    found = {library: _version(library) for library in needed}
    if None in found.values() or (sealed is not None and found != wanted):
        raise TokenizerError(_say_what_to_install(name, wanted, found, exactly=sealed is not None))
    return _make(name)


def library_versions(name: TokenizerName) -> dict[str, str]:
    """Of all that the tokenizer needs and that is installed."""
    return {library: found for library in DISTRIBUTIONS[name] if (found := _version(library))}


def make_encoder(
    tokenizer: Tokenizer, words: Sequence[str], num_words: int, maxlen: int, windows: Windows
) -> TextEncoder:
    if tokenizer is KERAS:
        return TextEncoder(words, num_words, maxlen, windows)
    return PieceEncoder(words, num_words, maxlen, windows, tokenizer)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _say_what_to_install(
    name: str, wanted: Mapping[str, str], found: Mapping[str, str | None], *, exactly: bool
) -> str:
    if not exactly:
        return f"the {name} tokenizer needs {_list(wanted)}: pip install 'sentopic[{name}]'"
    differ = {library: there or "none" for library, there in found.items() if there != wanted[library]}
    made = _list(f"{library} {one}" for library, one in wanted.items())
    here = _list(f"{library} {there}" for library, there in differ.items())
    pinned = " ".join(f"'{library}=={one}'" for library, one in wanted.items())
    return f"its words are those of {made}; installed: {here}. pip install {pinned}"


def _list(names: Iterable[str]) -> str:
    return " and ".join(names) or "nothing"


@cache
def _make(name: TokenizerName) -> Tokenizer:
    if name == "keras":
        return KERAS
    if name == "unicode":
        from app.tokenizers.plain import Unicode

        return Unicode()
    from app.tokenizers import libraries

    return libraries.KINDS[name]()


__all__ = [
    "DISTRIBUTIONS",
    "KERAS",
    "NAMES",
    "Span",
    "Tokenizer",
    "TokenizerName",
    "library_versions",
    "make_encoder",
    "open_tokenizer",
]
