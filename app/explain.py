"""Which words made an answer, and how the model's mind changes as it reads. Knows windows and scores, no engine.

A word's contribution is measured by leaving it out (occlusion: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901;
for text: Li, Monroe and Jurafsky 2016, https://arxiv.org/abs/1612.08220), and the running verdict by ending the text
after each word. Both are what the service would answer to those texts, neither more nor less. Texts that differ in a
word have most of their windows in common, so that n words in w windows cost about 2 n + w windows, not 2 n w.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from app.bundle import Manifest
from app.engines.base import Probabilities
from app.text import INDEX_FROM, PAD, UNKNOWN, Ids, TextEncoder

_LEAST: Final = 1e-12
"""Scores nearer to 0 or 1 than this count as this near."""


class WordStatus(StrEnum):
    """What a word is to the model."""

    KNOWN = "known"
    RARE = "rare"
    UNKNOWN = "unknown"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class WordRole:
    """Characters `start` to `end` of the text. `without`: the label's score if the word were not there.

    `contribution`: by how much the label's log-odds fall then. Both are None for a word that the model does not read,
    and for one of a long text that was not tried.
    """

    start: int
    end: int
    status: WordStatus
    contribution: float | None = None
    without: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """About one label, by its place. `verdict`: the end of a word, and the label's score if the text ended there."""

    label: int
    words: list[WordRole]
    verdict: list[tuple[int, float]]


Steps = Generator[Ids, Probabilities, Explanation]
"""Gives windows (n, maxlen) to run, and takes their probabilities (n, labels), until it has an explanation."""


def explain(encoder: TextEncoder, manifest: Manifest, text: str, max_windows: int) -> Steps:
    """Runs about `max_windows` windows at the most: of a longer text the words that matter most are tried alone."""
    words = encoder.locate(text)
    places = [place for place, word in enumerate(words) if word.id]
    ids = np.array([words[place].id for place in places], np.int32)
    read = range(len(ids))[encoder.reach(len(ids))]
    trial = _Trial(encoder, manifest, ids)
    whole = trial.add(())
    ends = _choose_ends(read, max_windows // 4, encoder.maxlen)
    ended = [trial.add(range(end + 1, len(ids))) for end in ends]
    groups = _group(read, max_windows // (2 if len(ends) == len(read) else 4))
    alone = len(groups) == len(read)
    without = [trial.add(group) if alone else trial.add_in_place(group) for group in groups]
    trial.take((yield trial.windows))
    label, odds = trial.decide(whole)
    if not alone:
        fall = [abs(odds - trial.log_odds(rows, label)) for rows in without]
        order = sorted(range(len(groups)), key=fall.__getitem__, reverse=True)
        groups = [[word] for place in order[: max_windows // 2 // len(groups[0])] for word in groups[place]]
        without = [trial.add(group) for group in groups]
        trial.take((yield trial.windows))
    roles = [WordRole(word.start, word.end, _judge(word.id)) for word in words]
    for number, place in enumerate(places):
        if number not in read:
            roles[place] = replace(roles[place], status=WordStatus.UNUSED)
    for (number,), rows in zip(groups, without, strict=True):
        fall_alone = odds - trial.log_odds(rows, label)
        place = places[number]
        roles[place] = replace(roles[place], contribution=fall_alone, without=trial.score(rows)[label])
    verdict = [(words[places[end]].end, trial.score(rows)[label]) for end, rows in zip(ends, ended, strict=True)]
    return Explanation(label, roles, verdict)


def _group(read: range, most: int) -> list[Sequence[int]]:
    """Neighbours together, each word alone if there are no more than that."""
    size = max(1, math.ceil(len(read) / max(1, most)))
    return [read[start : start + size] for start in range(0, len(read), size)]


def _judge(word_id: int) -> WordStatus:
    if word_id == UNKNOWN:
        return WordStatus.RARE
    return WordStatus.KNOWN if word_id else WordStatus.UNKNOWN


def _choose_ends(read: range, most: int, maxlen: int) -> list[int]:
    """Where the text is ended: after each word, or after every so many, the last one always.

    Steps that divide a window, or are whole ones, let texts that end at them share their windows.
    """
    step = math.ceil(len(read) / max(1, most))
    while step > 1 and maxlen % step and step % maxlen:
        step += 1
    return list(reversed(read[::-1][:: max(1, step)]))


class _Trial:
    """One text with some of its words left out, in many ways; each window that they are made of is run once."""

    def __init__(self, encoder: TextEncoder, manifest: Manifest, ids: Ids) -> None:
        self._encoder, self._manifest, self._ids = encoder, manifest, ids
        self._shares = [label.share for label in manifest.labels]
        self._rows: dict[bytes, int] = {}
        self._new: list[Ids] = []
        self._found: Probabilities = np.empty((0, len(self._shares)), np.float32)

    def add(self, left_out: Iterable[int]) -> list[int] | None:
        """The text's windows, as `score` takes them; None if no known word is left."""
        return self._add(self._encoder.pack(np.delete(self._ids, list(left_out))))

    def add_in_place(self, left_out: Sequence[int]) -> list[int] | None:
        """As `add`, but every other word stays in its window: many words left out at once would move all before them.

        No text has such windows, so that this is for comparing parts of a text, not for telling.
        """
        windows = self._encoder.pack(self._ids)
        places = self._encoder.pack(np.arange(len(self._ids), dtype=np.int32) + INDEX_FROM) - INDEX_FROM
        gone = (places >= left_out[0]) & (places <= left_out[-1])
        for window, leave in zip(windows, gone, strict=True):
            kept = window[~leave]
            window[:] = PAD
            window[len(window) - len(kept) :] = kept
        return self._add(windows)

    def _add(self, windows: Ids) -> list[int] | None:
        if not (windows > UNKNOWN).any():
            return None
        rows = []
        for window in windows:
            row = self._rows.setdefault(window.tobytes(), len(self._rows))
            if row == len(self._found) + len(self._new):
                self._new.append(window)
            rows.append(row)
        return rows

    @property
    def windows(self) -> Ids:
        """Those not run yet."""
        return np.array(self._new, np.int32).reshape(-1, self._encoder.maxlen)

    def take(self, probabilities: Probabilities) -> None:
        """Of those windows."""
        self._found, self._new = np.concatenate([self._found, probabilities]), []

    def score(self, rows: list[int] | None) -> list[float]:
        """What the service answers: without a known word the labels' shares."""
        return self._shares if rows is None else self._manifest.scores(self._found[rows])

    def log_odds(self, rows: list[int] | None, label: int) -> float:
        scores = self.score(rows)
        others = sum(score for place, score in enumerate(scores) if place != label)
        return math.log(max(scores[label], _LEAST)) - math.log(max(others, _LEAST))

    def decide(self, rows: list[int] | None) -> tuple[int, float]:
        """The best label, and its log-odds."""
        scores = self.score(rows)
        label = max(range(len(scores)), key=scores.__getitem__)
        return label, self.log_odds(rows, label)
