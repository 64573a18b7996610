"""`sentopic-train show`: a recipe's layers."""

import argparse
from pathlib import Path

from app.engines.quiet import native_stderr_muted
from app.errors import UnknownRecipeError
from training import recipes
from training.commands.options import Commands
from training.recipes import Exercise


def add(commands: Commands) -> None:
    show = commands.add_parser("show", help="a recipe's layers: shapes and parameters")
    show.add_argument("recipe", metavar="RECIPE")
    show.add_argument("--picture", type=Path, metavar="FILE", help="draw them as well (.png)")
    show.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
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
