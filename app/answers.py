"""What a text and an engine's probabilities come to: a text admitted and encoded, an answer calibrated.

Knows no engine, no queue and no HTTP: the service, its jobs and the command line all answer by this.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.bundle import Manifest
from app.engines.base import Probabilities
from app.errors import TextTooLongError
from app.text import Encoded, TextEncoder


class AnswerWarning(StrEnum):
    """The closed list of what may be odd about an answer."""

    NO_KNOWN_WORDS = "no_known_words"
    MOSTLY_UNKNOWN_WORDS = "mostly_unknown_words"
    TEXT_CUT = "text_cut"
    NUMERIC_OVERFLOW = "numeric_overflow"

    @property
    def detail(self) -> str:
        return _DETAILS[self]


_DETAILS: Final = {
    AnswerWarning.NO_KNOWN_WORDS: "The model knows no word of the text; the scores are the labels' shares in training.",
    AnswerWarning.MOSTLY_UNKNOWN_WORDS: "The model knows less than half of the words that it read.",
    AnswerWarning.TEXT_CUT: "The text is longer than what the model reads; the rest was left out.",
    AnswerWarning.NUMERIC_OVERFLOW: (
        "The model's numbers overflowed on the text or a part of it, which counts for nothing; if no part is left, "
        "the scores are the labels' shares in training."
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Calibrated `scores` in label order; `ranking`: the labels' places, the best first."""

    scores: list[float]
    ranking: list[int]
    uncertain: bool
    total_words: int
    known_words: int
    windows: int
    warnings: list[AnswerWarning]

    @property
    def confidence(self) -> float:
        return self.scores[self.ranking[0]]


class Interpreter:
    """One bundle's side of an answer: everything but the engine's part."""

    def __init__(self, manifest: Manifest, encoder: TextEncoder, *, max_text_chars: int) -> None:
        self.manifest = manifest
        self._encoder, self._max_text_chars = encoder, max_text_chars
        self._shares = [label.share for label in manifest.labels]

    def encode(self, text: str) -> Encoded:
        """Raises TextTooLongError. A text of which no word is `known` needs no engine."""
        if len(text) > self._max_text_chars:
            raise TextTooLongError(self._max_text_chars)
        return self._encoder.encode(text)

    def answer(self, encoded: Encoded, probabilities: Probabilities | None = None) -> Answer:
        """`probabilities` (windows, labels): the engine's for the text's windows; None where no word is known."""
        told = [] if probabilities is None else [any(row) for row in probabilities.tolist()]
        scores = self.manifest.scores(probabilities) if probabilities is not None and any(told) else self._shares
        warnings = []
        if not encoded.known:
            warnings.append(AnswerWarning.NO_KNOWN_WORDS)
        elif encoded.mostly_unknown:
            warnings.append(AnswerWarning.MOSTLY_UNKNOWN_WORDS)
        if encoded.cut:
            warnings.append(AnswerWarning.TEXT_CUT)
        if not all(told):
            warnings.append(AnswerWarning.NUMERIC_OVERFLOW)
        ranking = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        unsure = scores[ranking[0]] < self.manifest.calibration.uncertain_below
        uncertain = encoded.mostly_unknown or unsure or not all(told)
        return Answer(scores, ranking, uncertain, encoded.total, encoded.known, len(encoded.windows), warnings)
