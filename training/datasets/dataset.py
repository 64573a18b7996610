"""The one shape that every data set has, whatever it was read from."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.errors import DataError
from app.text import TextEncoder, Windows
from app.tokenizers import KERAS, Tokenizer, make_encoder
from training.datasets.audit import Audit, Heard

Labels = NDArray[np.int64]
_ALIKE: Final = 0.99
"""Share of texts, word for word the same, at which two editions are of the same texts."""
Holdout = Literal["tutorial", "last-fifth", "grouped"]


@dataclass(frozen=True)
class Examples:
    """Texts, and for each the place of its label in `Dataset.labels`."""

    texts: Sequence[str]
    labels: Labels
    groups: NDArray[np.int64] | None = None
    """What each is about, where that is known, as a number: a film. The same group tells more than new texts will."""
    mislabelled: NDArray[np.bool_] | None = None
    """Whether the label is known to be another text's, where anything is known of that."""

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.texts),):
            raise DataError(f"{len(self.texts)} texts, but labels of shape {self.labels.shape}. Get both anew.")

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: NDArray[np.integer]) -> "Examples":
        groups = None if self.groups is None else self.groups[places]
        mislabelled = None if self.mislabelled is None else self.mislabelled[places]
        return Examples([self.texts[i] for i in places], self.labels[places], groups, mislabelled)

    def __add__(self, other: "Examples") -> "Examples":
        """Of the other texts, nothing more is known than their labels: each is about something else."""
        groups, mislabelled = self.groups, self.mislabelled
        if groups is not None:
            groups = np.concatenate([groups, groups.max(initial=-1) + 1 + np.arange(len(other))])
        if mislabelled is not None:
            mislabelled = np.concatenate([mislabelled, np.zeros(len(other), bool)])
        labels = np.concatenate([self.labels, other.labels])
        return Examples([*self.texts, *other.texts], labels, groups, mislabelled)

    def without_mislabelled(self) -> "Examples":
        """Those whose labels are their own. DataError where nothing is known of that."""
        if self.mislabelled is None:
            raise DataError("the data do not say which labels are another text's, so none can be left out for that")
        return self.take(np.flatnonzero(~self.mislabelled))

    def first_words(self, count: int, tokenizer: Tokenizer = KERAS) -> "Examples":
        """Each text as if no more than its first `count` words had been written."""
        return Examples([tokenizer.first_words(text, count) for text in self.texts], self.labels)


@dataclass(frozen=True)
class Probe:
    """A short text written for the project to see what a model makes of it.

    `tries`: what it is an example of; `label`: the name of the right label, if one is right.
    """

    tries: str
    text: str
    label: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Labelled texts with a fixed test part, and the word index in rank order.

    Texts that come from `.npz` files are their words joined by spaces: the text contract turns
    them into the very ids that the file holds. `labels` maps names to display names, in label order.
    `examples` are texts written for the project that may be published with a model. `description`, `probes` and
    `unfit` (what a model of these texts must not be used for) are for its card.
    """

    name: str
    task: str
    labels: dict[str, str]
    words: Sequence[str]
    train: Examples
    test: Examples
    examples: Sequence[str]
    unlabelled: Sequence[str] = ()
    """More texts of the kind, without a label; none of them is also a training or a test text."""
    description: str = ""
    probes: Sequence[Probe] = ()
    unfit: Sequence[str] = ()
    quotable: bool = False
    """Its texts are public: a card may quote them."""
    tokenizer: Tokenizer = KERAS
    """What finds a text's words."""
    audit: Audit | None = None
    """What a user's table held, and what became of it."""
    corrections: Examples | None = None
    """What people said of answers: learned from beside the training part, and never held out."""
    heard: Heard | None = None
    """What became of all that they said."""

    def encoder(self, num_words: int, maxlen: int, windows: Windows) -> TextEncoder:
        return make_encoder(self.tokenizer, self.words, num_words, maxlen, windows)

    @property
    def learnable(self) -> Examples:
        """All that a model may learn from."""
        return self.train + self.corrections if self.corrections else self.train

    def parts(self, how: Holdout) -> tuple[Examples, Examples]:
        """See `hold_out`."""
        learned, held_out = hold_out(self.train, how)
        return (learned + self.corrections if self.corrections else learned), held_out

    def with_unlabelled(self, texts: Iterable[str]) -> "Dataset":
        """Without those that are there already, word for word: copies of test texts must not be learned from."""
        read = self._reader()
        known = {read(text) for part in (self.train, self.test) for text in part.texts}
        fresh = {words: text for text in reversed(list(texts)) if (words := read(text)) and words not in known}
        return replace(self, unlabelled=list(reversed(fresh.values())))

    def with_groups(self, groups: Iterable[tuple[str, str]]) -> "Dataset":
        """`groups`: texts and what each is about, by name. A training text that is not among them is its own group."""
        read = self._reader()
        named = {read(text): name for text, name in groups}
        names = [named.get(read(text), f"text {place}") for place, text in enumerate(self.train.texts)]
        _, numbers = np.unique(names, return_inverse=True)
        return replace(self, train=replace(self.train, groups=numbers.astype(np.int64)))

    def with_mislabelled(self, told: Sequence[tuple[str, str, bool]]) -> "Dataset":
        """`told`: the training part, in order, with the names of labels and whether they are another text's.

        Raises DataError where it is not the same: the labels all, the texts but for one in a hundred, since two
        editions of them may differ in a few words.
        """
        read, names = self._reader(), list(self.labels)
        same = [name for _, name, _ in told] == [names[label] for label in self.train.labels]
        if not same or sum(read(text) == read(one[0]) for text, one in zip(self.train.texts, told, strict=True)) < (
            _ALIKE * len(told)
        ):
            raise DataError(
                f"{self.name}: what is told of the training texts' labels is of other texts. Get both anew."
            )
        found = np.array([wrong for *_, wrong in told], bool)
        return replace(self, train=replace(self.train, mislabelled=found))

    def _reader(self) -> Callable[[str], tuple[str, ...]]:
        """The words of a text that the index knows: all that tells one text from another."""
        index, split = set(self.words), self.tokenizer.split
        return lambda text: tuple(word for word in split(text) if word in index)

    @cached_property
    def unlabelled_sha256(self) -> str:
        return digest(self.unlabelled)

    @cached_property
    def test_sha256(self) -> str:
        """Names the test part alone: what feedback or another word index does not change."""
        names = list(self.labels)
        return digest_labelled(zip(self.test.texts, (names[label] for label in self.test.labels), strict=True))

    @cached_property
    def sha256(self) -> str:
        """Names the exact content: label names, word index, texts and labels, in order."""
        digest = hashlib.sha256("\0".join([*self.labels, *self.words]).encode("utf-8", "surrogatepass"))
        for part in (self.train, self.test, *([self.corrections] if self.corrections else [])):
            digest.update(part.labels.astype("<i8").tobytes())
            for text in part.texts:
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()

    def limited(self, count: int) -> "Dataset":
        """The first `count` examples of each part: a slice for trying."""
        train, test = (part.take(np.arange(min(count, len(part)))) for part in (self.train, self.test))
        return replace(self, train=train, test=test, unlabelled=self.unlabelled[:count])


