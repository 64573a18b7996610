"""Arrays and word indices from strangers: read exactly, refused when broken, and never run."""

import contextlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import DataError
from training.datasets import imdb, keras_files


class Hostile:
    """What pickle, left alone, would run."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


def test_hostile_arrays_run_nothing(layouts: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = layouts.arrays(tmp_path / "imdb.npz", x_train=[[1], Hostile(canary)])
    with pytest.raises(DataError, match=r"it holds (posix|nt)\.mkdir, which no data set needs"):
        keras_files.read_arrays(path, ["x_train"])
    assert not canary.exists()
    np.load(path, allow_pickle=True)["x_train"]
    assert canary.exists(), "the file was not hostile at all"


@pytest.mark.parametrize("name", ["builtins.eval", "builtins.getattr", "numpy.load", "numpy._core.multiarray.fromfile"])
def test_no_function_is_found_but_those_that_build_arrays(name: str, tmp_path: Path) -> None:
    module, _, function = name.rpartition(".")
    path = tmp_path / "x.npz"
    header = np.empty(1, object)
    np.savez(path, x=header)
    data = _replace_pickle(path, f"c{module}\n{function}\n.".encode())
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"it holds {name}, which no data set needs"):
        keras_files.read_arrays(path, ["x"])


def _replace_pickle(path: Path, pickled: bytes) -> bytes:
    """The same .npz with other bytes behind the array's header."""
    with zipfile.ZipFile(path) as archive:
        array = archive.read("x.npy")
    header = array[: 10 + int.from_bytes(array[8:10], "little")]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", header + pickled)
    return stream.getvalue()


def test_arrays_of_lists_and_of_numbers_are_read_as_numpy_reads_them(layouts: Any, tmp_path: Path) -> None:
    path = layouts.arrays(tmp_path / "a.npz", x=[[1, 2], [], [3]], y=[2, 0, 1])
    x, y = keras_files.read_arrays(path, ("x", "y"))
    assert (x.tolist(), y.tolist()) == ([[1, 2], [], [3]], [2, 0, 1])
    assert x.tolist() == np.load(path, allow_pickle=True)["x"].tolist()


def test_every_flipped_byte_is_refused_or_harmless(layouts: Any, tmp_path: Path) -> None:
    path = layouts.arrays(tmp_path / "a.npz", x=[[1, 2, 3]] * 20)
    whole = bytearray(path.read_bytes())
    expected = keras_files.read_arrays(path, ["x"])[0].tolist()
    for place in range(len(whole)):
        whole[place] ^= 0x5A
        path.write_bytes(whole)
        whole[place] ^= 0x5A
        with contextlib.suppress(DataError):
            assert keras_files.read_arrays(path, ["x"])[0].tolist() == expected


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_npz_file_says_what_to_do(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "imdb.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"imdb\.npz is not the \.npz file that Keras publishes.*Get it anew, or leave"):
        keras_files.read_arrays(path, ["x_train"])


def test_words_stand_in_rank_order(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text('{"film": 2, "the": 1, "caf\\u00e9": 3}')
    assert keras_files.read_words(path) == ["the", "film", "café"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1, 2]", "3", "null", '"the"', '{"the": 1, "a": 3}', '{"the": 0}', '{"the": "1"}', '{"a": 1, "b": null}',
     "[" * 100_000, "\xff"],
    ids=lambda content: content[:12],
)  # fmt: skip
def test_broken_word_index_says_what_to_do(content: str, tmp_path: Path) -> None:
    path = tmp_path / "imdb_word_index.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"imdb_word_index\.json is not a word index.*Get it anew, or leave out --data"):
        keras_files.read_words(path)


def test_missing_word_index_is_named(layouts: Any, tmp_path: Path) -> None:
    layouts.reviews["npz"](tmp_path)
    (tmp_path / "imdb_word_index.json").unlink()
    with pytest.raises(DataError, match=r"imdb_word_index\.json is missing.*leave out --data"):
        imdb.load(tmp_path)
