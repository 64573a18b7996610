"""`sentopic-train`: the offline half, from labelled texts to a bundle."""

import argparse
import contextlib
import dataclasses
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.engines.quiet import native_stderr_muted
from app.errors import DataError, SentopicError, UnknownRecipeError, UsageError
from training import recipes
from training.recipes import Exercise, Recipe

if TYPE_CHECKING:
    from training.datasets import Dataset

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    options = _parser().parse_args(arguments)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status: int = options.run(options)
    except SentopicError as error:
        print(f"sentopic-train: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except ModuleNotFoundError as error:
        print(f"sentopic-train: {error.name} is not installed; training needs `make environment`", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sentopic-train: interrupted; the same command with --resume goes on", file=sys.stderr)
        return 130
    except OSError as error:
        hint = " (a run that had started goes on with --resume)" if options.run is _fit else ""
        print(f"sentopic-train: {error}{hint}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sentopic-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="train a recipe and publish its bundle")
    fit.add_argument("recipe", metavar="RECIPE", help="see `sentopic-train recipes`")
    _add_data_options(fit)
    fit.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    fit.add_argument("--seed", type=_whole, default=1, metavar="N", help="default: 1")
    fit.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    fit.add_argument("--quiet", action="store_true", help="say nothing but errors")
    fit.set_defaults(run=_fit)

    following = commands.add_parser("next-number", help="ask the model of `fit next-number` what follows three numbers")
    following.add_argument("numbers", type=_number, nargs=3, metavar="N")
    following.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="as given to fit")
    following.set_defaults(run=_next_number)

    compare = commands.add_parser("compare", help="train recipes side by side, with several seeds, and write a report")
    compare.add_argument(
        "recipes", metavar="RECIPE[:K]", nargs="+", help="see `sentopic-train recipes`; K: seeds of this one"
    )
    compare.add_argument("--seeds", type=_count, default=3, metavar="K", help="seeds 1 to K of the rest (default: 3)")
    _add_data_options(compare)
    compare.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="models and runs (default: runs)"
    )
    compare.add_argument("--report", type=Path, metavar="FILE", help="the page to write (default: DIR/report.md)")
    compare.add_argument(
        "--no-texts", dest="texts", action="store_false", help="name the hardest texts, do not show them"
    )
    compare.set_defaults(run=_compare)

    inside = commands.add_parser("anatomy", help="draw a model's gates and states over the words of a text")
    inside.add_argument("bundles", metavar="BUNDLE", type=Path, nargs="+", help="a bundle's directory")
    inside.add_argument("--text", required=True, help="the text; its last window is drawn")
    inside.add_argument("--out", type=Path, default=Path("runs/anatomy"), metavar="DIR", help="default: runs/anatomy")
    inside.set_defaults(run=_anatomy)

    linear = commands.add_parser("baseline", help="linear models on the same texts: what to beat")
    linear.add_argument("dataset", metavar="DATA", choices=("imdb", "reuters"), help="imdb or reuters")
    _add_source_options(linear)
    linear.add_argument("--json", action="store_true", help="for programs")
    linear.set_defaults(run=_baseline)

    show = commands.add_parser("show", help="a recipe's layers: shapes and parameters")
    show.add_argument("recipe", metavar="RECIPE")
    show.add_argument("--picture", type=Path, metavar="FILE", help="draw them as well (.png)")
    show.set_defaults(run=_show)

    listing = commands.add_parser("recipes", help="what can be trained")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=_recipes)
    return parser


def _add_source_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        default=_data_from_environment(),
        metavar="DIR",
        help="where the data's files are (or SENTOPIC_DATA; default: Keras' download)",
    )
    command.add_argument(
        "--source", choices=("auto", "npz", "raw"), default="auto", help="which files of DIR (default: auto)"
    )
    command.add_argument("--limit", type=_count, metavar="N", help="only the first N texts of each part, for trying")


def _add_data_options(command: argparse.ArgumentParser) -> None:
    _add_source_options(command)
    for name, what in (
        ("epochs", "at most so many"),
        ("num-words", "ids from 0 up; rarer words become unknown"),
        ("maxlen", "ids a window"),
    ):
        command.add_argument(f"--{name}", type=_count, metavar="N", help=f"{what} (default: the recipe's)")


def _fit(options: argparse.Namespace) -> int:
    def say(line: str) -> None:
        if not options.quiet:
            print(line, flush=True)

    recipe = recipes.find(options.recipe)
    if isinstance(recipe, Exercise):
        return _exercise(recipe, options, say)
    recipe = _change(recipe, options)
    with native_stderr_muted():
        from training.fit import fit

    dataset = _load(recipe.data, options, unlabelled=recipe.unlabelled)
    with _progress_bars(shown=not options.quiet):
        bundle = fit(recipe, dataset, options.out, seed=options.seed, resume=options.resume, say=say)
    metrics = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["metrics"]
    say(f"published {bundle}: test accuracy {metrics['test_accuracy']:.4f} "
        f"({metrics['test_accuracy_low']:.4f} to {metrics['test_accuracy_high']:.4f})")  # fmt: skip
    return 0


def _load(data: str, options: argparse.Namespace, *, unlabelled: bool) -> "Dataset":
    if options.data is not None and not options.data.is_dir():
        raise DataError(
            f"{options.data} is not a directory. --data (or SENTOPIC_DATA) names one with the data's files."
        )
    from training.datasets import LOADERS, UNLABELLED

    dataset = LOADERS[data](options.data, options.source)
    if unlabelled:
        dataset = dataset.with_unlabelled(UNLABELLED[data](options.data))
    return dataset.limited(options.limit) if options.limit else dataset


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


