"""A tiny corpus in every published layout, and a data set small enough to train in seconds."""

import dataclasses
import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from app.engines.base import Precision

CORPUS = json.loads((Path(__file__).parent.parent / "fixtures" / "corpus.json").read_text(encoding="utf-8"))
COUNTS = {"earn": 16, "acq": 15, "tin": 3}
"""Newswires a topic: one of the three has too few to be a label."""

Write = Callable[[Path], Path]


def plain_words(text: str) -> list[str]:
    for separator in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n':
        text = text.replace(separator, " ")
    return [word for word in text.lower().split(" ") if word]


def write_arrays(path: Path, **columns: Iterable[Any]) -> Path:
    """As Keras' files were made: an array of lists is an array of objects."""
    arrays = {}
    for name, column in columns.items():
        values = list(column)
        if name.startswith("x"):
            arrays[name] = np.empty(len(values), object)
            arrays[name][:] = values
        else:
            arrays[name] = np.array(values)
    np.savez_compressed(path, **arrays)
    return path


def write_index(path: Path, words: Sequence[str]) -> Path:
    path.write_text(json.dumps({word: rank for rank, word in enumerate(words, start=1)}))
    return path


def rank(texts: Iterable[str]) -> list[str]:
    counts = Counter(word for text in texts for word in plain_words(text))
    return sorted(counts, key=lambda word: (-counts[word], word))


def ranks(text: str, words: Sequence[str]) -> list[int]:
    return [words.index(word) + 1 for word in plain_words(text) if word in words]


# IMDB


def reviews(part: str) -> list[tuple[int, str]]:
    return [(label, text) for label, kind in enumerate(("neg", "pos")) for text in CORPUS["reviews"][f"{part}/{kind}"]]


def write_review_folder(directory: Path) -> Path:
    """aclImdb/{train,test}/{pos,neg}/*.txt and the unlabelled ones, which no loader may take."""
    for part, texts in {**CORPUS["reviews"], "train/unsup": CORPUS["unlabelled"]}.items():
        folder = directory / "aclImdb" / part
        folder.mkdir(parents=True)
        for place, text in enumerate(texts):
            (folder / f"{place}_{9 if part.endswith('pos') else 1}.txt").write_bytes(text.encode())
    (directory / "aclImdb" / "README").write_text("not a review")
    return directory


def write_review_archive(directory: Path) -> Path:
    folder = write_review_folder(directory / "unpacked") / "aclImdb"
    with tarfile.open(directory / "aclImdb_v1.tar.gz", "w:gz") as archive:
        archive.add(folder, "aclImdb")
    return directory


def write_review_arrays(directory: Path) -> Path:
    words = rank(text for _, text in reviews("train"))
    directory.mkdir(exist_ok=True)
    write_index(directory / "imdb_word_index.json", words)
    parts = {part: reviews(part) for part in ("train", "test")}
    columns = {f"x_{part}": [ranks(text, words) for _, text in found] for part, found in parts.items()}
    labels = {f"y_{part}": [label for label, _ in found] for part, found in parts.items()}
    write_arrays(directory / "imdb.npz", **columns, **labels)
    return directory


# Reuters


def newswires() -> list[tuple[str, str]]:
    """Of all topics in turn, as the corpus' days hold them."""
    found = [(n, topic) for topic, count in COUNTS.items() for n in range(count)]
    return [(topic, CORPUS["newswires"][topic].format(n=n + 10)) for n, topic in sorted(found)]


def mark_up(topics: Sequence[str], text: str) -> str:
    named = "".join(f"<D>{topic}</D>" for topic in topics)
    body = f"<BODY>{text}\n&#3;</BODY>" if text else ""
    head = f'<REUTERS TOPICS="YES">\n<TOPICS>{named}</TOPICS>\n<PLACES><D>uk</D></PLACES>\n'
    return f"{head}<TEXT>{body}</TEXT>\n</REUTERS>\n"


def pack_newswires(directory: Path, *sources: str) -> Path:
    directory.mkdir(exist_ok=True)
    with tarfile.open(directory / "reuters21578.tar.gz", "w:gz") as archive:
        for place, source in enumerate(sources):
            data = ('<!DOCTYPE lewis SYSTEM "lewis.dtd">\n' + source).encode("latin-1")
            member = tarfile.TarInfo(f"reut2-{place:03}.sgm")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return directory


def write_newswire_archive(directory: Path) -> Path:
    """Two files; in between, newswires without a topic, which no loader may take."""
    marked = [mark_up([topic, "uk-second"], text) for topic, text in newswires()]
    marked.insert(5, mark_up([], "A newswire about nothing in particular."))
    pack_newswires(directory, "".join(marked[:20]), "".join(marked[20:]))
    write_index(directory / "reuters_word_index.json", rank(text for _, text in newswires()))
    return directory


def write_newswire_arrays(directory: Path) -> Path:
    words = rank(text for _, text in newswires())
    directory.mkdir(exist_ok=True)
    write_index(directory / "reuters_word_index.json", words)
    numbers = {"earn": 3, "acq": 4}
    found = [(numbers[topic], text) for topic, text in newswires() if topic in numbers]
    columns = {"x": [ranks(text, words) for _, text in found], "y": [label for label, _ in found]}
    write_arrays(directory / "reuters.npz", **columns)
    return directory


class Layouts:
    """The builders above, for tests, which cannot import this module."""

    arrays = staticmethod(write_arrays)
    index = staticmethod(write_index)
    mark_up = staticmethod(mark_up)
    pack_newswires = staticmethod(pack_newswires)
    reviews: ClassVar[dict[str, Write]] = {
        "npz": write_review_arrays,
        "folder": write_review_folder,
        "archive": write_review_archive,
    }
    newswires: ClassVar[dict[str, Write]] = {"npz": write_newswire_arrays, "archive": write_newswire_archive}


