"""IMDB from Keras' arrays, the unpacked folder and the published archive: one shape, the same ids."""

import importlib
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError
from app.text import TextEncoder
from training.datasets import Dataset, Examples, hold_out, imdb

KINDS = ("npz", "folder", "archive")


def ids(dataset: Dataset, part: Examples, num_words: int = 1_000) -> list[list[int]]:
    encoder = TextEncoder(dataset.words, num_words, 100, "cover")
    return [encoder.encode_all(text) for text in part.texts]


def counted(dataset: Dataset) -> list[Counter[tuple[int, tuple[int, ...]]]]:
    return [
        Counter(zip(part.labels.tolist(), map(tuple, ids(dataset, part)), strict=True))
        for part in (dataset.train, dataset.test)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_the_same_shape_and_ids(kind: str, layouts: Any, tmp_path: Path) -> None:
    arrays = imdb.load(layouts.reviews["npz"](tmp_path / "arrays"))
    directory = layouts.reviews[kind](tmp_path / "other")
    layouts.index(directory / "imdb_word_index.json", arrays.words)
    dataset = imdb.load(directory)
    assert (dataset.name, dataset.task, list(dataset.labels)) == ("imdb", "sentiment", ["negative", "positive"])
    assert (len(dataset.train), len(dataset.test)) == (8, 6)
    assert dataset.words == arrays.words
    assert counted(dataset) == counted(arrays)
    assert dataset.train.labels.dtype == arrays.train.labels.dtype == "int64"
    assert len(dataset.examples) >= 3


def test_folder_and_archive_give_one_content_and_leave_out_the_unlabelled(layouts: Any, tmp_path: Path) -> None:
    datasets = [imdb.load(layouts.reviews[kind](tmp_path / kind)) for kind in ("folder", "archive")]
    assert datasets[0].sha256 == datasets[1].sha256
    assert not any("no idea" in text for dataset in datasets for text in dataset.train.texts)


def test_line_ends_are_read_as_they_stand(layouts: Any, tmp_path: Path) -> None:
    """A carriage return is no separator: a file opened as text would turn it into one."""
    directory = layouts.reviews["folder"](tmp_path)
    (directory / "aclImdb/train/neg/0_1.txt").write_bytes(b"no\rgood\r\nfilm")
    assert "no\rgood\r\nfilm" in imdb.load(directory).train.texts


def test_words_are_ranked_by_the_training_texts_where_there_is_no_index(layouts: Any, tmp_path: Path) -> None:
    dataset = imdb.load(layouts.reviews["folder"](tmp_path))
    assert dataset.words[0] == "the"
    assert "superb" in dataset.words
    assert "nobody" not in dataset.words


def test_source_chooses_among_several_layouts(layouts: Any, tmp_path: Path) -> None:
    layouts.reviews["npz"](layouts.reviews["folder"](tmp_path))
    upper = [
        any("BAD" in text for text in imdb.load(tmp_path, source).train.texts) for source in ("auto", "npz", "raw")
    ]
    assert upper == [False, False, True]


def test_order_ids_and_download_are_those_of_keras(
    layouts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras' own `load_data` reads the same file; what it asks `get_file` for is what we ask for."""
    keras = pytest.importorskip("keras")
    layouts.reviews["npz"](tmp_path)
    asked: dict[str, list[tuple[str, str]]] = {"keras": [], "ours": []}

    def fetch(who: str) -> Callable[..., str]:
        def get_file(fname: str, origin: str, file_hash: str) -> str:
            asked[who].append((origin, file_hash))
            return str(tmp_path / fname)

        return get_file

    monkeypatch.setattr(importlib.import_module("keras.src.datasets.imdb"), "get_file", fetch("keras"))
    monkeypatch.setattr(keras.utils, "get_file", fetch("ours"))
    (x_train, y_train), (x_test, y_test) = keras.datasets.imdb.load_data(num_words=20)
    index = keras.datasets.imdb.get_word_index()
    dataset = imdb.load(None)
    assert asked["ours"] == asked["keras"]
    assert dataset.words == sorted(index, key=index.__getitem__)
    assert ids(dataset, dataset.train, 20) == list(x_train)
    assert ids(dataset, dataset.test, 20) == list(x_test)
    assert dataset.train.labels.tolist() == y_train.tolist()
    assert dataset.test.labels.tolist() == y_test.tolist()


def test_failed_download_names_the_way_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")

    def get_file(*arguments: object, **options: object) -> str:
        raise ValueError("Incomplete or corrupted file detected")  # Keras' own words when the hash differs

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.raises(DataError, match=r"imdb\.npz could not be downloaded .*corrupted.*--data DIR, or SENTOPIC_DATA"):
        imdb.load(None)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("auto", r"imdb\.npz, aclImdb_v1\.tar\.gz or aclImdb/"),
        ("npz", r"imdb\.npz"),
        ("raw", r"aclImdb_v1\.tar\.gz or"),
    ],
)
def test_missing_files_are_named(source: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"has no {wanted}.*Put it there, or leave out --data"):
        imdb.load(tmp_path, source)


