"""Every model that can be trained, in one literal table of frozen values. Knows no Keras.

A name carries a version, and what it names never changes: a better recipe is a new version.
"""

import difflib
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from app.bundle import MAX_MAXLEN
from app.errors import DataError, UnknownRecipeError
from app.text import INDEX_FROM, Windows
from training import network
from training.datasets import Holdout
from training.network import Convolution, Dropout, Embedding, MaxPooling, Recurrent, SpatialDropout, Summary


@dataclass(frozen=True, kw_only=True)
class Published:
    """Figures that others report for the same system, each on the same test part; `note` says what to know of them."""

    loss: float | None = None
    accuracy: float | None = None
    parameters: tuple[int, ...] = ()
    """Of the layers that the source counts, from the ids up."""
    picked_on_test: bool = False
    """The source watched the test part while it trained."""
    note: str = ""


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
    unlabelled: bool = False
    """Whether texts without a label are read too: for the vectors, and, where there is a teacher, as lessons."""
    teacher: bool = False
    """Whether targets are part label, part what a linear model (`training.teacher`) says that did not see the text."""
    mended: bool = False
    """Whether training texts that bear another text's label, where that is known, are left out of the lessons."""
    label_share: float = 0.5
    """The label's part in such a target."""
    teachers: tuple[str, ...] = ()
    """Recipes, with their versions, whose models join the linear one in answering for the texts without a label."""
    smoothing: float = 0.0
    """What of a target goes to all labels alike."""
    window_share: float = 0.0
    """What the single windows count in the loss; the rest is the average of a text's, which is what is served."""
    vectors: Literal["random", "svd"] = "random"
    """How the embedding starts: by chance, or from the training texts (`training.vectors`)."""
    pretrain: int = 0
    """Passes over all texts, first of all, in which the recurrent layers learn to foretell words."""
    # The training.
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate: as it stands, or half a cosine from it down to a hundredth over all `epochs`."""
    gradient_norm: float | None = None
    """Gradients are scaled down to this length, each weight's alone."""
    batch: int = 128
    epochs: int = 20
    patience: int | None = 3
    """Epochs without a better held-out loss before it stops; None: it never does."""
    keep: Literal["best", "last"] = "best"
    """Which epoch is published: the one with the least held-out loss, or the last."""
    holdout: Holdout = "tutorial"
    refit: bool = False
    """Whether the model learns anew from all texts, for as many epochs, once the held-out part has done its service."""
    answer_accuracy: float = 0.97
    """Answers less sure than those that are right this often on the held-out texts are `uncertain`."""
    published: Published | None = None
    """What the tutorial that the recipe reproduces reports."""

    @property
    def id(self) -> str:
        return f"{self.name}.v{self.version}"

    @property
    def embedding(self) -> int:
        """Numbers a word."""
        return next(layer.size for layer in self.network if isinstance(layer, Embedding))

    def to_json(self) -> dict[str, Any]:
        """Every hyperparameter. What others report is none."""
        values = {**asdict(self), "network": network.to_json(self.network), "teachers": list(self.teachers)}
        del values["published"]
        return values


_SENTIMENT_LSTM = (
    Embedding(64),
    SpatialDropout(0.2),
    Recurrent("lstm", 64),
    Dropout(0.3),
    Recurrent("lstm", 64),
    Dropout(0.3),
)
_SENTIMENT_GRU = (Embedding(64), SpatialDropout(0.2), Recurrent("gru", 64), Dropout(0.3))
_SENTIMENT_LSTM_LARGE = (
    Embedding(64),
    SpatialDropout(0.2),
    Recurrent("lstm", 128),
    Dropout(0.3),
    Recurrent("lstm", 64),
    Dropout(0.3),
)
_SENTIMENT_GRU_LARGE = (Embedding(64), SpatialDropout(0.2), Recurrent("gru", 128), Dropout(0.3))
_TOPIC_LSTM = (
    Embedding(128),
    SpatialDropout(0.2),
    Recurrent("lstm", 128),
    Dropout(0.5),
    Recurrent("lstm", 64),
    Summary(),
    Dropout(0.5),
)
_TOPIC_GRU = (Embedding(128), SpatialDropout(0.2), Recurrent("gru", 128), Summary(), Dropout(0.5))

