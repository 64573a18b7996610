"""`sentopic-train compare`: recipes trained side by side, and a report of them."""

import argparse
import contextlib
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cluster.child import Child
from app.engines.quiet import native_stderr_muted
from app.errors import ClusterError, UsageError
from training import recipes
from training.commands import options as given
from training.recipes import Exercise, Recipe

if TYPE_CHECKING:
    from training.away import Order


def add(commands: given.Commands) -> None:
    compare = commands.add_parser("compare", help="train recipes side by side, with several seeds, and write a report")
    compare.add_argument(
        "recipes", metavar="RECIPE[:K]", nargs="+", help="see `sentopic-train recipes`; K: seeds of this one"
    )
    compare.add_argument(
        "--seeds", type=given.count, default=3, metavar="K", help="seeds 1 to K of the rest (default: 3)"
    )
    given.add_source_options(compare)
    given.add_recipe_options(compare)
    compare.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="models and runs (default: runs)"
    )
    compare.add_argument("--report", type=Path, metavar="FILE", help="the page to write (default: DIR/report.md)")
    compare.add_argument(
        "--no-texts", dest="texts", action="store_false", help="name the hardest texts, do not show them"
    )
    compare.add_argument("--cluster", metavar="ADDRESS", help="train on a Ray cluster; its machines share --data DIR")
    compare.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    chosen, without_texts = _choose(options)
    with native_stderr_muted():
        from training import away, compare, exercises, report

    reading = {recipe.data for recipe, _ in chosen if recipe.unlabelled}
    datasets = {
        name: given.load(name, options.data, options.source, options.limit, unlabelled=name in reading)
        for name in dict.fromkeys(recipe.data for recipe, _ in chosen)
    }
    if options.cluster:
        # What was begun here goes on here.
        texts = (options.data.absolute() if options.data else None, options.source, options.limit)
        _train_away(
            options.cluster,
            [
                away.Order(recipe, seed, folder, *texts, datasets[recipe.data].sha256)
                for recipe, seeds in chosen
                for seed in range(1, seeds + 1)
                if not (folder := compare.folder_of(options.out.absolute(), recipe, seed)).exists()
            ],
        )
    trials: dict[str, list[compare.Trial]] = {}
    for trial in compare.run_trials(chosen, datasets.__getitem__, options.out, lambda line: print(line, flush=True)):
        print(
            f"{trial.recipe.id} seed {trial.seed}: test loss {trial.loss:.4f}, accuracy {trial.accuracy:.4f}",
            flush=True,
        )
        trials.setdefault(trial.recipe.id, []).append(trial)
    found = {exercise.name: exercises.report(exercise.name, seeds, options.out) for exercise, seeds in without_texts}
    page, measured = options.report or options.out / "report.md", options.out / "measured.json"
    report.write(page, trials, datasets, found, _as_typed(options), texts=options.texts)
    report.write_figures(measured, trials, found)
    print(f"report: {page}; figures as values: {measured}")
    return 0


def _train_away(address: str, orders: "Sequence[Order]") -> None:
    """What the cluster trains is then as if it had been trained here. Raises ClusterError."""
    if not orders:
        return
    print(f"{len(orders)} runs on the cluster at {address}", flush=True)
    child = Child("training.spread")
    try:
        sent = pickle.dumps((address, orders))
        with contextlib.suppress(BrokenPipeError):  # it has ended: that is told below
            child.stdin.write(b"%d\n" % len(sent) + sent)
            child.stdin.flush()
        while line := child.stdout.readline():
            told = json.loads(line)
            if "end" in told:
                return
            if "fault" in told:
                raise ClusterError(f"{told['fault']}; the same command goes on with the runs that are left")
            print(told["said"], flush=True)
        raise child.explain()
    finally:
        child.close()


def _choose(options: argparse.Namespace) -> tuple[list[tuple[Recipe, int]], list[tuple[Exercise, int]]]:
    """The recipes that read texts, and the exercises, each with its number of seeds."""
    found = [(recipes.find(name), seeds) for name, seeds in (_seeds_of(one, options.seeds) for one in options.recipes)]
    chosen = [(given.change(recipe, options), seeds) for recipe, seeds in found if isinstance(recipe, Recipe)]
    if not chosen:
        raise UsageError("compare wants at least one recipe that reads texts")
    names = [recipe.name for recipe, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"named more than once: {', '.join(twice)}")
    return chosen, [(recipe, seeds) for recipe, seeds in found if isinstance(recipe, Exercise)]


def _seeds_of(argument: str, default: int) -> tuple[str, int]:
    """`imdb-gru:2` is two seeds of imdb-gru."""
    name, colon, seeds = argument.partition(":")
    if not colon:
        return name, default
    if not seeds.isascii() or not seeds.isdigit() or int(seeds) < 1:
        raise UsageError(f"{argument}: behind the colon stands how many seeds, 1 or more")
    return name, int(seeds)


def _as_typed(options: argparse.Namespace) -> str:
    """The command that a report is made by, but for where things are."""
    changed = [
        f"--{name.replace('_', '-')} {getattr(options, name)}"
        for name in ("epochs", "num_words", "maxlen", "limit")
        if getattr(options, name)
    ]
    source = [] if options.source == "auto" else [f"--source {options.source}"]
    texts = [] if options.texts else ["--no-texts"]
    start = ["sentopic-train compare", *options.recipes, f"--seeds {options.seeds} --data DIR"]
    return " ".join([*start, *source, *changed, *texts])
