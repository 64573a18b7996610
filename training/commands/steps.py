"""`sentopic-train vectors`, `pretrain` and `teacher`: one step of a recipe alone. `fit` takes what they made."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.engines.quiet import native_stderr_muted
from app.errors import UsageError
from training import recipes
from training.commands import options as given
from training.recipes import Exercise, Recipe

if TYPE_CHECKING:
    from training.datasets import Dataset
    from training.prepare import Shelf

Make = Callable[[Recipe, "Dataset", int, "Shelf"], list[str]]


def add(commands: given.Commands) -> None:
    for name, what, make in (
        ("vectors", "word vectors from a recipe's texts", _vectors),
        ("pretrain", "recurrent layers that learn to foretell words, before a recipe teaches them labels", _pretrain),
        ("teacher", "what a recipe's teachers say of its texts", _teacher),
    ):
        command = commands.add_parser(name, help=f"a step of fit alone: {what}")
        command.add_argument("recipe", metavar="RECIPE", help="see `sentopic-train recipes`")
        given.add_source_options(command)
        given.add_recipe_options(command)
        command.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="as given to fit")
        command.add_argument("--seed", type=given.whole, default=1, metavar="N", help="as given to fit (default: 1)")
        command.set_defaults(run=run, make=make)


def run(options: argparse.Namespace) -> int:
    recipe = recipes.find(options.recipe)
    if isinstance(recipe, Exercise):
        raise UsageError(f"{recipe.name} reads no texts")
    recipe = given.change(recipe, options)
    with native_stderr_muted():
        from training.prepare import Shelf

    def say(line: str) -> None:
        print(line, flush=True)

    dataset = given.load(recipe.data, options.data, options.source, options.limit, unlabelled=recipe.unlabelled)
    recipes.check(recipe, len(dataset.words))
    make: Make = options.make
    for line in make(recipe, dataset, options.seed, Shelf.beside(options.out, say)):
        say(line)
    return 0


def _vectors(recipe: Recipe, dataset: "Dataset", seed: int, shelf: "Shelf") -> list[str]:
    if recipe.vectors == "random":
        raise UsageError(f"{recipe.id} starts from vectors by chance")
    from training.prepare import Preparation
    from training.vectors import nearest

    texts, _ = dataset.parts(recipe.holdout)
    vectors = Preparation(recipe, dataset, texts, seed, shelf).vectors()
    shown = [f"{word}: {', '.join(near)}" for word, near in nearest(vectors, dataset.words)]
    return [f"{len(vectors)} vectors of {vectors.shape[1]} numbers; of some words, the nearest:", *shown]


def _pretrain(recipe: Recipe, dataset: "Dataset", seed: int, shelf: "Shelf") -> list[str]:
    if not recipe.pretrain:
        raise UsageError(f"{recipe.id} has no pretraining")
    from training.prepare import Preparation

    texts, _ = dataset.parts(recipe.holdout)
    start = Preparation(recipe, dataset, texts, seed, shelf).start()
    return [f"{name}: {' x '.join(map(str, array.shape))}" for name, array in start.items()]


def _teacher(recipe: Recipe, dataset: "Dataset", seed: int, shelf: "Shelf") -> list[str]:
    if not recipe.teacher:
        raise UsageError(f"{recipe.id} has no teacher")
    from training.fit import ask
    from training.prepare import Preparation

    parts = dataset.parts(recipe.holdout)
    texts = parts[0]
    own, unlabelled = Preparation(recipe, dataset, texts, seed, shelf).linear_answers()
    right = float((own.argmax(axis=1) == texts.labels).mean())
    lines = [f"the linear model: {right:.4f} of {len(texts):,} training texts right, each by one that did not see it"]
    for name in recipe.teachers:
        said = ask(recipes.RECIPES[name], dataset, parts, seed, shelf)
        same = float((said.argmax(axis=1) == unlabelled.argmax(axis=1)).mean())
        lines.append(f"{name}: of {len(said):,} texts without a label it says of {same:.4f} what the linear model says")
    return lines
