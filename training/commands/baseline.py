"""`sentopic-train baseline`: linear models on the same texts."""

import argparse
import dataclasses
import json

from training.commands.options import Commands, add_source_options, load


def add(commands: Commands) -> None:
    linear = commands.add_parser("baseline", help="linear models on the same texts: what to beat")
    linear.add_argument("dataset", metavar="DATA", choices=("imdb", "reuters"), help="imdb or reuters")
    add_source_options(linear)
    linear.add_argument("--json", action="store_true", help="for programs")
    linear.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from training import baseline

    found = []
    for one in baseline.measure(load(options.dataset, options.data, options.source, options.limit)):
        found.append(dataclasses.asdict(one))
        if not options.json:
            interval = f"({one.low:.4f} to {one.high:.4f})"
            print(f"{one.windows:6}{one.model:34}{one.accuracy:.4f} {interval}  {one.seconds:.1f} s", flush=True)
    if options.json:
        print(json.dumps(found, indent=1))
    return 0