_SERVED: dict[str, Any] = {"vectors": "svd", "gradient_norm": 1.0}
_SENTIMENT: dict[str, Any] = {**_SERVED, "data": "imdb", "window_share": 1.0}
_TOPIC: dict[str, Any] = {
    **_SERVED, "data": "reuters", "windows": "first", "learning_rate": 2e-3, "batch": 32, "epochs": 40, "patience": 4,
    "answer_accuracy": 0.9,
}  # fmt: skip
_LONGER: dict[str, Any] = {
    **_SERVED, "unlabelled": True, "learning_rate": 2e-3, "schedule": "cosine", "patience": None, "keep": "last",
    "refit": True,
}  # fmt: skip
_SENTIMENT_2: dict[str, Any] = {
    **_LONGER, "version": 2, "data": "imdb", "teacher": True, "window_share": 0.3, "batch": 256, "epochs": 4,
}  # fmt: skip
_TOPIC_2: dict[str, Any] = {
    **_LONGER, "version": 2, "data": "reuters", "windows": "first", "smoothing": 0.05, "batch": 32, "epochs": 8,
    "answer_accuracy": 0.9,
}  # fmt: skip
_SENTIMENT_3: dict[str, Any] = {
    **_SENTIMENT_2, "version": 3, "teachers": ("sentiment-gru.v2",), "holdout": "grouped",
}  # fmt: skip
_SENTIMENT_4: dict[str, Any] = {**_SENTIMENT_2, "version": 4, "holdout": "grouped", "epochs": 3}
_SENTIMENT_5: dict[str, Any] = {**_SENTIMENT_4, "version": 5, "teacher": False, "epochs": 2}
_SENTIMENT_6: dict[str, Any] = {**_SENTIMENT_4, "version": 6, "teachers": ("sentiment-gru.v5", "sentiment-lstm.v5")}
_TOPIC_3: dict[str, Any] = {**_TOPIC_2, "version": 3, "pretrain": 10, "teacher": True, "label_share": 0.9, "epochs": 7}
_TOPIC_4: dict[str, Any] = {**_TOPIC_2, "version": 4, "pretrain": 10, "epochs": 7}
_TOPIC_5: dict[str, Any] = {
    **_TOPIC_4, "version": 5, "teacher": True, "label_share": 1.0, "teachers": ("topic-gru.v4", "topic-lstm.v4"),
    "epochs": 6,
}  # fmt: skip
_TOPIC_6: dict[str, Any] = {**_TOPIC_4, "version": 6, "mended": True}
_TOPIC_7: dict[str, Any] = {**_TOPIC_5, "version": 7, "mended": True, "teachers": ("topic-gru.v6", "topic-lstm.v6")}
_TUTORIAL: dict[str, Any] = {
    "data": "imdb", "num_words": 500, "windows": "last", "optimizer": "rmsprop", "learning_rate": 1e-4, "batch": 64,
    "epochs": 100, "patience": 4,
}  # fmt: skip

