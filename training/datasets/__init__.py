"""Labelled texts, by name."""

from collections.abc import Callable
from pathlib import Path

from training.datasets import imdb, reuters
from training.datasets.dataset import Dataset, Examples, Holdout, Probe, digest, digest_labelled, hold_out

LOADERS: dict[str, Callable[[Path | None, str], Dataset]] = {"imdb": imdb.load, "reuters": reuters.load}
UNLABELLED: dict[str, Callable[[Path | None], list[str]]] = {
    "imdb": imdb.load_unlabelled,
    "reuters": reuters.load_unlabelled,
}
GROUPS: dict[str, Callable[[Path | None], list[tuple[str, str]]]] = {"imdb": imdb.load_films}
"""What the training texts are about, for the data sets that say so."""
MISLABELLED: dict[str, Callable[[Path | None], list[tuple[str, str, bool]]]] = {"reuters": reuters.load_mislabelled}
"""The training part, with names of labels and whether they are another text's, for the data sets that tell."""

__all__ = [
    "GROUPS",
    "LOADERS",
    "MISLABELLED",
    "UNLABELLED",
    "Dataset",
    "Examples",
    "Holdout",
    "Probe",
    "digest",
    "digest_labelled",
    "hold_out",
]
