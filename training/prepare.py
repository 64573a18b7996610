"""What comes before a network learns: word vectors, a language model, a teacher's answers. Each is made once."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from app.text import TextEncoder
from training import language
from training.batches import Lessons, to_targets
from training.datasets import Dataset, Examples, digest
from training.encoding import encode
from training.recipes import Recipe
from training.teacher import Scores, Teacher
from training.vectors import fit_vectors

Say = Callable[[str], None]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Shelf:
    """Where finished steps are kept, beside the runs."""

    folder: Path
    say: Say

    @classmethod
    def beside(cls, out: Path, say: Say) -> "Shelf":
        return cls(out / "runs" / "steps", say)

    def keep(self, name: str, made_from: list[Any], make: Callable[[Path], Arrays]) -> Arrays:
        """What `make` gave, now or before. `make` may leave unfinished work in the folder that it is given."""
        key = f"{name}-{hashlib.sha256(json.dumps([name, *made_from]).encode()).hexdigest()[:16]}"
        path = self.folder / f"{key}.npz"
        if path.exists():
            with np.load(path) as found:
                return dict(found)
        self.say(f"{name}: made anew, kept in {path}")
        arrays = make(self.folder / key)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"part-{key}.npz"
        np.savez(part, allow_pickle=False, **arrays)
        os.replace(part, path)
        return arrays


@dataclass(frozen=True)
class Material:
    """What a network learns, and what it starts from: weights by layer and place, none that start by chance."""

    lessons: Lessons
    start: language.Weights


class Preparation:
    """The steps before `recipe` learns from `texts`, a part of `dataset.train`.

    The texts without a label are read too if the recipe says so. Texts with another's label are read, but not learned,
    if it is `mended`.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, texts: Examples, seed: int, shelf: Shelf) -> None:
        self._recipe, self._dataset, self._texts, self._seed, self._shelf = recipe, dataset, texts, seed, shelf
        self._unlabelled = dataset.unlabelled if recipe.unlabelled else ()
        self._taught = choose_taught(recipe, texts)
        self._read_from = [dataset.sha256, dataset.unlabelled_sha256 if self._unlabelled else "", _digest(texts), seed]
        self.made_from = [*self._read_from, _digest(self._taught)] if recipe.mended else self._read_from

    def vectors(self) -> NDArray[np.float32]:
        """Of every word, (num_words, size)."""
        recipe, texts = self._recipe, (*self._texts.texts, *self._unlabelled)

        def make(_folder: Path) -> Arrays:
            encoder = self._encoder("cover")
            sequences = [encoder.encode_all(text) for text in texts]
            return {"vectors": fit_vectors(sequences, recipe.num_words, recipe.embedding, self._seed)}

        return self._shelf.keep("vectors", [*self._read_from, recipe.num_words, recipe.embedding], make)["vectors"]

    def start(self) -> language.Weights:
        """What the network starts from: the vectors, or what it learned from them by foretelling words."""
        recipe = self._recipe
        start = {"embedding/0": self.vectors()} if recipe.vectors == "svd" else {}
        if not recipe.pretrain:
            return start

        def make(folder: Path) -> Arrays:
            texts = _without_labels([*self._texts.texts, *self._unlabelled])
            ids = encode(self._encoder("cover"), texts).ids
            return dict(language.pretrain(recipe, ids, start, self._seed, folder, self._shelf.say))

        return self._shelf.keep("language", [*self._read_from, language.describe(recipe)], make)

    def linear_answers(self) -> tuple[Scores, Scores]:
        """Of each text by a linear model that did not see it; of the unlabelled by one that saw all texts."""

        def make(_folder: Path) -> Arrays:
            teacher = Teacher(self._taught, len(self._dataset.labels), self._dataset.tokenizer.split)
            own = teacher.score_own(self._seed)
            return {"own": own, "unlabelled": teacher.scores(self._unlabelled) if self._unlabelled else own[:0]}

        answers = self._shelf.keep("teacher", self.made_from, make)
        return answers["own"], answers["unlabelled"]

    def lessons(self, panel: Sequence[Scores] = ()) -> Lessons:
        """`panel`: what networks say of the unlabelled texts; the linear model is one more of them."""
        recipe, texts, labels = self._recipe, self._taught, len(self._dataset.labels)
        targets = to_targets(texts.labels, labels)
        if recipe.teacher:
            own, unlabelled = self.linear_answers()
            mixed = recipe.label_share * targets + (1 - recipe.label_share) * _outputs(own)
            targets = np.concatenate([mixed, _outputs(agree([unlabelled, *panel]))]).astype(np.float32)
            texts = _without_labels([*texts.texts, *self._unlabelled])
        targets = (1 - recipe.smoothing) * targets + recipe.smoothing / labels
        return Lessons(encode(self._encoder(recipe.windows), texts), targets)

    def _encoder(self, windows: Any) -> TextEncoder:
        return self._dataset.encoder(self._recipe.num_words, self._recipe.maxlen, windows)


def choose_taught(recipe: Recipe, texts: Examples) -> Examples:
    """Those whose labels a model of `recipe` learns."""
    return texts.without_mislabelled() if recipe.mended else texts


def agree(opinions: Sequence[Scores]) -> Scores:
    """The mean of the log-odds of several probabilities (texts, labels), which is what a text's windows get too."""
    found: Scores = softmax(np.mean([np.log(np.maximum(scores, 1e-9)) for scores in opinions], axis=0), axis=1)
    return found


def _without_labels(texts: Sequence[str]) -> Examples:
    return Examples(texts, np.zeros(len(texts), np.int64))


def _outputs(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[:, 1:] if scores.shape[1] == 2 else scores


def _digest(texts: Examples) -> str:
    groups = [] if texts.groups is None else texts.groups.tolist()
    return digest([*texts.texts, json.dumps([texts.labels.tolist(), groups])])
