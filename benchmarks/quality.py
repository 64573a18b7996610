"""How the shipped bundles behave where reviews and newswires end: short texts, negation, texts of another kind, copies,
other newswires' texts.

Needs the data sets (`SENTOPIC_DATA`) and what training needs. Prints the tables of `docs/quality.md`, in Markdown.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from app.bundle import Bundle, read_bundle
from app.engines.base import Engine
from app.engines.open import open_engine
from app.settings import SHIPPED
from app.text import split_words
from training.answers import Answers, answer
from training.commands.options import data_from_environment, load
from training.datasets import Dataset, Examples, reuters
from training.markdown import table

DATA = ("imdb", "reuters")
SHORT = (5, 10, 20, 50)
OPENINGS = ("The film was", "I found it", "The acting is", "This story was")
GOOD = ("good", "great", "funny", "interesting", "convincing", "enjoyable", "memorable", "original", "worth watching")
BAD = ("bad", "boring", "dull", "predictable", "stupid", "silly", "terrible", "annoying", "a waste of time")
FORMS = {
    "{}": False,
    "very {}": False,
    "not {}": True,
    "not at all {}": True,
    "never {}": True,
    "anything but {}": True,
}
"""What stands before a word of praise or blame, and whether it turns it round."""


class Asked:
    """A bundle that is asked for answers."""

    def __init__(self, directory: Path) -> None:
        self.bundle: Bundle = read_bundle(directory)
        self.engine: Engine = open_engine(self.bundle, "onnx")
        self.name = "/".join(directory.parts[-2:])
        self.data = str(self.bundle.manifest.data["name"])
        self.labels = [label.name for label in self.bundle.manifest.labels]

    def answer(self, texts: Sequence[str], labels: Iterable[int] | None = None) -> Answers:
        right = np.zeros(len(texts), np.int64) if labels is None else np.array(list(labels), np.int64)
        return answer(self.engine, self.bundle.manifest, self.bundle.words, Examples(texts, right))


def main() -> None:
    data = {name: load(name, data_from_environment(), unlabelled=True) for name in DATA}
    models = [Asked(directory) for directory in sorted(SHIPPED.glob("*/*/"))]
    for title, heads, rows in (
        ("Short texts", ["Bundle", *(f"first {words} words" for words in SHORT), "as served"], short(models, data)),
        ("Negation", ["Bundle", "Form", "of praise", "of blame", "Uncertain"], negation(models)),
        ("Texts of another kind", ["Bundle", "Texts", "Uncertain", "Confidence of 0.9 and more"], others(models, data)),
        ("Copies", ["Bundle", "Copies", "Accuracy with", "Without"], copies(models, data)),
        (
            "Texts of other newswires",
            ["Bundle", "Such texts", "Accuracy with", "Without", "Mistakes", "On such", "Second topic"],
            mislabelled(models, data),
        ),
    ):
        print(f"\n## {title}\n\n{table(heads, rows)}", flush=True)


def short(models: Iterable[Asked], data: dict[str, Dataset]) -> Iterator[list[str]]:
    """Test texts cut to their beginning: right in per cent, and of those answered without `uncertain`."""
    for model in models:
        test = data[model.data].test
        cells = []
        for part in (*map(test.first_words, SHORT), test):
            found = model.answer(part.texts, part.labels)
            sure = found.right[found.sure]
            cells.append(f"{_share(found.right)}; {_share(found.sure)} sure, {_share(sure)} of these right")
        yield [model.name, *cells]


def negation(models: Iterable[Asked]) -> Iterator[list[str]]:
    """Sentences made from a pattern: praise, blame, and either of them turned round."""
    for model in models:
        if not {"negative", "positive"} <= set(model.labels):
            continue
        places = [model.labels.index(name) for name in ("negative", "positive")]
        for form, turned in FORMS.items():
            cells, sure = [], []
            for words, praised in ((GOOD, True), (BAD, False)):
                texts = [f"{start} {form.format(word)}." for start, word in itertools.product(OPENINGS, words)]
                found = model.answer(texts, itertools.repeat(places[praised != turned], len(texts)))
                cells.append(f"{_share(found.right)} right")
                sure.append(found.sure)
            yield [model.name, form.format("..."), *cells, _share(~np.concatenate(sure))]


def others(models: Iterable[Asked], data: dict[str, Dataset]) -> Iterator[list[str]]:
    """Texts that no label fits: the other task's test part. An honest model is seldom sure of them."""
    for model in models:
        for name, dataset in data.items():
            found = model.answer(dataset.test.texts)
            what = "its own" if name == model.data else f"`{name}`"
            yield [model.name, what, _share(~found.sure), _share(found.confidence >= 0.9)]


def copies(models: Iterable[Asked], data: dict[str, Dataset]) -> Iterator[list[str]]:
    """What test texts that also stand in the training part are worth."""
    for model in models:
        dataset = data[model.data]
        seen = {tuple(split_words(text)) for text in dataset.train.texts}
        copy = np.array([tuple(split_words(text)) in seen for text in dataset.test.texts])
        right = model.answer(dataset.test.texts, dataset.test.labels).right
        yield [model.name, f"{copy.sum():,} of {len(copy):,}", f"{right.mean():.4f}", f"{right[~copy].mean():.4f}"]


def mislabelled(models: Iterable[Asked], data: dict[str, Dataset]) -> Iterator[list[str]]:
    """What test newswires cost that have another one's text, and how many of the other mistakes name a second topic."""
    _, newswires = reuters.load_newswires((data_from_environment() or Path()) / reuters.ARCHIVE)
    own = np.array([one.own for one in newswires])
    for model in models:
        if model.data != "reuters":
            continue
        test = data[model.data].test
        found = model.answer(test.texts, test.labels)
        named = [model.labels[guess] in one.topics for guess, one in zip(found.guesses, newswires, strict=True)]
        wrong = ~found.right
        accuracies = f"{found.right.mean():.4f}", f"{found.right[own].mean():.4f}"
        second = (wrong & own & np.array(named)).sum()
        yield [
            model.name,
            f"{(~own).sum():,} of {len(own):,}",
            *accuracies,
            *map(str, (wrong.sum(), (wrong & ~own).sum(), second)),
        ]


def _share(which: np.ndarray) -> str:
    return f"{which.mean():.1%}" if len(which) else "-"


if __name__ == "__main__":
    main()
