"""`sentopic-train next-number`: what follows three numbers, by the model of `fit next-number`."""

import argparse
from pathlib import Path

from app.engines.quiet import native_stderr_muted
from training.commands.options import Commands, number


def add(commands: Commands) -> None:
    following = commands.add_parser("next-number", help="ask the model of `fit next-number` what follows three numbers")
    following.add_argument("numbers", type=number, nargs=3, metavar="N")
    following.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="as given to fit")
    following.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with native_stderr_muted():
        from training import exercises

    print(f"{exercises.predict_next_number(options.out / 'next-number', options.numbers):.4f}")
    return 0
