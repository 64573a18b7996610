"""`sentopic-train recipes`: what can be trained."""

import argparse
import json

from training.commands.options import Commands


def add(commands: Commands) -> None:
    listing = commands.add_parser("recipes", help="what can be trained")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from training import listing

    print(json.dumps(listing.describe_all(), indent=1) if options.json else listing.table())
    return 0
