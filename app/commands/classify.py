"""`sentopic classify`: its options. What it needs is imported when it runs."""

import argparse
from pathlib import Path
from typing import Any

from app.errors import UsageError
from app.files.rows import FORMATS


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "classify",
        help="classify the texts of a file, without a server",
        description="Writes the file's rows with label, confidence, uncertain, warnings and error beside them. "
        "Bad rows are told, and kept with their error. Interrupted, it goes on with --resume.",
    )
    parser.add_argument("file", metavar="FILE", help="texts, or - for standard input")
    parser.add_argument("--task", required=True, help="what to tell of each text, as `sentiment`")
    parser.add_argument("--model", help="which of the task's models (the best on its held-out texts)")
    parser.add_argument(
        "--output", metavar="FILE", default="-", help="where results go (standard output; with --cluster, a directory)"
    )
    parser.add_argument("--text", metavar="COLUMN", help="the column or field of texts (text, or the only one)")
    parser.add_argument("--format", choices=FORMATS, help="of FILE (by its ending; of standard input, lines)")
    parser.add_argument("--output-format", choices=FORMATS, help="of results (by their file's ending, or as FILE)")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--resume", action="store_true", help="go on where an interrupted run has stopped")
    ways.add_argument("--force", action="store_true", help="begin anew, whatever is there already")
    parser.add_argument("--artifacts", type=Path, metavar="DIR", help="directory of bundles (the shipped ones)")
    parser.add_argument("--bundle", type=Path, action="append", metavar="DIR", help="use just this bundle; repeatable")
    parser.add_argument("--engine", choices=("auto", "onnx", "keras"), help="what runs the models (auto)")
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="on a Ray cluster: Parquet files, or URLs; FILE may be a DIR"
    )
    parser.add_argument("--engines", type=_count, metavar="N", help="with --cluster: how many (one a core of it)")
    parser.add_argument("--part-rows", type=_count, metavar="N", help="with --cluster: most rows of a file of results")
    parser.add_argument("--quiet", action="store_true", help="no progress, and no line for each bad row")
    parser.add_argument("--json", action="store_true", help="what was done, for programs")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.cluster is None:
        if options.engines or options.part_rows:
            raise UsageError("--engines and --part-rows are for a cluster: --cluster ADDRESS")
        from app.commands.classification import run

        return run(options)
    from app.commands import cluster

    return cluster.run(options)


def _count(given: str) -> int:
    number = int(given)
    if number < 1:
        raise ValueError
    return number