_FORGETS = (
    "The source says: the plain network forgets, an LSTM does better. Its gradient fades over 100 words: some seeds "
    "learn little but training texts by heart before a patience of 4 ends the run, and none ends where the LSTM does."
)
_TABLE = (
    Recipe(name="sentiment-lstm", model="lstm", network=_SENTIMENT_LSTM, **_SENTIMENT),
    Recipe(name="sentiment-gru", model="gru", network=_SENTIMENT_GRU, **_SENTIMENT),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC),
    Recipe(name="sentiment-lstm", model="lstm", network=_SENTIMENT_LSTM, **_SENTIMENT_2),
    Recipe(name="sentiment-gru", model="gru", network=_SENTIMENT_GRU, **_SENTIMENT_2),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC_2),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC_2),
    Recipe(name="sentiment-lstm", model="lstm", network=_SENTIMENT_LSTM, **_SENTIMENT_3),
    Recipe(name="sentiment-gru", model="gru", network=_SENTIMENT_GRU, **_SENTIMENT_3),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC_3),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC_3),
    Recipe(name="sentiment-lstm", model="lstm", network=_SENTIMENT_LSTM_LARGE, pretrain=3, **_SENTIMENT_4),
    Recipe(name="sentiment-gru", model="gru", network=_SENTIMENT_GRU_LARGE, pretrain=4, **_SENTIMENT_4),
    Recipe(name="sentiment-lstm", model="lstm", network=_SENTIMENT_LSTM_LARGE, pretrain=3, **_SENTIMENT_5),
    Recipe(name="sentiment-gru", model="gru", network=_SENTIMENT_GRU_LARGE, pretrain=4, **_SENTIMENT_5),
    Recipe(name="sentiment-lstm", model="lstm", network=_SENTIMENT_LSTM_LARGE, pretrain=3, **_SENTIMENT_6),
    Recipe(name="sentiment-gru", model="gru", network=_SENTIMENT_GRU_LARGE, pretrain=4, **_SENTIMENT_6),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC_4),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC_4),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC_5),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC_5),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC_6),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC_6),
    Recipe(name="topic-lstm", model="lstm", network=_TOPIC_LSTM, **_TOPIC_7),
    Recipe(name="topic-gru", model="gru", network=_TOPIC_GRU, **_TOPIC_7),
    Recipe(
        name="imdb-lstm",
        model="imdb-lstm",
        network=(Embedding(128), Recurrent("lstm", 8)),
        published=Published(parameters=(64_000, 4_384, 9)),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-lstm-dropout",
        model="imdb-lstm-dropout",
        network=(Embedding(128), Recurrent("lstm", 8, dropout=0.3)),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-stacked-lstm",
        model="imdb-stacked-lstm",
        network=(Embedding(128), Recurrent("lstm", 8, dropout=0.3), Recurrent("lstm", 8, dropout=0.3)),
        published=Published(
            loss=0.4205,
            accuracy=0.8050,
            parameters=(64_000, 4_384, 544, 9),
            note="One run, no spread given. With a learning rate of 1e-4 the held-out loss still falls, slowly and not "
            "every epoch, when a patience of 4 ends the run: where it ends is luck, and so is the figure.",
        ),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-gru",
        model="imdb-gru",
        network=(Embedding(128), Recurrent("gru", 8, dropout=0.3)),
        published=Published(parameters=(64_000, 3_312, 9)),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-rnn",
        model="imdb-rnn",
        network=(Embedding(128), Recurrent("simple_rnn", 8)),
        published=Published(note=_FORGETS),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-stacked-rnn",
        model="imdb-stacked-rnn",
        network=(Embedding(128), Recurrent("simple_rnn", 8), Recurrent("simple_rnn", 8)),
        published=Published(note=_FORGETS),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-recurrent-dropout",
        model="imdb-recurrent-dropout",
        network=(Embedding(128), Recurrent("lstm", 8, dropout=0.3, recurrent_dropout=0.3)),
        published=Published(
            note="The source says: it cannot use cuDNN. What it remembers is dropped at every step, so it learns "
            "more slowly than imdb-lstm-dropout, and here ended below it."
        ),
        **_TUTORIAL,
    ),
    Recipe(
        name="imdb-lstm-500",
        model="imdb-lstm-500",
        data="imdb",
        num_words=10_000,
        maxlen=500,
        windows="last",
        network=(Embedding(32), Recurrent("lstm", 32)),
        optimizer="rmsprop",
        epochs=10,
        patience=None,
        keep="last",
        holdout="last-fifth",
        published=Published(
            loss=0.4142,
            accuracy=0.8658,
            parameters=(320_000, 8_320, 33),
            note="One run, no spread given. Nothing but the tenth epoch is kept, and from epoch to epoch RMSprop "
            "swings by several points. A run may end on a low, as one of ours did: hence the spread, and hence the gap "
            "between the last epoch and the best.",
        ),
    ),
    Recipe(
        name="imdb-cnn-lstm",
        model="imdb-cnn-lstm",
        data="imdb",
        num_words=5_000,
        windows="last",
        network=(Embedding(100), Dropout(0.5), Convolution(64, 5), MaxPooling(4), Recurrent("lstm", 100)),
        batch=100,
        epochs=5,
        patience=None,
        keep="last",
        refit=True,
        published=Published(
            accuracy=0.85,
            picked_on_test=True,
            note="Keras' own example of the kind, which learns from all 25,000 reviews and watches the test part. "
            "Ours learns from all of them too, once a held-out fifth has given the calibration.",
        ),
    ),
    Recipe(
        name="reuters-lstm",
        model="reuters-lstm",
        data="reuters",
        num_words=1_000,
        windows="last",
        network=(Embedding(100), Recurrent("lstm", 100)),
        batch=100,
        patience=None,
        keep="last",
        refit=True,
        answer_accuracy=0.9,
        published=Published(
            accuracy=0.71,
            picked_on_test=True,
            note="What others report, from models that learn from all 8,982 newswires and watch the test part. Ours "
            "learns from all of them too; with a fifth held out it does as the column of the last epoch says.",
        ),
    ),
)
RECIPES = {recipe.id: recipe for recipe in _TABLE}

