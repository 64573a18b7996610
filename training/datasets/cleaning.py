"""From the rows of a user's table to texts of which each stands once and has one label. What goes is counted.

Two rows hold the same text if they have the same words: all that a model would see of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from app.errors import DataError, UsageError
from app.tokenizers import Tokenizer
from training.datasets.audit import Audit
from training.datasets.table import Row

LEAST_EXAMPLES: Final = 10
"""Texts of a label by default: two of them are tested on, two held out, and six to learn from."""
_LONGEST_LABEL: Final = 200
_LISTED: Final = 8
_SHOWN: Final = 40
"""Of a label in a message: what is longer may be a text, of a column that was named by mistake."""


@dataclass(frozen=True)
class Text:
    """`line`: of the first row that holds it."""

    line: int
    text: str
    words: tuple[str, ...]
    label: str


@dataclass(frozen=True, kw_only=True)
class Rare:
    """What becomes of labels with few texts: see `name_labels`."""

    min_examples: int | None = None
    other: str | None = None


def clean(rows: Iterable[Row], tokenizer: Tokenizer, audit: Audit) -> list[Text]:
    """Without rows that lack a text or a label, or repeat one. A text with several labels has the one of most rows."""
    found = defaultdict[tuple[str, ...], list[Text]](list)
    for row in rows:
        audit.rows += 1
        words = tuple(tokenizer.split(row.text))
        if not words:
            audit.no_text.append(row.line)
        elif not row.label:
            audit.no_label.append(row.line)
        elif len(row.label) > _LONGEST_LABEL or not row.label.isprintable():
            raise DataError(f"{audit.source}, line {row.line}: a label of more than a line or {_LONGEST_LABEL} letters")
        else:
            found[words].append(Text(row.line, row.text, words, row.label))
    return [text for texts in found.values() for text in _settle(texts, audit)]


def _settle(texts: Sequence[Text], audit: Audit) -> list[Text]:
    """One of texts with the same words, or none if as many rows have one label as another."""
    (label, most), *others = Counter(text.label for text in texts).most_common()
    audit.repeated += len(texts) - 1 - len(others)
    if others:
        audit.disputed.append([text.line for text in texts])
        if others[0][1] == most:
            return []
        audit.settled += 1
    return [next(text for text in texts if text.label == label)]


def name_labels(texts: Sequence[Text], rare: Rare, audit: Audit) -> dict[str, str]:
    """What each label is called from now on; those left out are missing.

    Labels with fewer than `min_examples` texts (by default `LEAST_EXAMPLES`) are joined as `other`, or left out where
    `min_examples` was said alone. Where neither was, UsageError names them: only the user knows.
    """
    counts = Counter(text.label for text in texts)
    audit.spellings = _find_spellings(counts)
    least = rare.min_examples or LEAST_EXAMPLES
    few = {name: count for name, count in counts.most_common() if count < least and name != rare.other}
    if few and rare.min_examples is None and rare.other is None:
        raise UsageError(_ask_about(few, least, counts, audit))
    if few and rare.other is not None:
        audit.joined, audit.other = few, rare.other
        joined = sum(few.values()) + counts[rare.other]
        if joined < least:
            raise DataError(
                f"{audit.source}: joined as {rare.other!r}, rare labels have {joined} texts, and {least} are needed"
            )
        return {name: rare.other if name in few else name for name in counts}
    audit.left_out = few
    return {name: name for name in counts if name not in few}


def _ask_about(few: Mapping[str, int], least: int, counts: Mapping[str, int], audit: Audit) -> str:
    listed = ", ".join(f"{shorten(name)!r} ({count})" for name, count in list(few.items())[:_LISTED])
    more = f" and {len(few) - _LISTED} more" if len(few) > _LISTED else ""
    common = [name for name in counts if name not in few]
    near = next(((one, close[0]) for one in few if (close := get_close_matches(one, common, 1, 0.8))), None)
    slip = f" {shorten(near[0])!r} may be a slip for {shorten(near[1])!r}." if near else ""
    return (
        f"{audit.source}: labels with fewer than {least} different texts: {listed}{more}.{slip} Leave them out: "
        f"--min-examples {least}. Join them: --other NAME. Keep those with N: --min-examples N"
    )


def shorten(label: str) -> str:
    return label if len(label) <= _SHOWN else f"{label[: _SHOWN - 3]}..."


def _find_spellings(names: Iterable[str]) -> list[list[str]]:
    alike = defaultdict[str, list[str]](list)
    for name in names:
        alike[" ".join(name.casefold().split())].append(name)
    return [found for found in alike.values() if len(found) > 1]


def rename(texts: Iterable[Text], names: Mapping[str, str]) -> list[Text]:
    """Without those whose label has no name."""
    return [replace(text, label=names[text.label]) for text in texts if text.label in names]
