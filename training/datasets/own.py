"""A user's labelled table as a data set: read, checked, split, with its own word index; `audit` has what was found.

Decides nothing silently: what is left out, joined or moved is counted, and what only the user can know is asked.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import log
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from app.errors import DataError, UsageError
from app.feedback import Feedback
from app.text import rank_words
from app.tokenizers import KERAS, Tokenizer, TokenizerName, open_tokenizer
from training.datasets import duplicates, scripts
from training.datasets.audit import Audit
from training.datasets.cleaning import LEAST_EXAMPLES, Rare, Text, clean, name_labels, rename
from training.datasets.dataset import Dataset, Examples, Holdout, hold_out
from training.datasets.feedback import learn_from
from training.datasets.remembering import Remembering
from training.datasets.table import Row, read_table

LEAST_TEXTS: Final = 50
MOST_WORDS: Final = 200_000
"""Of a word index: the rarest beyond say nothing."""
_LEAST_GROUPS: Final = 5
"""Of texts that are nearly the same: each fifth is of whole groups."""
_TELLING: Final = 8
_SHARED: Final = 3
"""Texts that have a word which may stand in a published example: no single text is told by it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A labelled file, and what its owner says of it."""

    path: Path
    task: str
    text: str = "text"
    label: str = "label"
    test: Path | None = None
    """Another one, to test on; without it, a fifth of the texts."""
    tokenizer: TokenizerName | None = None
    rare: Rare = field(default_factory=Rare)
    quotable: bool = False
    limit: int | None = None
    """Rows that are read, for trying."""


Grouped = tuple[Text, int]
"""A text, and its group: nearly the same ones have one."""


def load(table: Table, holdout: Holdout = "grouped", said: Sequence[Feedback] = ()) -> Dataset:
    """`holdout`: what of the training texts the word index does not see. `said`: of the task's answers.

    Raises DataError, and UsageError for what the user must say first.
    """
    audit = Audit(source=table.path.name, asked=_asked(table))
    tokenizer, labels, train, test = _prepare(table, audit)
    if holdout == "grouped" and len({group for _, group in train}) < _LEAST_GROUPS:
        raise DataError(f"{table.path}: its texts are nearly the same as each other, so that none can be held out")

    dataset = Dataset(
        name=table.path.stem,
        task=table.task,
        labels={name: name for name in labels},
        words=(),
        train=_gather(train, labels),
        test=_gather(test, labels),
        examples=(),
        quotable=table.quotable,
        tokenizer=tokenizer,
        audit=audit,
    )
    dataset = learn_from(dataset, said, holdout) if said else dataset
    parts = dataset.parts(holdout)
    _refuse_empty_labels(table, labels, parts[0])
    return replace(
        dataset,
        words=_index(parts, dataset.test, labels, tokenizer, audit),
        examples=_make_examples(hold_out(dataset.train, holdout)[0], len(labels), tokenizer, quotable=table.quotable),
    )


def load_test(table: Table) -> list[Row]:
    """The texts for the test as `load` keeps them, in the same order, each with its line."""
    *_, test = _prepare(table, Audit(source=table.path.name))
    return [Row(text.line, text.text, text.label) for text, _ in test]


def _prepare(table: Table, audit: Audit) -> tuple[Tokenizer, list[str], list[Grouped], list[Grouped]]:
    """What finds words, the labels, and the texts to learn from and to test on: cleaned, and split."""
    rows = _read(table, table.path)
    tokenizer = _open(table, rows, audit)
    texts = clean(rows, tokenizer, audit)
    names = name_labels(texts, table.rare, audit)
    learned = rename(texts, names)
    labels = sorted({text.label for text in learned})
    _refuse_what_cannot_be_learned(table, labels, len(learned), audit)
    tested = _read_test(table, table.test, tokenizer, names) if table.test else []
    return tokenizer, labels, *_split(table, learned, tested, audit)


def _asked(table: Table) -> dict[str, str | int]:
    """What the split depends on, but for the file and its columns: who asks for the test part again needs it."""
    asked: dict[str, str | int] = {"min_examples": table.rare.min_examples or LEAST_EXAMPLES}
    if table.rare.other is not None:
        asked["other"] = table.rare.other
    if table.limit:
        asked["limit"] = table.limit
    if table.test:
        asked["test_table"] = table.test.name
    return asked


def _read(table: Table, path: Path) -> list[Row]:
    return list(islice(read_table(path, table.text, table.label, missing=True), table.limit))


def _open(table: Table, rows: Sequence[Row], audit: Audit) -> Tokenizer:
    """The tokenizer that was asked for, else `unicode`; refuses to guess where that would find no words."""
    writing = scripts.recognise(row.text for row in rows)
    if writing and (table.tokenizer is None or table.tokenizer != writing.tokenizer):
        said = f"its texts seem to be {writing.language}"
        if not writing.spaced and table.tokenizer is None:
            use = f"--tokenizer {writing.tokenizer}" if writing.tokenizer else "There is no tokenizer for it"
            raise UsageError(
                f"{table.path}: {said}, which has no spaces between words. {use}; --tokenizer unicode goes on without"
            )
        if writing.tokenizer:
            audit.notes.append(f"{said}: --tokenizer {writing.tokenizer} tells its words apart")
    tokenizer = open_tokenizer(table.tokenizer or "unicode")
    return tokenizer if tokenizer is KERAS else Remembering(tokenizer)


def _read_test(table: Table, path: Path, tokenizer: Tokenizer, names: dict[str, str]) -> list[Text]:
    texts = clean(_read(table, path), tokenizer, Audit(source=path.name))
    known = {*names, *names.values()}
    if table.rare == Rare() and (strange := next((text for text in texts if text.label not in known), None)):
        raise DataError(f"{path}, line {strange.line}: label {strange.label!r} stands in the test alone")
    if not (kept := rename(texts, names)):
        raise DataError(f"{path}: no text with a label that is learned")
    return kept


def _split(table: Table, learned: list[Text], tested: list[Text], audit: Audit) -> tuple[list[Grouped], list[Grouped]]:
    """Training and test texts, each with its group: nearly the same ones have one, and stand in one part."""
    texts = [*learned, *tested]
    groups = duplicates.group([text.words for text in texts])
    sizes = Counter(groups.tolist())
    audit.near = sum(size for size in sizes.values() if size > 1)
    audit.near_groups = sum(size > 1 for size in sizes.values())
    grouped = list(zip(texts, groups.tolist(), strict=True))
    if tested:
        theirs = set(groups[len(learned) :].tolist())
        train = [(text, group) for text, group in grouped[: len(learned)] if group not in theirs]
        audit.leaked = len(learned) - len(train)
        return train, grouped[len(learned) :]
    if len(sizes) < _LEAST_GROUPS:
        raise DataError(f"{table.path}: its texts are all nearly the same, so that none can be kept for a test")
    inside = _choose_test([text.label for text in texts], groups)
    return [one for one, held in zip(grouped, inside, strict=True) if not held], [
        one for one, held in zip(grouped, inside, strict=True) if held
    ]


def _choose_test(labels: Sequence[str], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The fifth that is nearest to one in size, and of those the one that has most labels. Of whole groups."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label has fewer than five texts
        folds = [
            test for _, test in StratifiedGroupKFold(5, shuffle=True, random_state=26).split(labels, labels, groups)
        ]
    names = np.array(labels)
    best = max(folds, key=lambda fold: (len(set(names[fold])), -abs(len(fold) - len(names) / 5)))
    inside = np.zeros(len(names), bool)
    inside[best] = True
    return inside


def _refuse_what_cannot_be_learned(table: Table, labels: Sequence[str], texts: int, audit: Audit) -> None:
    if not labels and audit.disputed and not audit.left_out:
        lines = ", ".join(map(str, audit.disputed[0]))
        raise DataError(
            f"{table.path}: each text stands in several rows, and no label of it in most of them (as in lines {lines})"
        )
    if len(labels) < 2:
        held = f"one label alone ({labels[0]!r})" if labels else "no label"
        held += " with enough of them" if audit.left_out else ""
        raise DataError(f"{table.path}: its texts have {held}, and there is nothing to tell apart")
    if texts < LEAST_TEXTS:
        raise DataError(
            f"{table.path}: {texts} different texts with a label are too few to learn from; at least {LEAST_TEXTS}"
        )


def _refuse_empty_labels(table: Table, labels: Sequence[str], part: Examples) -> None:
    for name, count in zip(labels, np.bincount(part.labels, minlength=len(labels)), strict=True):
        if not count:
            raise DataError(
                f"{table.path}: no text of label {name!r} is left to learn from: all are nearly the same as others"
            )


def _gather(texts: Sequence[Grouped], labels: Sequence[str]) -> Examples:
    places = {name: place for place, name in enumerate(labels)}
    numbers = np.array([places[text.label] for text, _ in texts], np.int64)
    return Examples([text.text for text, _ in texts], numbers, np.array([group for _, group in texts], np.int64))


def _index(
    parts: tuple[Examples, Examples], test: Examples, labels: Sequence[str], tokenizer: Tokenizer, audit: Audit
) -> list[str]:
    """The word index of the texts to learn from, and what there is to say of the parts."""
    part, held_out = parts
    words = rank_words(part.texts, tokenizer.split)[:MOST_WORDS]
    counts = Counter(word for text in part.texts for word in tokenizer.split(text))
    lengths = sorted(len(tokenizer.split(text)) for text in part.texts)
    every = np.concatenate([part.labels, held_out.labels, test.labels])
    audit.labels = dict(zip(labels, np.bincount(every, minlength=len(labels)).tolist(), strict=True))
    audit.parts = {"to learn from": len(part), "held out": len(held_out), "for the test": len(test)}
    audit.tokenizer, audit.index = tokenizer.name, len(words)
    audit.frequent = sum(count > 1 for count in counts.values())
    audit.lengths = lengths[0], lengths[len(lengths) // 2], lengths[-1]
    audit.long = lengths[int(len(lengths) * 0.99)]
    audit.warn()
    return words


def _make_examples(part: Examples, labels: int, tokenizer: Tokenizer, *, quotable: bool) -> tuple[str, ...]:
    """Three texts that a bundle may publish: real ones where they are public, else words that tell labels apart."""
    commonest = np.argsort(-np.bincount(part.labels, minlength=labels), kind="stable")[:3]
    if quotable:
        by_length = sorted(range(len(part)), key=lambda place: len(part.texts[place]))
        middle = by_length[len(by_length) // 4 :]
        chosen = [next(place for place in middle if part.labels[place] == label) for label in commonest]
        chosen += [place for place in middle if place not in chosen][: 3 - len(chosen)]
        return tuple(part.texts[place] for place in chosen)
    told = [_tell(part, int(label), tokenizer) for label in commonest]
    if len(told) < 3:
        told.append([word for pair in zip(*told, strict=False) for word in pair])
    return tuple(tokenizer.glue.join(words) for words in told)


def _tell(part: Examples, label: int, tokenizer: Tokenizer) -> list[str]:
    """Words that stand in the label's texts much more often than in others, the most telling first."""
    own, others = Counter[str](), Counter[str]()
    for text, place in zip(part.texts, part.labels, strict=True):
        (own if place == label else others).update(set(tokenizer.split(text)))
    whole, rest = int((part.labels == label).sum()), int((part.labels != label).sum())

    def telling(word: str) -> float:
        return own[word] * log((own[word] + 1) * (rest + 2) / ((others[word] + 1) * (whole + 2)))

    known = [word for word, count in own.items() if count >= _SHARED]
    if not known:
        return [word for word, _ in (own + others).most_common(_TELLING)]
    return sorted(known, key=lambda word: (-telling(word), word))[:_TELLING]