_OWN: dict[str, Any] = {
    **_SERVED, "data": "table", "teacher": True, "smoothing": 0.05, "learning_rate": 2e-3, "batch": 64, "patience": 4,
    "holdout": "grouped", "answer_accuracy": 0.95,
}  # fmt: skip
_OWN_TABLE = (
    Recipe(
        name="own-small",
        model="gru",
        network=(Embedding(64), SpatialDropout(0.2), Recurrent("gru", 64), Summary(), Dropout(0.4)),
        **{**_OWN, "batch": 16, "epochs": 40, "patience": 6},
    ),
    Recipe(
        name="own-large",
        model="gru",
        network=(Embedding(64), SpatialDropout(0.2), Recurrent("gru", 128), Summary(), Dropout(0.4)),
        **_OWN,
    ),
)
OWN = {recipe.id: recipe for recipe in _OWN_TABLE}
"""For a table of a user's own: `suit` chooses. Words and windows are the table's."""

FEWEST_IDS: Final = INDEX_FROM + 1
"""Those that name no word."""
_READ: Final = {
    "cover": "whole, in windows of {}",
    "first": "to their first {} words",
    "last": "from their last {} words",
}
_LARGE: Final = 5_000
"""Texts from which on a larger network pays."""


@dataclass(frozen=True)
class Exercise:
    """A system of the tutorials that reads no text and becomes no bundle (`training.exercises`)."""

    name: str
    what: str
    published: str


EXERCISES = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "next-number",
            "three numbers to the next: LSTM 10 (relu), dense 10, dense 1; Adam, squared error, 100 epochs, batch 1",
            "601 parameters (480, 110, 11); 9.25 for 7, 8, 9",
        ),
        Exercise(
            "lstm-shapes",
            "LSTM 4 on random (32, 10, 8); LSTM 3 on (4, 8) as Sequential and as functional model",
            "output (32, 4); 144 parameters both ways",
        ),
    )
}


def find(name: str) -> Recipe | Exercise:
    """By name (its newest version) or name and version, as in `topic-gru.v1`; UnknownRecipeError lists near names."""
    if name in EXERCISES:
        return EXERCISES[name]
    if name in RECIPES:
        return RECIPES[name]
    if name in OWN:
        return OWN[name]
    versions = [recipe for recipe in (*_TABLE, *_OWN_TABLE) if recipe.name == name]
    if versions:
        return max(versions, key=lambda recipe: recipe.version)
    names = [*dict.fromkeys(recipe.name for recipe in _TABLE), *EXERCISES]
    near = difflib.get_close_matches(name, names, n=3) or names
    raise UnknownRecipeError(f"There is no recipe {name!r}. Near it: {', '.join(near)}.")


def changes(recipe: Recipe) -> dict[str, Any]:
    """What differs from the recipe of that name, as after `--maxlen`; for a name of nobody's, nothing."""
    original = {**RECIPES, **OWN}.get(recipe.id, recipe).to_json()
    return {key: value for key, value in recipe.to_json().items() if value != original[key]}


def suit(texts: int, frequent: int, long: int) -> Recipe:
    """For so many texts, whose index has so many words that stand there twice or more; hardly one has `long` words.

    Rarer words become unknown, so that the network learns what that means. Texts are read whole.
    """
    recipe = _OWN_TABLE[texts >= _LARGE]
    num_words = min(recipe.num_words, max(frequent, 1) + FEWEST_IDS)
    maxlen = min(recipe.maxlen, max(20, -(-(long + 1) // 10) * 10))
    return replace(recipe, num_words=num_words, maxlen=maxlen)


def describe_choice(recipe: Recipe) -> str:
    layers = network.describe(recipe.network)
    return (
        f"{recipe.id}: {layers}; {recipe.num_words:,} words; texts read {_READ[recipe.windows].format(recipe.maxlen)}"
    )


def check(recipe: Recipe, words: int) -> None:
    """Refuses sizes that no model, or none over an index of so many words, has."""
    most = max(words + INDEX_FROM + 1, RECIPES.get(recipe.id, recipe).num_words)
    if not INDEX_FROM + 2 <= recipe.num_words <= most:
        raise DataError(
            f"{recipe.id}: num_words must be {INDEX_FROM + 2} to {most:,}, not {recipe.num_words:,}: "
            f"{INDEX_FROM + 1} ids that name no word, and one for each of the index's {words:,} words"
        )
    least = network.least_maxlen(recipe.network)
    if not least <= recipe.maxlen <= MAX_MAXLEN:
        raise DataError(
            f"{recipe.id}: maxlen must be {least} to {MAX_MAXLEN:,}, not {recipe.maxlen:,}: "
            f"its layers read at least {least} ids, and no bundle holds windows of more than {MAX_MAXLEN:,}"
        )
