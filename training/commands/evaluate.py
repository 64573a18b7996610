"""`sentopic-train evaluate`: a bundle, or two side by side, on labelled texts."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.engines.quiet import native_stderr_muted
from app.errors import UsageError
from training.commands.options import Commands, count, data_from_environment, load

if TYPE_CHECKING:
    from app.bundle import Manifest
    from training.samples import Sample


def add(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="how good a bundle is on labelled texts, where it errs, and what another would answer",
        description="Labels are those of the bundle: names, or display names, in any case.",
    )
    evaluate.add_argument("bundle", metavar="BUNDLE", type=Path, help="a bundle's directory")
    source = evaluate.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data", type=Path, metavar="FILE", help="labelled texts: .csv, .tsv or .jsonl, UTF-8, or .parquet"
    )
    source.add_argument("--dataset", choices=("imdb", "reuters"), help="its test part (files: SENTOPIC_DATA)")
    source.add_argument(
        "--table", type=Path, metavar="FILE", help="the table that `fit` learned BUNDLE from: its test part alone"
    )
    evaluate.add_argument("--test", type=Path, metavar="FILE", help="with --table: the --test of `fit`, if it had one")
    evaluate.add_argument("--text", metavar="COLUMN", help="where FILE has the texts (default: text)")
    evaluate.add_argument("--label", metavar="COLUMN", help="where FILE has the labels (default: label)")
    evaluate.add_argument("--compare", type=Path, metavar="BUNDLE2", help="another bundle with the same labels")
    evaluate.add_argument("--words", type=count, metavar="N", help="only the first N words of each text are read")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="write evaluation.json and confusion.png there")
    evaluate.add_argument("--json", action="store_true", help="for programs")
    evaluate.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.dataset and (options.text or options.label):
        raise UsageError("--text and --label name columns of a FILE; a data set has none")
    if options.test and not options.table:
        raise UsageError("--test belongs to --table FILE")
    from app.bundle import read_bundle
    from training import error_analysis, error_report

    bundles = {str(path): read_bundle(path) for path in (options.bundle, options.compare) if path}
    if options.compare and len(bundles) == 1:
        raise UsageError("--compare names the same bundle")
    sample = _read(options, {name: bundle.manifest for name, bundle in bundles.items()})
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    found = error_analysis.analyse(bundles, sample)
    document: dict[str, Any] = {
        "data": options.dataset or str(options.data or options.table),
        "words": options.words,
        "bundles": [one.to_json() for one in found],
    }
    lines = list(error_report.format_analyses(sample, found, options.words))
    if options.compare:
        comparison = error_analysis.compare(found[0], found[1], sample)
        document["comparison"] = comparison.to_json()
        lines.extend(error_report.format_comparison(comparison, list(bundles), sample.unit))
    text = json.dumps(document, indent=1)
    if options.out:
        (options.out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
        with native_stderr_muted():
            from training import plots

        plots.draw_confusion(found[0].confusion, sample.labels, options.out / "confusion.png")
    print(text if options.json else "\n".join(lines))
    return 0


def _read(options: argparse.Namespace, bundles: "dict[str, Manifest]") -> "Sample":
    from training import samples
    from training.datasets.table import read_table

    labels = bundles[str(options.bundle)].labels
    columns = options.text or "text", options.label or "label"
    if options.dataset:
        sample = samples.from_dataset(load(options.dataset, data_from_environment()), labels)
    elif options.table:
        with native_stderr_muted():
            sample = samples.from_table(options.table, *columns, options.test, bundles)
    else:
        sample = samples.from_rows(str(options.data), read_table(options.data, *columns), labels)
    return replace(sample, examples=sample.examples.first_words(options.words)) if options.words else sample
