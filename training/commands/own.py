"""`sentopic-train fit --table`: a table of the user's own, from its rows to the command that serves the bundle."""

import argparse
import dataclasses
import json
import re
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.engines.quiet import native_stderr_muted
from app.errors import UsageError
from app.tokenizers import NAMES
from training import recipes
from training.commands import options as given
from training.recipes import Exercise, Recipe

if TYPE_CHECKING:
    from training.datasets import Dataset
    from training.datasets.own import Table

Say = Callable[[str], None]
_TASK: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED: Final = {"runs"}
"""Where training keeps its checkpoints, beside the tasks."""


def add_options(fit: argparse.ArgumentParser) -> None:
    table = fit.add_argument_group("a table of your own")
    table.add_argument("--table", type=Path, metavar="FILE", help="labelled texts: .csv, .tsv, .jsonl or .parquet")
    table.add_argument("--text", metavar="COLUMN", help="where FILE has the texts (default: text)")
    table.add_argument("--label", metavar="COLUMN", help="where FILE has the labels (default: label)")
    table.add_argument("--task", metavar="NAME", help="what it is served as: /predict/NAME (default: FILE's name)")
    table.add_argument("--test", type=Path, metavar="FILE", help="test on this table (default: a fifth of the texts)")
    table.add_argument(
        "--tokenizer", choices=NAMES, help="how words are found (default: unicode, for languages with spaces)"
    )
    table.add_argument("--min-examples", type=_least, metavar="N", help="leave out labels with fewer texts, 5 or more")
    table.add_argument("--other", metavar="LABEL", help="join labels with too few texts into this one")
    table.add_argument(
        "--quotable", action="store_true", help="the texts are public: card and examples of the service may show some"
    )
    table.add_argument("--check", action="store_true", help="tell what FILE holds, and train nothing")


def _least(text: str) -> int:
    if (number := given.count(text)) < 5:
        raise argparse.ArgumentTypeError("must be 5 or more: one of five texts is tested, one of four held out")
    return number


def refuse_without_table(options: argparse.Namespace) -> None:
    names = ("text", "label", "task", "test", "tokenizer", "min_examples", "other", "quotable", "check")
    if said := [name for name in names if getattr(options, name)]:
        raise UsageError(f"--{said[0].replace('_', '-')} belongs to --table FILE")


def run(options: argparse.Namespace, say: Say, progress_bars: Callable[..., AbstractContextManager[None]]) -> int:
    task = _name_task(options)
    asked = recipes.find(options.recipe) if options.recipe else None
    if isinstance(asked, Exercise):
        raise UsageError(f"{asked.name} reads no texts")
    with native_stderr_muted():
        from training.datasets import own
    from training import rivals

    holdout = asked.holdout if asked else "grouped"
    dataset = own.load(_table(options, task), holdout, given.hear(options, task))
    assert dataset.audit  # noqa: S101 - a table always has one
    for line in dataset.audit.describe():
        say(line)
    if dataset.heard:
        say(dataset.heard.describe())
    recipe = given.change(_suit(asked, dataset), options)
    part, held_out = dataset.parts(recipe.holdout)
    hopes = rivals.measure(rivals.learn(dataset, part), held_out)
    say(rivals.describe_hopes(hopes, list(dataset.labels), part))
    say(recipes.describe_choice(recipe))
    if options.check:
        return 0
    with native_stderr_muted():
        from training.fit import fit

    with progress_bars(shown=not options.quiet):
        bundle = fit(
            recipe,
            dataset,
            options.out,
            seed=options.seed,
            resume=options.resume,
            replace=options.replace,
            say=say,
        )
    _tell(bundle, say)
    return 0


def _name_task(options: argparse.Namespace) -> str:
    """It stands in addresses and in paths. Raises UsageError, with a name that would do."""
    name = options.task if options.task is not None else options.table.stem.lower()
    if _TASK.fullmatch(name) and name not in _RESERVED:
        return str(name)
    near = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")[:64]
    better = f" {near!r} would do." if _TASK.fullmatch(near) and near not in _RESERVED else ""
    raise UsageError(
        f"--task {name!r} cannot be a task's name: small letters a to z, digits, '.', '_' and '-', a letter or a digit "
        f"first, 64 at most, and not 'runs'.{better}"
    )


def _table(options: argparse.Namespace, task: str) -> "Table":
    from training.datasets.cleaning import Rare
    from training.datasets.own import Table

    if options.source != "auto":
        raise UsageError("--source names files of --data DIR; a table has none")
    return Table(
        path=options.table,
        task=task,
        text=options.text or "text",
        label=options.label or "label",
        test=options.test,
        tokenizer=options.tokenizer,
        rare=Rare(min_examples=options.min_examples, other=options.other),
        quotable=options.quotable,
        limit=options.limit,
    )


def _suit(asked: Recipe | None, dataset: "Dataset") -> Recipe:
    """The recipe that was asked for, with no more words than there are; or the one that suits the texts."""
    audit = dataset.audit
    assert audit  # noqa: S101 - see above
    if asked is None:
        return recipes.suit(sum(audit.parts.values()), audit.frequent, audit.long)
    most = len(dataset.words) + recipes.FEWEST_IDS
    return dataclasses.replace(asked, num_words=min(asked.num_words, most), published=None)


def _tell(bundle: Path, say: Say) -> None:
    """What came of it, whether it was worth it, and how to serve it."""
    from training import rivals

    accuracy = given.tell_published(bundle, say)["test_accuracy"]
    measured = json.loads((bundle / "metrics.json").read_text(encoding="utf-8"))["rivals"]
    say(rivals.judge(accuracy, [rivals.Rival(**rival) for rival in measured]))
    say(f"serve it: sentopic serve --bundle {shlex.quote(str(bundle))}")
