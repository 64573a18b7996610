"""Reads the files of `keras.datasets`: arrays of ranks, and the word index beside them.

The arrays are pickles; the reader lets them hold lists and numbers and nothing that could run.
"""

import io
import json
import pickle
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import DataError

_HARMLESS = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")
}

_ADVICE = "Get it anew, or leave out --data to download it."


class _ListsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which no data set needs")
        return super().find_class(module, name)


def read_arrays(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """The arrays of an `.npz` file, in the order of `names`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [_read_array(archive.read(f"{name}.npy")) for name in names]
    except Exception as error:  # a damaged zip or pickle raises anything
        raise DataError(f"{path} is not the .npz file that Keras publishes: {error}. {_ADVICE}") from error


def _read_array(data: bytes) -> NDArray[Any]:
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array in a format other than 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if not dtype.hasobject and dtype.kind not in "iu":
        raise ValueError(f"an array of {dtype}")
    array = _ListsOnly(stream).load() if dtype.hasobject else np.frombuffer(stream.read(), dtype)
    return np.asarray(array).reshape(shape)


def read_words(path: Path) -> list[str]:
    """The words of a `*_word_index.json` in rank order, which starts at 1 and has no gap."""
    try:
        if not path.exists():
            raise DataError(f"{path} is missing: it belongs beside the arrays. {_ADVICE}")
        index: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
        words = sorted(index, key=index.__getitem__)
        if [index[word] for word in words] != list(range(1, len(words) + 1)):
            raise ValueError("its ranks do not run from 1 without a gap")
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not a word index: {error}. {_ADVICE}") from error
    return words


def join_words(sequences: Iterable[Sequence[int]], words: Sequence[str]) -> list[str]:
    """Texts that the text contract encodes to exactly these ranks."""
    by_rank = dict(enumerate(words, start=1))
    try:
        return [" ".join([by_rank[rank] for rank in ranks]) for ranks in sequences]
    except (KeyError, TypeError) as error:
        raise DataError(f"the word index does not have this rank: {error}. Get arrays and index anew.") from error


def download(name: str, file_hash: str) -> Path:
    """One file of `keras.datasets`, from Keras' own address."""
    return download_from(f"https://storage.googleapis.com/tensorflow/tf-keras-datasets/{name}", file_hash)


def download_from(url: str, file_hash: str) -> Path:
    """Into Keras' cache, its hash checked."""
    import keras

    name = url.rpartition("/")[2]
    try:
        return Path(keras.utils.get_file(name, origin=url, file_hash=file_hash))
    except Exception as error:
        raise DataError(
            f"{name} could not be downloaded ({error}). Name a directory that holds it: --data DIR, or SENTOPIC_DATA."
        ) from error