def digest(texts: Iterable[str]) -> str:
    """SHA-256 of the texts, in order."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return found.hexdigest()


def digest_labelled(texts: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of texts and their labels' names, in order."""
    return digest(part for pair in texts for part in pair)


def hold_out(train: Examples, how: Holdout) -> tuple[Examples, Examples]:
    """Splits off the fifth on which choices are made: (for training, for validation).

    `tutorial`: stratified, `random_state=26` (labels too rare for that, as in a slice for trying, fall
    as they may); `last-fifth`: Keras' `validation_split=0.2`; `grouped`: stratified, and no group on both sides.
    """
    places = np.arange(len(train))
    if len(train) < 5:
        raise DataError(f"{len(train)} training texts are too few to hold out a fifth")
    if how == "last-fifth":
        edge = int(len(train) * 0.8)
        return train.take(places[:edge]), train.take(places[edge:])
    from sklearn.model_selection import StratifiedGroupKFold, train_test_split

    if how == "grouped":
        if train.groups is None:
            raise DataError("the data do not say what each text is about, so none can be held out by that")
        if len(np.unique(train.groups)) < 5:
            raise DataError("texts about fewer than five things are too few to hold out a fifth by that")
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=26)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a label has fewer than five texts
            fit, validation = next(folds.split(places, train.labels, train.groups))
        return train.take(fit), train.take(validation)

    _, counts = np.unique(train.labels, return_counts=True)
    stratified = counts.min() >= 2 and len(train) // 5 >= len(counts)
    strata = train.labels if stratified else None
    fit, validation = train_test_split(places, test_size=0.2, stratify=strata, random_state=26)
    return train.take(fit), train.take(validation)


def shuffled(count: int, generator: np.random.RandomState) -> NDArray[np.int64]:
    """The order in which `keras.datasets` hands out a part: pass it `RandomState(113)`."""
    places = np.arange(count)
    generator.shuffle(places)
    return places


def check(dataset: Dataset) -> Dataset:
    """Refuses what would only fail later, in the middle of a training run."""
    for part, examples in (("training", dataset.train), ("test", dataset.test)):
        if not len(examples):
            raise DataError(f"{dataset.name}: the {part} part is empty. Get the data anew.")
        if examples.labels.min() < 0 or examples.labels.max() >= len(dataset.labels):
            raise DataError(f"{dataset.name}: the {part} part has a label outside 0 to {len(dataset.labels) - 1}")
    return dataset
