"""Where a model fails: short texts, unknown words, its surest mistakes, labels it mixes up, probes. Found and told."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from app.bundle import Manifest
from app.engines.base import Engine
from app.tokenizers import Tokenizer
from training.answers import Answers, answer
from training.datasets import Dataset, Examples, Probe
from training.evaluate import Slice, find_confusions
from training.markdown import table

LENGTHS: Final = (5, 10, 20, 50)
"""Words of a text, from its start."""
MISTAKES: Final = 5
MISTAKE_WORDS: Final = 30
CONFUSIONS: Final = 8


@dataclass(frozen=True)
class Mistake:
    """The start of a text, names of the right label and of the answer."""

    text: str
    right: str
    answer: str
    confidence: float


@dataclass(frozen=True)
class ProbeAnswer:
    probe: Probe
    answer: str
    confidence: float
    uncertain: bool


@dataclass(frozen=True)
class Weaknesses:
    """Slices and mistakes are of held-out texts; groups without a text are left out."""

    by_length: dict[str, Slice]
    by_known_words: dict[str, Slice]
    mistakes: list[Mistake]
    """The most confident first; none of a data set that may not be quoted."""
    confident_mistakes: int
    """All that come without the mark `uncertain`."""
    probes: list[ProbeAnswer]

    def to_json(self) -> dict[str, Any]:
        """Without the mistakes: these texts are the data's, not the project's."""
        return {
            "by_length": {name: asdict(part) for name, part in self.by_length.items()},
            "by_known_words": {name: asdict(part) for name, part in self.by_known_words.items()},
            "probes": [asdict(one) for one in self.probes],
        }


def find(
    manifest: Manifest, judge: Engine, engine: Engine, dataset: Dataset, held_out: Examples, checked: Answers
) -> Weaknesses:
    """`checked`: what `judge` answers to the `held_out` texts; `engine` is the published model, asked the probes."""
    by_length = {
        f"the first {words}": answer(
            judge, manifest, dataset.words, held_out.first_words(words, dataset.tokenizer)
        ).as_slice()
        for words in LENGTHS
    }
    return Weaknesses(
        by_length={**by_length, "all": checked.as_slice()},
        by_known_words=checked.by_known_words(),
        mistakes=_quote_mistakes(checked, held_out, dataset) if dataset.quotable else [],
        confident_mistakes=int((~checked.right & checked.sure).sum()),
        probes=_ask_probes(manifest, engine, dataset) if dataset.probes else [],
    )


def _quote_mistakes(answers: Answers, examples: Examples, dataset: Dataset) -> list[Mistake]:
    names = list(dataset.labels)
    return [
        Mistake(
            _cut(examples.texts[place], dataset.tokenizer),
            names[answers.labels[place]],
            names[answers.guesses[place]],
            float(answers.confidence[place]),
        )
        for place in answers.find_mistakes(MISTAKES)
    ]


def _cut(text: str, tokenizer: Tokenizer) -> str:
    words = tokenizer.split(text)
    return " ".join(words[:MISTAKE_WORDS]) + (" ..." if len(words) > MISTAKE_WORDS else "")


def _ask_probes(manifest: Manifest, engine: Engine, dataset: Dataset) -> list[ProbeAnswer]:
    names, probes = list(dataset.labels), dataset.probes
    unlabelled = Examples([probe.text for probe in probes], np.zeros(len(probes), np.int64))
    found = answer(engine, manifest, dataset.words, unlabelled)
    return [
        ProbeAnswer(probe, names[found.guesses[place]], float(found.confidence[place]), not found.sure[place])
        for place, probe in enumerate(probes)
    ]


def describe(found: Weaknesses, manifest: Manifest, dataset: Dataset, confusion: list[list[int]]) -> Iterable[str]:
    """Paragraphs of Markdown. `confusion`: of the test texts; rows are the right labels."""
    yield "## Known weaknesses"
    yield (
        f"On the {manifest.data['held_out']:,} held-out texts, by how many of a text's words are there to read (short "
        "texts were made by cutting these), and by how many of the words read it knows:"
    )
    yield _slices("Words read", found.by_length)
    yield _slices("Words known", found.by_known_words)
    if found.mistakes:
        yield "### Its most confident mistakes"
        yield (
            f"On the held-out texts, each cut to its first {MISTAKE_WORDS} words. The right label is what the data "
            "says, which may be mistaken too."
        )
        yield table(
            ["Text", "Right", "Answer", "Confidence"],
            [
                [one.text, dataset.labels[one.right], dataset.labels[one.answer], f"{one.confidence:.3f}"]
                for one in found.mistakes
            ],
        )
    if not dataset.quotable:
        yield "### Its confident mistakes"
        yield (
            f"Of the held-out texts {found.confident_mistakes:,} are answered wrong without the mark `uncertain`. They "
            "are not quoted, since the data may be private: `sentopic-train evaluate BUNDLE --data FILE` shows the "
            "most confident mistakes on any labelled file."
        )
    if len(dataset.labels) > 2:
        yield from _confusions(confusion, list(dataset.labels.values()))
    if found.probes:
        yield from _probes(found.probes, dataset)


def _slices(head: str, slices: Mapping[str, Slice]) -> str:
    rows = [
        [
            name,
            f"{part.texts:,}",
            f"{part.accuracy:.1%} ({part.accuracy_low:.1%} to {part.accuracy_high:.1%})",
            f"{part.answered:.1%}",
            f"{part.answered_accuracy:.1%}" if part.answered else "-",
        ]
        for name, part in slices.items()
    ]
    return table([head, "Texts", "Right (95% interval)", "Answered without `uncertain`", "Of these right"], rows)


def _confusions(confusion: list[list[int]], names: list[str]) -> Iterable[str]:
    support, answers = np.sum(confusion, axis=1), np.sum(confusion, axis=0)
    if pairs := find_confusions(confusion, CONFUSIONS):
        yield "### Labels that it mixes up"
        yield table(
            ["Right", "Answer", "Test texts", "Of the right label's"],
            [
                [names[right], names[guess], str(times), f"{times / support[right]:.0%} of {support[right]}"]
                for right, guess, times in pairs
            ],
        )
    never = [f"{name} ({count})" for name, count, times in zip(names, support, answers, strict=True) if not times]
    if never:
        yield f"Never answered on the test texts (in brackets: how many have the label): {', '.join(never)}."


def _probes(probes: list[ProbeAnswer], dataset: Dataset) -> Iterable[str]:
    judged = [one for one in probes if one.probe.label]
    wrong = [one for one in judged if one.answer != one.probe.label]
    others = [one for one in probes if not one.probe.label]
    yield "### Written to try it"
    yield (
        f"The published model's answers to {len(probes)} texts written for this page, none of them from the data. They "
        f"are examples, not a measure. Of {len(judged)} with a right label {len(judged) - len(wrong)} are answered "
        f"right; of the {len(wrong)} wrong answers {_unmarked(wrong)}, and of the {len(others)} to texts of which no "
        f"single label is right {_unmarked(others)}, come without the mark `uncertain`."
    )
    yield table(
        ["Tries", "Text", "Right", "Answer", "Confidence"],
        [
            [
                one.probe.tries,
                one.probe.text,
                dataset.labels[one.probe.label] if one.probe.label else "-",
                dataset.labels[one.answer],
                f"{one.confidence:.3f}{', uncertain' if one.uncertain else ''}",
            ]
            for one in probes
        ],
    )


def _unmarked(answers: list[ProbeAnswer]) -> int:
    return sum(not one.uncertain for one in answers)
