"""IMDB reviews (Maas et al., 2011): 25,000 for training, 25,000 for the test, negative or positive."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.errors import DataError
from app.text import rank_words
from training.datasets import keras_files
from training.datasets.archives import read_members
from training.datasets.dataset import Dataset, Examples, Labels, Probe, check, shuffled

LABELS = {"negative": "Negative", "positive": "Positive"}
ARRAYS, WORD_INDEX, ARCHIVE, FOLDER = "imdb.npz", "imdb_word_index.json", "aclImdb_v1.tar.gz", "aclImdb"

EXAMPLES = (
    "A quiet, patient film that trusts its actors. The two leads are wonderful together and the last scene "
    "stayed with me for days. I loved every minute of it.",
    "I wanted to like this, I really did. The story makes no sense, the jokes fall flat and the ending feels "
    "as if somebody had lost the last ten pages of the script. A waste of two hours.",
    "The first half hour had me worried: a slow start, a tired voice-over and a hero who does little but stare out "
    "of windows. I nearly gave up. Then the brother comes home, and all at once the film wakes up. From the dinner "
    "scene on it is funny, sad and frightening by turns, and the camera never misses a look. The music helps too, a "
    "single piano that knows when to keep quiet. There are weak spots. The police plot goes nowhere, one of the "
    "sisters is hardly more than a name, and I could have done without the dream. But what remains is a brave and "
    "beautiful piece of work about people who cannot say what they mean, played by a cast without a single false "
    "note. Give it the half hour it needs. You will be glad that you stayed, as I was.",
)

DESCRIPTION = (
    "Reviews of films in English, by users of IMDB (Maas et al., 2011): half negative (at most 4 points of 10), half "
    "positive (at least 7), none in between, at most 30 of a film. Training and test reviews are of different films."
)
PROBES = (
    Probe("negation", "This is not a good film.", "negative"),
    Probe("negation", "Not bad at all, I would see it again.", "positive"),
    Probe("negation", "Hardly a masterpiece.", "negative"),
    Probe("negation", "I never once looked at my watch.", "positive"),
    Probe("sarcasm", "A work of genius, if what you came for is sleep. Bravo.", "negative"),
    Probe("sarcasm", "Thank you for two hours that I will never get back. What a treat.", "negative"),
    Probe(
        "praise, then a verdict",
        "A great cast, lovely music, beautiful costumes, and still I was bored from the first scene to the last.",
        "negative",
    ),
    Probe("no verdict", "The film runs for ninety minutes and was shown in two cinemas on Tuesday."),
    Probe("people named, no verdict", "The director is a Muslim woman from Nigeria, and her brother wrote the script."),
    Probe("a product", "The kettle boils fast and looks good, but its lid broke off within a week.", "negative"),
    Probe("a recipe", "Fry two onions in butter, add the rice and a litre of stock, and stir for twenty minutes."),
    Probe("a tweet", "omg that ending 😭😭 no words, go see it!!", "positive"),
    Probe("another language", "Ein wunderbarer Film, den ich jedem ans Herz lege.", "positive"),
    Probe("no word at all", "Qwzxv brrglp thwompfk."),
)
UNFIT = (
    "Decisions about people, such as whom to hire, to lend to or to silence: a review says nothing of its writer.",
    "A person's mood, health or state of mind. The answer is about a film.",
    "Texts that are not reviews of films (products, restaurants, tweets, letters to a help desk): of newswires one "
    "in six to eight got a verdict without the mark `uncertain`.",
    "Texts without a verdict, or with a mild one. There is no neutral answer, and reviews of 5 and 6 points were left "
    "out of the data.",
    "Single sentences, irony, other languages than English: see the figures by length and the probes.",
)

_SHA256_ARRAYS = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
ARCHIVE_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_MD5_ARCHIVE = "7c2ac02c03563afcf9b574c7e56c153a"
_MD5_WORD_INDEX = "bfafd718b763782e994055a2d397834f"


def load(directory: Path | None, source: str = "auto") -> Dataset:
    """From `directory` (`imdb.npz`, or the published archive or its unpacked folder), else Keras' download.

    `source`: `npz`, `raw`, or `auto`, which takes the arrays where both are there. The reviews are the same,
    their order is not: a split by name holds out other reviews of the one than of the other.
    """
    if directory is None:
        arrays = keras_files.download(ARRAYS, _SHA256_ARRAYS)
        return _from_arrays(arrays, keras_files.download(WORD_INDEX, _MD5_WORD_INDEX))
    if source in ("auto", "npz") and (directory / ARRAYS).exists():
        return _from_arrays(directory / ARRAYS, directory / WORD_INDEX)
    if source in ("auto", "raw") and any((directory / name).exists() for name in (ARCHIVE, FOLDER)):
        return _from_reviews(directory)
    wanted = {"npz": ARRAYS, "raw": f"{ARCHIVE} or {FOLDER}/"}.get(source, f"{ARRAYS}, {ARCHIVE} or {FOLDER}/")
    raise DataError(f"{directory} has no {wanted}. Put it there, or leave out --data to download it.")


def load_unlabelled(directory: Path | None) -> list[str]:
    """The 50,000 reviews without a label, by file name: from the archive in `directory`, else from its publisher."""
    directory = _with_archive(directory, "the reviews without a label")
    reviews = read_reviews(directory)
    return [text for _, text in sorted((name, text) for _, label, name, text in reviews if label == "unsup")]


def load_films(directory: Path | None) -> list[tuple[str, str]]:
    """The training reviews with a label, and which film each is about; none where the archive does not say."""
    directory = _with_archive(directory, "what the reviews are about")
    films: dict[tuple[str, str], str] = {}
    for path, data in _read_files(directory):
        steps = path.split("/")
        if len(steps) == 3 and steps[1] == "train" and steps[2].startswith("urls_"):
            label = steps[2].removeprefix("urls_").removesuffix(".txt")
            for place, url in enumerate(data.decode().splitlines()):
                films[label, str(place)] = url.partition("/usercomments")[0]
    reviews = [review for review in read_reviews(directory) if review[0] == "train" and review[1] != "unsup"]
    if not films:
        return []
    return [(text, films.get((label, name.split("_")[0]), name)) for _, label, name, text in reviews]


def _with_archive(directory: Path | None, what: str) -> Path:
    if directory is None:
        return Path(keras_files.download_from(ARCHIVE_URL, file_hash=_MD5_ARCHIVE).parent)
    if not any((directory / name).exists() for name in (ARCHIVE, FOLDER)):
        raise DataError(
            f"{directory} has no {ARCHIVE}, which {what} stands in. Get it ({ARCHIVE_URL}), "
            "or train a recipe without them: sentiment-gru.v1, say."
        )
    return directory


def _from_arrays(arrays: Path, word_index: Path) -> Dataset:
    words = keras_files.read_words(word_index)
    x_train, y_train, x_test, y_test = keras_files.read_arrays(arrays, ("x_train", "y_train", "x_test", "y_test"))
    train = Examples(keras_files.join_words(x_train, words), y_train.astype(np.int64))
    test = Examples(keras_files.join_words(x_test, words), y_test.astype(np.int64))
    return _assemble(train, test, words)


def _from_reviews(directory: Path) -> Dataset:
    parts: dict[str, list[tuple[str, str, str]]] = {"train": [], "test": []}
    for part, label, name, text in read_reviews(directory):
        if part in parts and label in ("neg", "pos"):
            parts[part].append((label, name, text))
    train, test = (
        Examples([text for _, _, text in found], _binary([label for label, _, _ in found]))
        for found in (sorted(parts["train"]), sorted(parts["test"]))
    )
    index = directory / WORD_INDEX
    return _assemble(train, test, keras_files.read_words(index) if index.exists() else rank_words(train.texts))


def _binary(labels: list[str]) -> Labels:
    return np.array([label == "pos" for label in labels], np.int64)


def _assemble(train: Examples, test: Examples, words: list[str]) -> Dataset:
    generator = np.random.RandomState(113)
    train = train.take(shuffled(len(train), generator))
    test = test.take(shuffled(len(test), generator))
    given = Dataset("imdb", "sentiment", LABELS, words, train, test, EXAMPLES)
    return check(replace(given, description=DESCRIPTION, probes=PROBES, unfit=UNFIT, quotable=True))


def read_reviews(directory: Path) -> Iterator[tuple[str, str, str, str]]:
    """(part, label, file name, text) of each raw review: `train` or `test`; `neg`, `pos` or `unsup`."""
    for path, data in _read_files(directory):
        steps = path.split("/")
        if len(steps) == 4 and steps[0] == FOLDER:
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{path} in {directory} is not UTF-8 ({error}). Get it anew.") from error
            yield steps[1], steps[2], steps[3], text


def _read_files(directory: Path) -> Iterator[tuple[str, bytes]]:
    """(path, content) of each file of the unpacked folder, or else of the archive."""
    folder = directory / FOLDER
    if folder.exists():
        found = ((path.relative_to(directory).as_posix(), path.read_bytes()) for path in folder.rglob("*.txt"))
    else:
        found = ((path.removeprefix("./"), data) for path, data in read_members(directory / ARCHIVE, ".txt"))
    yield from found
