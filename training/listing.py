"""What can be trained, as tables and as values: data, layers with their parameters, published and measured figures."""

import json
from pathlib import Path
from typing import Any, Final

from training import network
from training.datasets import imdb, reuters
from training.recipes import EXERCISES, RECIPES, Recipe

MEASURED: Final = Path(__file__).with_name("measured.json")
"""What `sentopic-train compare` measured last: recipe id -> figures over seeds."""

LABELS: Final = {"imdb": len(imdb.LABELS), "reuters": len(reuters.LABELS), "table": 2}
"""Of a user's own table nobody knows: as few as there can be."""


def describe_all() -> list[dict[str, Any]]:
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    texts = [describe(recipe, measured.get(recipe.id)) for recipe in RECIPES.values()]
    others = [
        {
            "recipe": exercise.name,
            "network": exercise.what,
            "published": exercise.published,
            "measured": measured.get(exercise.name),
        }
        for exercise in EXERCISES.values()
    ]
    return [*texts, *others]


def describe(recipe: Recipe, measured: dict[str, float] | None) -> dict[str, Any]:
    layers = network.count_parameters(recipe.network, recipe.num_words, LABELS[recipe.data])
    published = recipe.published
    return {
        "recipe": recipe.id,
        "data": recipe.data,
        "reads": f"{recipe.windows} {recipe.maxlen} of {recipe.num_words:,} words",
        "network": network.describe(recipe.network),
        "layers": [{"layer": name, "parameters": count} for name, count in layers],
        "parameters": sum(count for _, count in layers),
        "published": {"loss": published.loss, "accuracy": published.accuracy, "note": published.note}
        if published
        else None,
        "measured": measured,
        "settings": recipe.to_json(),
    }


def table() -> str:
    """One recipe a line, its layers' parameters behind it; figures are test accuracy and, in brackets, loss."""
    lines = [f"{'recipe':27}{'data':9}{'parameters':>12}  {'published':17}{'measured':26}layers"]
    for entry in describe_all():
        if "layers" not in entry:
            continue
        layers = ", ".join(f"{layer['layer']} ({layer['parameters']:,})" for layer in entry["layers"])
        lines.append(
            f"{entry['recipe']:27}{entry['data']:9}{entry['parameters']:>12,}  "
            f"{_published(entry):17}{_measured(entry):26}{layers}"
        )
    for entry in describe_all():
        if "layers" not in entry:
            lines += [f"{entry['recipe']:27}{entry['network']}"]
            lines += [f"{'':27}{key}: {entry[key]}" for key in ("published", "measured") if entry[key]]
    return "\n".join(lines)


def _published(entry: dict[str, Any]) -> str:
    found = entry["published"] or {}
    loss = f" ({found['loss']:.4f})" if found.get("loss") else ""
    return f"{found['accuracy']:.4f}{loss}" if found.get("accuracy") else "-"


def _measured(entry: dict[str, Any]) -> str:
    found = entry["measured"]
    if not found:
        return "-"
    spread = f" ± {found['accuracy_spread']:.4f}" if found["seeds"] > 1 else ""
    return f"{found['accuracy']:.4f}{spread} ({found['loss']:.4f})"
