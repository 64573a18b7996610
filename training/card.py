"""A bundle's CARD.md: what the model is, how good, on what, and what it must not be used for."""

from app.bundle import Manifest
from app.text import Windows
from training.datasets import Dataset
from training.evaluate import Evaluation

_READING = {
    "first": "the first {before} words that the word index knows",
    "last": "the last {maxlen} words that the word index knows",
    "cover": "the whole text, in windows of {maxlen} words whose log-odds are averaged",
}
_UNFIT = {
    "sentiment": "reviews of anything but films, other languages than English, irony, a person's state of mind",
    "topic": "news after the 1980s, other languages than English, texts with several topics or none of the 46",
}


def write(
    manifest: Manifest,
    layers: str,
    tested: dict[Windows, Evaluation],
    per_label: dict[str, dict[str, float]],
    dataset: Dataset,
) -> str:
    """`layers`: the network in words; `tested`: by how a text is read."""
    spec, recipe, data = manifest.text, manifest.recipe, manifest.data
    own = tested[spec.windows]
    reading = _READING[spec.windows].format(maxlen=spec.maxlen, before=spec.maxlen - 1)
    anew = f"\nThe published model then learned anew from all {data['refit']:,} texts." if "refit" in data else ""
    changed = "".join(f", {key} changed to {recipe[key]}" for key in recipe["changed"])
    rows = "\n".join(_row(windows, result, windows == spec.windows) for windows, result in tested.items())
    return f"""# {manifest.task} / {manifest.model}

Recipe `{recipe["name"]}`{changed} (seed {recipe["seed"]}) on {data["name"]}: {data["training"]:,} texts to learn \
from, {data["held_out"]:,} held out,
on which the epoch, the temperature and the threshold were chosen, and {data["test"]:,} for the test, by which \
nothing was chosen.{anew}
{manifest.parameters:,} parameters: {spec.num_words:,} words, {layers}.
It reads {reading}.

## On the test texts

| Reads | Accuracy (95% interval) | Macro-F1 | Log loss | Calibration error |
|---|---|---|---|---|
{rows}

Confidence is calibrated (temperature {manifest.calibration.temperature:.3f}). Answers under a confidence of \
{manifest.calibration.uncertain_below:.3f} are `uncertain`:
{own.answered:.1%} are answered without that mark, and of these {own.answered_accuracy:.1%} are right.

## By label

| Label | Test texts | Precision | Recall |
|---|---|---|---|
{_label_rows(per_label, dataset)}

## Not for

{_UNFIT.get(manifest.task, "texts unlike those it was trained on")}; decisions about people.
A text with no known word gets the labels' shares in training for scores, and `uncertain`.
"""


def _row(windows: Windows, result: Evaluation, own: bool) -> str:
    name = f"**{windows}** (as served)" if own else windows
    return (
        f"| {name} | {result.accuracy:.4f} ({result.accuracy_low:.4f} to {result.accuracy_high:.4f}) "
        f"| {result.macro_f1:.4f} | {result.loss:.4f} | {result.calibration_error:.4f} |"
    )


def _label_rows(per_label: dict[str, dict[str, float]], dataset: Dataset) -> str:
    ordered = sorted(per_label.items(), key=lambda item: -item[1]["support"])
    return "\n".join(
        f"| {dataset.labels[name]} (`{name}`) | {row['support']:.0f} | {row['precision']:.3f} | {row['recall']:.3f} |"
        for name, row in ordered
    )
