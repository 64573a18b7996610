"""What a user's table holds, and what became of it, in counts and in sentences. Quotes no text: they may be private."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

LISTED: Final = 5
"""Lines that are named of what may be many."""
_UNBALANCED: Final = 20
_FEW: Final = 500
"""Texts under which the figures of the test are wide guesses."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What became of what people said of answers, in counts."""

    said: int
    without_text: int = 0
    """There is nothing to learn from."""
    overruled: int = 0
    """Somebody said something else of the same text later."""
    strange: int = 0
    """The label is none of the data's, or the text has no word."""
    tested: int = 0
    """Test or held-out texts, or nearly: who learns them is praised for it."""
    agreed: int = 0
    """Training texts that had the label already."""
    changed: int = 0
    """Training texts that have the label now."""
    added: int = 0

    def counts(self) -> dict[str, int]:
        """For the bundle."""
        return {"feedback": self.said, "feedback_changed": self.changed, "feedback_added": self.added}

    def describe(self) -> str:
        told = {
            "texts more to learn from": self.added,
            "labels changed": self.changed,
            "said what the data say": self.agreed,
            "without a text": self.without_text,
            "overruled later": self.overruled,
            "of no use (another label, or no word)": self.strange,
            "left out, as the test or the held-out part has the text, or nearly": self.tested,
        }
        return f"feedback: {self.said:,} answers; " + ", ".join(
            f"{count:,} {what}" for what, count in told.items() if count
        )


@dataclass(kw_only=True)
class Audit:
    """Filled in as the table is read. Lines are the file's; `labels`: kept texts of each label."""

    source: str
    rows: int = 0
    no_text: list[int] = field(default_factory=list)
    no_label: list[int] = field(default_factory=list)
    repeated: int = 0
    disputed: list[list[int]] = field(default_factory=list)
    """The rows of each text that has several labels."""
    settled: int = 0
    """Those of these texts of which most rows agree: they are kept with that label."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rare labels whose texts are left out."""
    joined: dict[str, int] = field(default_factory=dict)
    """Rare labels that became one."""
    other: str = ""
    spellings: list[list[str]] = field(default_factory=list)
    """Labels that differ in case or spaces alone."""
    labels: dict[str, int] = field(default_factory=dict)
    near: int = 0
    near_groups: int = 0
    leaked: int = 0
    """Texts that the user's own test has too, or nearly: they are not learned."""
    parts: dict[str, int] = field(default_factory=dict)
    lengths: tuple[int, int, int] = (0, 0, 0)
    """Words of the shortest, the middle and the longest text."""
    long: int = 0
    """Words that one text in a hundred has more of."""
    index: int = 0
    frequent: int = 0
    """Words of the index that stand in the training texts twice or more."""
    tokenizer: str = ""
    notes: list[str] = field(default_factory=list)
    asked: dict[str, str | int] = field(default_factory=dict)
    """What the user said of cleaning and test."""

    def counts(self) -> dict[str, int]:
        """For the bundle."""
        return {
            "rows": self.rows,
            "without_text": len(self.no_text),
            "without_label": len(self.no_label),
            "repeated": self.repeated,
            "disputed": len(self.disputed),
            "rare_left_out": sum(self.left_out.values()),
            "rare_joined": sum(self.joined.values()),
            "nearly_the_same": self.near,
            "leaked": self.leaked,
        }

    def describe(self) -> Iterator[str]:
        """A line for whatever there is to say."""
        yield f"{self.source}: {_count(self.rows, 'row')}, {_count(sum(self.labels.values()), 'text')} kept"
        yield from self._describe_left_out()
        yield from self._describe_labels()
        if self.near:
            yield (
                f"nearly the same as another: {_count(self.near, 'text')} in {_count(self.near_groups, 'group')}; "
                "no group stands on both sides of a split"
            )
        if self.leaked:
            yield f"{_count(self.leaked, 'text')} left out of training, which the test has too, or nearly"
        shares = ", ".join(f"{count:,} {part}" for part, count in self.parts.items())
        yield f"split: {shares}"
        short, middle, long = self.lengths
        yield f"words a text ({self.tokenizer}): {short:,} to {long:,}, half of them under {middle + 1:,}"
        yield (
            f"word index: {self.index:,} words, from the texts to learn from alone; {self.frequent:,} stand there "
            "twice or more, the others become unknown"
        )
        yield from (f"note: {note}" for note in self.notes)

    def _describe_left_out(self) -> Iterator[str]:
        if self.no_label:
            yield f"left out: {_count(len(self.no_label), 'row')} without a label ({_lines(self.no_label)})"
        if self.no_text:
            yield f"left out: {_count(len(self.no_text), 'row')} without a word ({_lines(self.no_text)})"
        if self.repeated:
            yield f"left out: {_count(self.repeated, 'row')} with the words and the label of an earlier row"
        if self.disputed:
            firsts = [lines[0] for lines in self.disputed]
            yield (
                f"{_count(len(self.disputed), 'text')} with several labels ({_lines(firsts)}): {self.settled:,} kept "
                f"with the label of most rows, {len(self.disputed) - self.settled:,} left out, as no label has most"
            )

    def _describe_labels(self) -> Iterator[str]:
        if self.left_out:
            yield f"left out, as too rare: {_labels(self.left_out)}"
        if self.joined:
            yield f"joined as {self.other!r}, as too rare: {_labels(self.joined)}"
        yield f"{_count(len(self.labels), 'label')}: {_labels(self.labels, sum(self.labels.values()))}"

    def warn(self) -> None:
        """Adds notes of what is odd about the whole."""
        for names in self.spellings:
            self.notes.append(f"labels that may be one: {', '.join(map(repr, names))}")
        most, least = max(self.labels.values()), min(self.labels.values())
        if most >= _UNBALANCED * least:
            rare = min(self.labels, key=self.labels.__getitem__)
            self.notes.append(f"the commonest label has {most / least:.0f} times the texts of {rare!r}: see its recall")
        if (kept := sum(self.labels.values())) < _FEW:
            self.notes.append(
                f"{kept:,} texts are few: expect wide intervals, and more from more texts than from tuning"
            )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _lines(lines: Sequence[int]) -> str:
    listed = ", ".join(f"{line:,}" for line in lines[:LISTED])
    more = ", ..." if len(lines) > LISTED else ""
    return f"line{'s' if len(lines) > 1 else ''} {listed}{more}"


def _labels(counts: Mapping[str, int], whole: int | None = None) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}{f' ({count / whole:.0%})' if whole else ''}" for name, count in ordered)