@pytest.fixture(scope="session")
def layouts() -> type[Layouts]:
    return Layouts


# A data set and runs small enough for seconds


def tiny_dataset(labels: int, *, noise: bool = False, seed: int = 0) -> Any:
    """Texts of 5 to 25 of 30 words; each label prefers ten of them, or, with `noise`, nothing tells it."""
    from training.datasets import Dataset, Examples

    generator = np.random.default_rng(seed)
    words = [f"w{place}" for place in range(30)]

    def draw(count: int) -> Examples:
        found = np.arange(count) % labels
        liking = generator.integers(0, labels, count) if noise else found
        texts = [
            " ".join(
                words[(generator.integers(10) + 10 * like) % 30]
                if generator.random() < 0.6
                else generator.choice(words)
                for _ in range(generator.integers(5, 26))
            )
            for like in liking
        ]
        return Examples(texts, found.astype(np.int64))

    names = {f"label-{place}": f"Label {place}" for place in range(labels)}
    return Dataset("tiny", "tone", names, words, draw(84), draw(36), ("w1 w2 w3", "w11 w12", "w21 w22 w23 unheard"))


def tiny_recipe(**changes: Any) -> Any:
    from training.network import Dropout, Embedding, Recurrent
    from training.recipes import find

    small = {
        "num_words": 40,
        "maxlen": 10,
        "network": (Embedding(4), Recurrent("gru", 4), Dropout(0.3)),
        "epochs": 3,
        "batch": 16,
    }
    return dataclasses.replace(find("sentiment-gru.v1"), **{**small, "learning_rate": 0.01, **changes})


def interrupt_after(epoch: int) -> Callable[[str], None]:
    def say(line: str) -> None:
        if line.startswith(f"epoch {epoch:3}/"):
            raise KeyboardInterrupt

    return say


class Tiny:
    dataset = staticmethod(tiny_dataset)
    recipe = staticmethod(tiny_recipe)
    interrupt_after = staticmethod(interrupt_after)

    @staticmethod
    def run_folder(out: Path, seed: int = 1) -> Path:
        return out / "runs" / f"{tiny_recipe().id}-{seed}"

    @classmethod
    def history(cls, out: Path, seed: int = 1) -> list[dict[str, Any]]:
        """What the run's file says of each epoch, but for how long it took."""
        state = json.loads((cls.run_folder(out, seed) / "state.json").read_text())
        return [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in state["history"]]

    @classmethod
    def weights(cls, out: Path, epoch: int, seed: int = 1) -> list[Any]:
        """Of the model and its optimizer, as they were saved after that epoch."""
        import keras

        model = keras.saving.load_model(cls.run_folder(out, seed) / f"epoch-{epoch:04}.keras")
        return [*model.get_weights(), *(np.asarray(variable) for variable in model.optimizer.variables)]


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    pytest.importorskip("keras")
    return Tiny


@pytest.fixture(scope="session")
def whole_run(tiny: type[Tiny], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`--out` after a run of three epochs that nobody interrupted."""
    from training.fit import fit

    out = tmp_path_factory.mktemp("whole")
    fit(tiny_recipe(), tiny_dataset(2), out, say=lambda line: None)
    return out


@pytest.fixture(scope="session")
def interrupted_run(tiny: type[Tiny], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`--out` after the same run was interrupted behind its first epoch. Copy it before going on with it."""
    from training.fit import fit

    out = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_recipe(), tiny_dataset(2), out, say=interrupt_after(1))
    return out


# A model that can be worked out by hand


class MoodEngine:
    """The share of `liked` (an id) among the ids of good (5) and bad (4), kept away from 0 and 1."""

    name = "mood"
    precision: Precision = "float32"

    def __init__(self, liked: int = 5) -> None:
        self.liked = liked

    def predict(self, ids: Any) -> Any:
        good, bad = (ids == self.liked).sum(axis=1) + 1, (ids == 9 - self.liked).sum(axis=1) + 1
        share = good / (good + bad)
        return np.stack([1 - share, share], axis=1).astype(np.float32)


class Mood:
    """Texts of good and bad; `rare` is in the index, and no model has an id for it."""

    words = ("bad", "good", "rare")
    engine = MoodEngine

    @staticmethod
    def manifest(**changes: Any) -> Any:
        from app.bundle import Calibration, Golden, Label, Manifest, Seal, TextSpec

        seal = Seal(sha256="0" * 64, size=1)
        given = {
            "task": "mood",
            "model": "m",
            "labels": [
                Label(name="sad", display_name="Sad", share=0.7),
                Label(name="glad", display_name="Glad", share=0.3),
            ],
            "text": TextSpec(num_words=6, maxlen=4, windows="cover"),
            "recipe": {},
            "data": {"held_out": 8},
            "metrics": {},
            "parameters": 1,
            "calibration": Calibration(temperature=1, uncertain_below=0.7),
            "versions": {},
            "files": {"model.keras": seal, "words.txt": seal},
            "golden": [Golden(text="x", scores=[0.5, 0.5])] * 3,
        }
        return Manifest(**{**given, **changes})

    @classmethod
    def examples(cls, texts: Sequence[str], labels: Sequence[int]) -> Any:
        from training.datasets import Examples

        return Examples(texts, np.array(labels, np.int64))

    @classmethod
    def dataset(cls, train: Any, test: Any, **more: Any) -> Any:
        from training.datasets import Dataset

        return Dataset("moods", "mood", {"sad": "Sad", "glad": "Glad"}, cls.words, train, test, (), **more)


@pytest.fixture(scope="session")
def mood() -> type[Mood]:
    return Mood
