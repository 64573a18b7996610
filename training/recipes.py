"""Every model that can be trained, in one literal table of frozen values. Knows no Keras.

A name carries a version, and what it names never changes: a better recipe is a new version.
"""

import difflib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.errors import DataError
from app.text import INDEX_FROM, Windows
from training import network
from training.datasets import Holdout
from training.network import Dropout, Embedding, Recurrent, SpatialDropout, Summary


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
    # The network.
    network: tuple[network.Layer, ...]
    vectors: Literal["random", "svd"] = "random"
    """How the embedding starts: by chance, or from the training texts (`training.vectors`)."""
    # The training.
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 1e-3
    gradient_norm: float | None = None
    """Gradients are scaled down to this length, each weight's alone."""
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

    @property
    def embedding(self) -> int:
        """Numbers a word."""
        return next(layer.size for layer in self.network if isinstance(layer, Embedding))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "network": network.to_json(self.network)}


_SERVED: dict[str, Any] = {"vectors": "svd", "gradient_norm": 1.0}
_SENTIMENT: dict[str, Any] = {**_SERVED, "data": "imdb"}
_TOPIC: dict[str, Any] = {
    **_SERVED, "data": "reuters", "windows": "first", "learning_rate": 2e-3, "batch": 32, "epochs": 40, "patience": 4,
    "answer_accuracy": 0.9,
}  # fmt: skip

_TABLE = (
    Recipe(
        name="sentiment-lstm",
        model="lstm",
        network=(
            Embedding(64),
            SpatialDropout(0.2),
            Recurrent("lstm", 64),
            Dropout(0.3),
            Recurrent("lstm", 64),
            Dropout(0.3),
        ),
        **_SENTIMENT,
    ),
    Recipe(
        name="sentiment-gru",
        model="gru",
        network=(Embedding(64), SpatialDropout(0.2), Recurrent("gru", 64), Dropout(0.3)),
        **_SENTIMENT,
    ),
    Recipe(
        name="topic-lstm",
        model="lstm",
        network=(
            Embedding(128),
            SpatialDropout(0.2),
            Recurrent("lstm", 128),
            Dropout(0.5),
            Recurrent("lstm", 64),
            Summary(),
            Dropout(0.5),
        ),
        **_TOPIC,
    ),
    Recipe(
        name="topic-gru",
        model="gru",
        network=(Embedding(128), SpatialDropout(0.2), Recurrent("gru", 128), Summary(), Dropout(0.5)),
        **_TOPIC,
    ),
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
