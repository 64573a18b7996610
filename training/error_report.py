"""An error analysis as lines for a person; two bundles stand side by side."""

from collections.abc import Iterator, Mapping, Sequence

from training.error_analysis import Analysis, Change, Comparison, Flip
from training.evaluate import Slice, find_confusions
from training.samples import Sample

MOST_CONFUSED = 10
MOST_FLIPS = 20

_CHANGES: dict[Change, str] = {
    "right->wrong": "right -> wrong",
    "wrong->right": "wrong -> right",
    "wrong->wrong": "wrong -> wrong otherwise",
}


def format_analyses(sample: Sample, found: Sequence[Analysis], words: int | None = None) -> Iterator[str]:
    """`found`: one, or two to hold side by side; `words`: how many of each text were read, if not all."""
    names = [one.name for one in found]
    read = f", of each the first {words:,} words" if words else ""
    yield f"{' and '.join(names)} on {sample.source}: {len(sample.examples):,} texts{read}"
    yield from _table("", names, [_figures(one) for one in found])
    yield from _table("label: precision, recall (texts)", names, [_labels(one) for one in found])
    yield from _table("words: accuracy, answered (texts)", names, [_slices(one.by_words) for one in found])
    yield from _table("known words: accuracy, answered (texts)", names, [_slices(one.by_known_words) for one in found])
    for one in found:
        yield from _confused(one)
        yield from _mistakes(one, sample.unit)


def format_comparison(comparison: Comparison, names: Sequence[str], unit: str) -> Iterator[str]:
    """`names`: of the two bundles; `unit`: what a flip's `line` counts. The surest flips are shown."""
    yield f"\ntexts flipped from {names[0]} to {names[1]}: {len(comparison.flips):,}"
    for change, words in _CHANGES.items():
        yield f"  {words:26}{comparison.count(change):>7,}"
    yield f"  McNemar's exact test: p = {comparison.p_value:.3g}"
    flips = sorted(comparison.flips, key=lambda flip: -(flip.before_confidence + flip.after_confidence))
    if len(flips) > MOST_FLIPS:
        yield f"\nthe {MOST_FLIPS} surest (all of them: --json or --out)"
    for flip in flips[:MOST_FLIPS]:
        yield from _flip(flip, unit)


def _table(title: str, names: Sequence[str], columns: Sequence[dict[str, str]]) -> Iterator[str]:
    """A column a bundle; a row that a bundle lacks stays empty there."""
    rows = list(dict.fromkeys(key for column in columns for key in column))
    first = max(len(title), *map(len, rows)) + 2
    widths = [max(len(name), *map(len, column.values())) + 2 for name, column in zip(names, columns, strict=True)]
    heads = names if len(names) > 1 else [""]
    yield ""
    yield _join(title, heads, first, widths)
    for row in rows:
        yield _join(row, [column.get(row, "-") for column in columns], first, widths)


def _join(head: str, cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    return (f"{head:{first}}" + "".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))).rstrip()


def _figures(one: Analysis) -> dict[str, str]:
    found = one.figures
    return {
        "accuracy": _interval(found.accuracy, found.accuracy_low, found.accuracy_high),
        "macro-F1": _interval(found.macro_f1, found.macro_f1_low, found.macro_f1_high),
        "log loss": f"{found.loss:.4f}",
        "calibration error": f"{found.calibration_error:.4f}",
        "answered": f"{found.answered:.4f}",
        "accuracy of these": f"{found.answered_accuracy:.4f}" if found.answered else "-",
    }


def _labels(one: Analysis) -> dict[str, str]:
    ordered = sorted(one.per_label().items(), key=lambda item: -item[1]["support"])
    return {name: f"{row['precision']:.3f}  {row['recall']:.3f}  ({row['support']:,.0f})" for name, row in ordered}


def _slices(slices: Mapping[str, Slice]) -> dict[str, str]:
    return {
        name: f"{_interval(part.accuracy, part.accuracy_low, part.accuracy_high)}  {part.answered:.3f}  "
        f"({part.texts:,})"
        for name, part in slices.items()
    }


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.4f} ({low:.4f} to {high:.4f})"


def _confused(one: Analysis) -> Iterator[str]:
    pairs = find_confusions(one.confusion, MOST_CONFUSED)
    if pairs:
        yield f"\n{one.name}, most confused: right label -> answer (texts)"
    for right, answer, texts in pairs:
        yield f"  {one.labels[right]} -> {one.labels[answer]} ({texts:,})"


def _mistakes(one: Analysis, unit: str) -> Iterator[str]:
    if one.mistakes:
        yield f"\n{one.name}, most confident mistakes: right label -> answer"
    for mistake in one.mistakes:
        yield f"  {unit} {mistake.line}: {mistake.right} -> {mistake.answer} {mistake.confidence:.2f}"
        yield f"    {_printable(mistake.text)}"


def _flip(flip: Flip, unit: str) -> Iterator[str]:
    yield (
        f"  {unit} {flip.line}: {flip.right}; {flip.before} {flip.before_confidence:.2f} -> "
        f"{flip.after} {flip.after_confidence:.2f}"
    )
    yield f"    {_printable(flip.text)}"


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