def test_file_that_is_not_utf8_is_named(layouts: Any, tmp_path: Path) -> None:
    directory = layouts.reviews["folder"](tmp_path)
    (directory / "aclImdb/test/pos/1_9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"aclImdb/test/pos/1_9\.txt in .* is not UTF-8.*Get it anew"):
        imdb.load(directory)


def test_foreign_folders_are_passed_over(layouts: Any, tmp_path: Path) -> None:
    directory = layouts.reviews["folder"](tmp_path)
    (directory / "aclImdb/extra/neg").mkdir(parents=True)
    (directory / "aclImdb/extra/neg/0_1.txt").write_text("not a review")
    assert len(imdb.load(directory).train) == 8


def test_folder_without_reviews_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aclImdb").mkdir()
    with pytest.raises(DataError, match=r"the training part is empty\. Get the data anew"):
        imdb.load(tmp_path)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"x_train": [[1], [10**6]]}, "the word index does not have this rank: 1000000"),
        ({"x_train": [[1], [0]]}, "the word index does not have this rank: 0"),
        ({"x_train": [[1], [-1]]}, "the word index does not have this rank: -1"),
        ({"x_train": [[1], None]}, "the word index does not have this rank"),
        ({"y_train": [0, 2]}, "the training part has a label outside 0 to 1"),
        ({"y_test": [-1, 0]}, "the test part has a label outside 0 to 1"),
        ({"y_train": [0, 1, 0]}, r"2 texts, but labels of shape \(3,\)"),
        ({"y_train": [0.5, 1.0]}, "an array of float64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(columns: Any, reason: str, layouts: Any, tmp_path: Path) -> None:
    layouts.reviews["npz"](tmp_path)
    fitting = {"x_train": [[1], [2]], "y_train": [0, 1], "x_test": [[1], [2]], "y_test": [0, 1]}
    layouts.arrays(tmp_path / "imdb.npz", **fitting)
    assert imdb.load(tmp_path).train.labels.tolist() in ([0, 1], [1, 0])
    layouts.arrays(tmp_path / "imdb.npz", **{**fitting, **columns})
    with pytest.raises(DataError, match=reason):
        imdb.load(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_films_are_what_the_training_reviews_are_about(kind: str, layouts: Any, tmp_path: Path) -> None:
    folder = layouts.reviews["folder"](tmp_path) / "aclImdb"
    for label in ("pos", "neg"):
        count = len(list((folder / "train" / label).iterdir()))
        urls = [f"http://example.org/title/{label}{place // 2}/usercomments\n" for place in range(count)]
        (folder / "train" / f"urls_{label}.txt").write_text("".join(urls))
    expected = {
        path.read_text(): f"http://example.org/title/{path.parent.name}{int(path.name.split('_')[0]) // 2}"
        for label in ("pos", "neg")
        for path in (folder / "train" / label).iterdir()
    }
    if kind == "archive":
        with tarfile.open(tmp_path / "aclImdb_v1.tar.gz", "w:gz") as archive:
            archive.add(folder, "aclImdb")
        shutil.rmtree(folder)
    found = imdb.load_films(tmp_path)
    assert dict(found) == expected
    assert len(found) == len(expected)


def test_archive_that_does_not_name_films_says_nothing(layouts: Any, tmp_path: Path) -> None:
    assert imdb.load_films(layouts.reviews["archive"](tmp_path)) == []


def test_no_film_of_the_training_reviews_is_on_both_sides(real_data: Path) -> None:
    """Of 3,456 films; six have no review but one that stands word for word under another film too."""
    dataset = imdb.load(real_data, "npz").with_groups(imdb.load_films(real_data))
    assert len(set(dataset.train.groups.tolist())) == 3_450  # type: ignore[union-attr]
    fit, validation = hold_out(dataset.train, "grouped")
    assert not set(fit.groups.tolist()) & set(validation.groups.tolist())  # type: ignore[union-attr]
    assert (len(fit), len(validation)) == (19_998, 5_002)
