"""What comes before a network learns: word vectors, a teacher's answers. Each is made once and kept beside the runs."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.text import TextEncoder
from training.batches import Floats, Lessons, to_targets
from training.datasets import Dataset, Examples
from training.encoding import encode
from training.recipes import Recipe
from training.teacher import Teacher
from training.vectors import fit_vectors

Say = Callable[[str], None]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Material:
    """What a network starts from, and what it learns."""

    lessons: Lessons
    vectors: Floats | None


def prepare(recipe: Recipe, dataset: Dataset, texts: Examples, seed: int, folder: Path, say: Say) -> Material:
    """From `texts`, a part of `dataset.train`, and the texts without a label if the recipe reads them.

    What takes long is kept in `folder`, under a name that tells what it was made from.
    """
    encoder = TextEncoder(dataset.words, recipe.num_words, recipe.maxlen, recipe.windows)
    unlabelled = dataset.unlabelled if recipe.unlabelled else ()
    made_from = [dataset.sha256, dataset.unlabelled_sha256 if unlabelled else "", _digest(texts), seed]
    vectors = None
    if recipe.vectors == "svd":
        key = ["vectors", *made_from, recipe.num_words, recipe.embedding]
        vectors = _kept(folder, key, lambda: _make_vectors(recipe, encoder, texts, unlabelled, seed), say)["vectors"]
    targets = to_targets(texts.labels, len(dataset.labels))
    if recipe.teacher:
        answers = _kept(
            folder, ["teacher", *made_from], lambda: _ask_teacher(texts, unlabelled, len(dataset.labels), seed), say
        )
        own = recipe.label_share * targets + (1 - recipe.label_share) * _outputs(answers["own"])
        targets = np.concatenate([own, _outputs(answers["unlabelled"])]).astype(np.float32)
        texts = Examples([*texts.texts, *unlabelled], np.resize(texts.labels, len(targets)))
    targets = (1 - recipe.smoothing) * targets + recipe.smoothing / len(dataset.labels)
    return Material(Lessons(encode(encoder, texts), targets), vectors)


def _make_vectors(
    recipe: Recipe, encoder: TextEncoder, texts: Examples, unlabelled: Sequence[str], seed: int
) -> Arrays:
    sequences = [encoder.encode_all(text) for text in (*texts.texts, *unlabelled)]
    return {"vectors": fit_vectors(sequences, recipe.num_words, recipe.embedding, seed)}


def _ask_teacher(texts: Examples, unlabelled: Sequence[str], labels: int, seed: int) -> Arrays:
    """`own`: of each text by a teacher that did not see it; `unlabelled`: by one that saw all of `texts`."""
    teacher = Teacher(texts, labels)
    own = teacher.score_own(seed)
    return {"own": own, "unlabelled": teacher.scores(unlabelled) if unlabelled else np.zeros((0, labels))}


def _outputs(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[:, 1:] if scores.shape[1] == 2 else scores


def _kept(folder: Path, key: list[Any], make: Callable[[], Arrays], say: Say) -> Arrays:
    """What `make` gives, from `folder` if it was made before."""
    name = f"{key[0]}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}"
    path = folder / f"{name}.npz"
    if path.exists():
        with np.load(path) as found:
            return dict(found)
    say(f"{key[0]}: made anew, kept in {path}")
    arrays = make()
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"part-{name}.npz"
    np.savez(part, allow_pickle=False, **arrays)
    os.replace(part, path)
    return arrays


def _digest(texts: Examples) -> str:
    digest = hashlib.sha256(texts.labels.astype("<i8").tobytes())
    for text in texts.texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
