"""Options that several commands have, the numbers they take, and the data and recipes that they ask for."""

import argparse
import dataclasses
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import DataError, UsageError
from training.recipes import Recipe

if TYPE_CHECKING:
    from app.feedback import Feedback
    from training.datasets import Dataset

Commands = Any
"""What `add_subparsers` gives: argparse has no public name for it."""


def add_source_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        default=data_from_environment(),
        metavar="DIR",
        help="where the data's files are (or SENTOPIC_DATA; default: Keras' download)",
    )
    command.add_argument(
        "--source", choices=("auto", "npz", "raw"), default="auto", help="which files of DIR (default: auto)"
    )
    command.add_argument("--limit", type=count, metavar="N", help="only the first N texts of each part, for trying")


def add_recipe_options(command: argparse.ArgumentParser) -> None:
    for name, what in (
        ("epochs", "at most so many"),
        ("num-words", "ids from 0 up; rarer words become unknown"),
        ("maxlen", "ids a window"),
    ):
        command.add_argument(f"--{name}", type=count, metavar="N", help=f"{what} (default: the recipe's)")


def data_from_environment() -> Path | None:
    named = os.environ.get("SENTOPIC_DATA")
    return Path(named) if named else None


def load(
    name: str, directory: Path | None, source: str = "auto", limit: int | None = None, *, unlabelled: bool = False
) -> "Dataset":
    """The data set `name` from `directory`, else Keras' download; of each part no more than `limit` texts.

    With `unlabelled`, whatever stands beside the labelled texts is read too: more texts, what each is about, and which
    labels are another text's.
    """
    if directory is not None and not directory.is_dir():
        raise DataError(f"{directory} is not a directory. --data (or SENTOPIC_DATA) names one with the data's files.")
    from training.datasets import GROUPS, LOADERS, MISLABELLED, UNLABELLED

    if name not in LOADERS:
        raise UsageError("a recipe for a table of your own is trained by `sentopic-train fit --table FILE` alone")
    dataset = LOADERS[name](directory, source)
    if unlabelled:
        dataset = dataset.with_unlabelled(UNLABELLED[name](directory))
        if name in GROUPS and (groups := GROUPS[name](directory)):
            dataset = dataset.with_groups(groups)
        if name in MISLABELLED and (told := MISLABELLED[name](directory)):
            dataset = dataset.with_mislabelled(told)
    return dataset.limited(limit) if limit else dataset


def change(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """The recipe with what the command line says otherwise."""
    given = {name: getattr(options, name) for name in ("epochs", "num_words", "maxlen")}
    given = {name: value for name, value in given.items() if value}
    if given or options.limit:
        recipe = dataclasses.replace(recipe, published=None)  # of another system, or of other texts
    return dataclasses.replace(recipe, **given)


def hear(options: argparse.Namespace, task: str) -> "list[Feedback]":
    """What people said of the task's answers, if it is to be learned from."""
    if options.feedback is None:
        return []
    from training.datasets import feedback

    if not (said := feedback.read(options.feedback, task)):
        raise DataError(f"nobody has said anything of answers of {task}")
    return said


def tell_published(bundle: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Its figures, which it gives back too."""
    metrics: dict[str, Any] = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["metrics"]
    low, high = metrics["test_accuracy_low"], metrics["test_accuracy_high"]
    say(f"published {bundle}: test accuracy {metrics['test_accuracy']:.4f} ({low:.4f} to {high:.4f})")
    return metrics


def count(text: str) -> int:
    return _between(text, 1, 10**9)


def whole(text: str) -> int:
    return _between(text, 0, 2**31 - 1)


def number(text: str) -> float:
    try:
        if math.isfinite(found := float(text)):
            return found
    except ValueError:
        pass
    raise argparse.ArgumentTypeError("must be a number")


def _between(text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"must be a whole number, {low} to {high}")
    return int(text)
