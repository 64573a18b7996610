"""`sentopic-train fit`: trains a recipe and publishes its bundle, or does one of the exercises."""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from app.engines.quiet import native_stderr_muted
from app.errors import UsageError
from training import recipes
from training.commands import options as given
from training.commands import own
from training.recipes import Exercise


def add(commands: given.Commands) -> None:
    fit = commands.add_parser("fit", help="train a recipe, or on a table of your own, and publish the bundle")
    fit.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="see `sentopic-train recipes`; with --table, one that suits its texts is chosen",
    )
    own.add_options(fit)
    given.add_source_options(fit)
    given.add_recipe_options(fit)
    fit.add_argument(
        "--feedback",
        metavar="PLACE",
        help="learn from what people said of answers, too: a service's `jobs` directory, or its database's URL",
    )
    fit.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    fit.add_argument("--seed", type=given.whole, default=1, metavar="N", help="default: 1")
    fit.add_argument("--resume", action="store_true", help="go on with the run if it was begun")
    fit.add_argument("--replace", action="store_true", help="publish even where a bundle is published already")
    fit.add_argument("--quiet", action="store_true", help="say nothing but errors")
    fit.set_defaults(run=run, parser=fit)


def run(options: argparse.Namespace) -> int:
    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True)

    if options.table:
        return own.run(options, say, _progress_bars)
    own.refuse_without_table(options)
    if not options.recipe:
        options.parser.error("a RECIPE, or --table FILE")
    recipe = recipes.find(options.recipe)
    if isinstance(recipe, Exercise):
        return _exercise(recipe, options, say)
    if recipe.id in recipes.OWN:
        raise UsageError(f"{recipe.id} learns from a table of your own: --table FILE")
    recipe = given.change(recipe, options)
    with native_stderr_muted():
        from training.fit import fit

    dataset = given.load(recipe.data, options.data, options.source, options.limit, unlabelled=recipe.unlabelled)
    if said := given.hear(options, dataset.task):
        from training.datasets import feedback

        dataset = feedback.learn_from(dataset, said, recipe.holdout)
        recipe = dataclasses.replace(recipe, published=None)
        assert dataset.heard  # noqa: S101 - see above
        say(dataset.heard.describe())
    with _progress_bars(shown=not options.quiet):
        bundle = fit(
            recipe,
            dataset,
            options.out,
            seed=options.seed,
            resume=options.resume,
            replace=options.replace,
            say=say,
        )
    given.tell_published(bundle, say)
    return 0


@contextlib.contextmanager
def _progress_bars(*, shown: bool) -> Iterator[None]:
    import keras

    before = keras.config.is_interactive_logging_enabled()
    if not shown:
        keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        if before:
            keras.config.enable_interactive_logging()


def _exercise(exercise: Exercise, options: argparse.Namespace, say: Callable[[str], None]) -> int:
    with native_stderr_muted():
        from training import exercises

    say(f"{exercise.name}: {exercise.what}")
    if exercise.name == "lstm-shapes":
        shapes = exercises.check_shapes(options.seed)
        say(f"output {shapes.output}; parameters {shapes.sequential} (Sequential), {shapes.functional} (functional)")
    else:
        directory = options.out / exercise.name
        learned = exercises.fit_next_number(directory, options.seed, options.epochs or 100)
        counts = ", ".join(map(str, learned.parameters))
        say(f"{sum(learned.parameters)} parameters ({counts}); mean squared error {learned.loss:.4f}")
        say(f"after 7, 8, 9 comes {learned.answer:.2f} (10 is right); the model is in {directory}")
    say(f"published: {exercise.published}")
    return 0
