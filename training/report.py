"""What `sentopic-train compare` writes: a page of tables and figures from trials that were really run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training import network, plots
from training.compare import Trial, hardest, summarise
from training.datasets import Dataset
from training.evaluate import confusion
from training.listing import LABELS
from training.recipes import EXERCISES

SHOWN_CHARS = 300


def write(
    page: Path,
    trials: Mapping[str, Sequence[Trial]],
    datasets: Mapping[str, Dataset],
    exercises: Mapping[str, str],
    command: str,
    *,
    texts: bool,
) -> None:
    """`trials`: recipe id -> its trials; `exercises`: name -> what it gave. Figures go to a folder named like `page`.

    Without `texts` the hardest examples are named, not shown: the data's texts are not everybody's to publish.
    """
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    plots.draw_histories(
        {name: [trial.history for trial in found] for name, found in trials.items()}, folder / "curves.png"
    )
    parts = [
        f"# Reproduction\n\nMade by `{command}`; test figures as mean and standard deviation over seeds.\n",
        _table(trials),
        _differences(trials),
        f"\n![Loss and accuracy over the epochs]({folder.name}/curves.png)\n",
    ]
    for data, dataset in datasets.items():
        own = {name: found for name, found in trials.items() if found[0].recipe.data == data}
        if own:
            parts.append(_section(data, dataset, own, folder, texts=texts))
    if exercises:
        lines = [f"- `{name}`: {found}. Published: {EXERCISES[name].published}." for name, found in exercises.items()]
        parts.append("\n".join(["\n## Without texts\n", *lines, ""]))
    page.write_text("\n".join(parts), encoding="utf-8")


def write_figures(path: Path, trials: Mapping[str, Sequence[Trial]], exercises: Mapping[str, str]) -> None:
    """The same as values, JSON: recipe id -> its figures over seeds, exercise -> what it gave."""
    figures = {name: asdict(summarise(found)) for name, found in trials.items()}
    path.write_text(json.dumps({**figures, **exercises}, indent=1) + "\n")


HEADS = (
    "Recipe", "Parameters", "Test loss", "Published", "Test accuracy", "Published", "Best epoch", "Last epoch",
    "Picked on the test", "Epochs", "Seconds an epoch", "Seeds",
)  # fmt: skip


_READING = """\
Test loss and accuracy: of the epoch that the recipe keeps, uncalibrated. Best and last epoch: the test accuracy of the
epoch with the least held-out loss and of the last one, with a fifth held out. Picked on the test: that of the best of
all epochs, had somebody watched the test part, as the source of the published figure did; we choose nothing by it.
Seconds are those of the clock, whatever else the machine did.
"""


def _table(trials: Mapping[str, Sequence[Trial]]) -> str:
    rows = [HEADS, ("---",) * len(HEADS), *(_row(name, found) for name, found in trials.items())]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", _READING])


def _row(name: str, trials: Sequence[Trial]) -> tuple[str, ...]:
    recipe, figures = trials[0].recipe, summarise(trials)
    counts = network.count_parameters(recipe.network, recipe.num_words, LABELS[recipe.data])
    return (
        f"`{name}`",
        f"{sum(count for _, count in counts):,}",
        _with_spread(figures.loss, figures.loss_spread, figures.seeds),
        _or_dash(recipe.published and recipe.published.loss),
        _with_spread(figures.accuracy, figures.accuracy_spread, figures.seeds),
        _or_dash(recipe.published and recipe.published.accuracy),
        f"{figures.best_epoch:.4f}",
        f"{figures.last_epoch:.4f}",
        _or_dash(figures.picked_on_test),
        f"{figures.epochs:.0f}",
        f"{figures.epoch_seconds:.1f}",
        str(figures.seeds),
    )


def _differences(trials: Mapping[str, Sequence[Trial]]) -> str:
    """What lies between our figures and the published ones, recipe by recipe."""
    lines = [_difference(name, found) for name, found in trials.items() if found[0].recipe.published]
    return "\n".join(["\n## Beside the published figures\n", *filter(None, lines)])


def _difference(name: str, trials: Sequence[Trial]) -> str:
    published = trials[0].recipe.published
    if published is None or not (published.accuracy or published.note):
        return ""
    figures = summarise(trials)
    parts = [f"- `{name}`"]
    if published.accuracy:
        gap = figures.accuracy - published.accuracy
        spreads = f", {abs(gap) / figures.accuracy_spread:.1f} times the spread" if figures.accuracy_spread else ""
        parts.append(f": accuracy {gap:+.4f} against {published.accuracy:.4f}{spreads}")
    if published.loss:
        parts.append(f"; loss {figures.loss - published.loss:+.4f} against {published.loss:.4f}, "
                     f"with a spread of {figures.loss_spread:.4f}")  # fmt: skip
    each = ", ".join(
        f"{trial.accuracy:.4f} after {len(trial.history)} epoch{'s' * (len(trial.history) > 1)}" for trial in trials
    )
    parts.append(f". Seed by seed: {each}.")
    if published.note:
        parts.append(f" {published.note}")
    return "".join(parts)


def _section(data: str, dataset: Dataset, trials: Mapping[str, Sequence[Trial]], folder: Path, *, texts: bool) -> str:
    names = list(dataset.labels)
    scores = {name: found[0].scores for name, found in trials.items()}
    everyone = [trial for found in trials.values() for trial in found]
    if len(names) == 2:
        plots.draw_roc(scores, dataset.test.labels, folder / f"{data}-roc.png")
        figures = f"Of seed 1:\n\n![Receiver operating characteristic]({folder.name}/{data}-roc.png)"
    else:
        counts = {name: confusion(found, dataset.test.labels) for name, found in scores.items()}
        plots.draw_recalls(counts, names, folder / f"{data}-recall.png")
        last = list(counts)[-1]
        plots.draw_confusion(counts[last], names, folder / f"{data}-confusion.png")
        figures = (
            "Of seed 1; the confusion matrix is shaded by the share of a row:\n\n"
            f"![Recall of each label]({folder.name}/{data}-recall.png)\n\n"
            f"![Confusion of {last}]({folder.name}/{data}-confusion.png)"
        )
    lines = [_hard_line(dataset, names, found, texts=texts) for found in hardest(everyone, dataset.test.labels, 5)]
    intro = "The test texts whose right label these models together give the least, on average over all of them:"
    return "\n".join([f"\n## {data}\n", figures, "", intro, "", *lines, ""])


def _hard_line(dataset: Dataset, names: Sequence[str], found: tuple[int, int, float, float], *, texts: bool) -> str:
    place, answer, score, wrong = found
    text = " ".join(dataset.test.texts[place].split())
    right = names[dataset.test.labels[place]]
    line = f"- test text {place} ({len(text.split())} words): {right} got {score:.4f}, {names[answer]} {wrong:.4f}"
    return f"{line}: “{text[:SHOWN_CHARS]}…”" if texts else line


def _with_spread(value: float, spread: float, seeds: int) -> str:
    return f"{value:.4f} ± {spread:.4f}" if seeds > 1 else f"{value:.4f}"


def _or_dash(value: Any) -> str:
    return f"{value:.4f}" if value else "-"
