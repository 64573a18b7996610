"""Every model that can be trained, in one literal table of frozen values. Knows no Keras.

A name carries a version, and what it names never changes: a better recipe is a new version.
"""

import difflib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.errors import DataError
from app.text import INDEX_FROM, Windows
from training.datasets import Holdout

Layer = Literal["lstm", "gru"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model and how it is trained. Sizes in units, rates as fractions."""

    name: str
    version: int = 1
    data: str
    model: str
    """The bundle's model name: what a request's `model` chooses."""
    # What is read of a text.
    num_words: int = 20_000
    maxlen: int = 100
    windows: Windows = "cover"
    # The network, from the ids up.
    embedding: int = 64
    vectors: Literal["random", "svd"] = "svd"
    """How the embedding starts: by chance, or from the training texts (`training.vectors`)."""
    embedding_dropout: float = 0.0
    """Share of the embedding's channels dropped for a whole window (spatial dropout)."""
    layer: Layer
    units: tuple[int, ...]
    """Of each recurrent layer, the lowest first."""
    pooling: Literal["last", "max+mean"] = "last"
    """What is read of the recurrent layers: the top one's last state, or every one's maximum and mean over time."""
    dropout: float = 0.0
    # The training.
    learning_rate: float = 1e-3
    batch: int = 128
    epochs: int = 20
    patience: int = 3
    """Epochs without a better validation loss before it stops."""
    holdout: Holdout = "tutorial"
    answer_accuracy: float = 0.97
    """Answers less sure than those that are right this often on the held-out texts are `uncertain`."""

    @property
    def id(self) -> str:
        return f"{self.name}.v{self.version}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "units": list(self.units)}


_SENTIMENT: dict[str, Any] = {"data": "imdb", "embedding_dropout": 0.2, "dropout": 0.3}
_TOPIC: dict[str, Any] = {
    "data": "reuters", "windows": "first", "embedding": 128, "embedding_dropout": 0.2, "pooling": "max+mean",
    "dropout": 0.5, "learning_rate": 2e-3, "batch": 32, "epochs": 40, "patience": 4, "answer_accuracy": 0.95,
}  # fmt: skip

_TABLE = (
    Recipe(name="sentiment-lstm", model="lstm", layer="lstm", units=(64, 64), **_SENTIMENT),
    Recipe(name="sentiment-gru", model="gru", layer="gru", units=(64,), **_SENTIMENT),
    Recipe(name="topic-lstm", model="lstm", layer="lstm", units=(128, 64), **_TOPIC),
    Recipe(name="topic-gru", model="gru", layer="gru", units=(128,), **_TOPIC),
)
RECIPES = {recipe.id: recipe for recipe in _TABLE}


def find(name: str) -> Recipe:
    """By name (its newest version) or by name and version, as in `topic-gru.v1`."""
    if name in RECIPES:
        return RECIPES[name]
    versions = [recipe for recipe in _TABLE if recipe.name == name]
    if versions:
        return max(versions, key=lambda recipe: recipe.version)
    names = list(dict.fromkeys(recipe.name for recipe in _TABLE))
    near = difflib.get_close_matches(name, names, n=3) or names
    raise DataError(f"There is no recipe {name!r}. Near it: {', '.join(near)}.")


def check(recipe: Recipe) -> None:
    """Refuses sizes that no model has."""
    if recipe.num_words <= INDEX_FROM + 1 or recipe.maxlen < 1:
        raise DataError(f"{recipe.id}: num_words must exceed {INDEX_FROM + 1}, and maxlen 0")