def _change(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """The recipe with what the command line says otherwise."""
    given = {name: getattr(options, name) for name in ("epochs", "num_words", "maxlen")}
    given = {name: value for name, value in given.items() if value}
    if given or options.limit:
        recipe = dataclasses.replace(recipe, published=None)  # of another system, or of other texts
    return dataclasses.replace(recipe, **given)


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


def _next_number(options: argparse.Namespace) -> int:
    with native_stderr_muted():
        from training import exercises

    print(f"{exercises.predict_next_number(options.out / 'next-number', options.numbers):.4f}")
    return 0


def _recipes(options: argparse.Namespace) -> int:
    from training import listing

    print(json.dumps(listing.describe_all(), indent=1) if options.json else listing.table())
    return 0


def _compare(options: argparse.Namespace) -> int:
    found = [(recipes.find(name), seeds) for name, seeds in (_seeds_of(one, options.seeds) for one in options.recipes)]
    chosen = [(_change(recipe, options), seeds) for recipe, seeds in found if isinstance(recipe, Recipe)]
    without_texts = [(recipe.name, seeds) for recipe, seeds in found if isinstance(recipe, Exercise)]
    if not chosen:
        raise UsageError("compare wants at least one recipe that reads texts")
    names = [recipe.name for recipe, _ in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"named more than once: {', '.join(twice)}")
    with native_stderr_muted():
        from training import compare, exercises, listing, report

    datasets: dict[str, Dataset] = {}
    reading = {recipe.data for recipe, _ in chosen if recipe.unlabelled}

    def load(name: str) -> "Dataset":
        if name not in datasets:
            datasets[name] = _load(name, options, unlabelled=name in reading)
        return datasets[name]

    trials: dict[str, list[compare.Trial]] = {}
    for trial in compare.run_trials(chosen, load, options.out, lambda line: print(line, flush=True)):
        print(
            f"{trial.recipe.id} seed {trial.seed}: test loss {trial.loss:.4f}, accuracy {trial.accuracy:.4f}",
            flush=True,
        )
        trials.setdefault(trial.recipe.id, []).append(trial)
    given = {name: exercises.report(name, seeds, options.out) for name, seeds in without_texts}
    page = options.report or options.out / "report.md"
    report.write(page, trials, datasets, given, _as_typed(options), texts=options.texts)
    figures = {name: dataclasses.asdict(compare.summarise(own)) for name, own in trials.items()}
    (options.out / "measured.json").write_text(json.dumps({**figures, **given}, indent=1) + "\n")
    print(f"report: {page}; figures as values: {options.out / listing.MEASURED.name}")
    return 0


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


def _seeds_of(argument: str, default: int) -> tuple[str, int]:
    """`imdb-gru:2` is two seeds of imdb-gru."""
    name, colon, seeds = argument.partition(":")
    if not colon:
        return name, default
    if not seeds.isascii() or not seeds.isdigit() or int(seeds) < 1:
        raise UsageError(f"{argument}: behind the colon stands how many seeds, 1 or more")
    return name, int(seeds)


def _baseline(options: argparse.Namespace) -> int:
    from training import baseline

    found = []
    for one in baseline.measure(_load(options.dataset, options, unlabelled=False)):
        found.append(dataclasses.asdict(one))
        if not options.json:
            interval = f"({one.low:.4f} to {one.high:.4f})"
            print(f"{one.windows:6}{one.model:34}{one.accuracy:.4f} {interval}  {one.seconds:.1f} s", flush=True)
    if options.json:
        print(json.dumps(found, indent=1))
    return 0


def _anatomy(options: argparse.Namespace) -> int:
    from app.bundle import read_bundle

    with native_stderr_muted():
        from training import anatomy, plots

    options.out.mkdir(parents=True, exist_ok=True)
    bundles = {f"{path.parent.name}/{path.name}": read_bundle(path) for path in options.bundles}
    found = {name: anatomy.dissect(bundle, options.text) for name, bundle in bundles.items()}
    for name, dissected in found.items():
        plots.draw_gates(dissected, name, options.out / f"gates-{name.replace('/', '-')}.png")
    plots.draw_padding(found, options.out / "padding.png")
    print(f"figures: {options.out}")
    return 0


def _show(options: argparse.Namespace) -> int:
    recipe = recipes.find(options.recipe)
    if recipe.name == "lstm-shapes":
        raise UnknownRecipeError("lstm-shapes is a check of shapes, not a model: sentopic-train fit lstm-shapes")
    with native_stderr_muted():
        from training import exercises, listing, models, plots

    if isinstance(recipe, Exercise):
        model = exercises.build_next_number()
    else:
        model = models.build(recipe, listing.LABELS[recipe.data])
    model.summary(line_length=78)
    if options.picture:
        title = f"{options.recipe}: {model.count_params():,} parameters"
        plots.draw_network(title, models.list_layers(model), options.picture)
        print(f"picture: {options.picture}")
    return 0


def _data_from_environment() -> Path | None:
    named = os.environ.get("SENTOPIC_DATA")
    return Path(named) if named else None


def _count(text: str) -> int:
    return _between(text, 1, 10**9)


def _whole(text: str) -> int:
    return _between(text, 0, 2**31 - 1)


def _number(text: str) -> float:
    try:
        if math.isfinite(number := float(text)):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError("must be a number")


def _between(text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"must be a whole number, {low} to {high}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
