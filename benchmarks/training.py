"""Seconds a pass of our training loop, beside the tutorials' `model.fit` of the same network.

`python -m benchmarks.training`. On made-up windows, since how long a pass takes does not depend on what stands in
them. Both in turn, several times. Writes benchmarks/results/training.json.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from app.text import INDEX_FROM
from benchmarks import machine
from training import models
from training.batches import Lessons, make_batches, to_targets
from training.encoding import EncodedExamples
from training.fit import mean_over
from training.recipes import RECIPES, Recipe

RESULTS = Path(__file__).resolve().parent / "results" / "training.json"
NAMES = {"imdb-lstm.v1": 2, "imdb-stacked-lstm.v1": 2, "imdb-gru.v1": 2, "imdb-cnn-lstm.v1": 2, "reuters-lstm.v1": 46}
"""Recipes, and how many labels each has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=8_000)
    options = parser.parse_args()
    keras.utils.disable_interactive_logging()
    found = {}
    for name, labels in NAMES.items():
        ours, theirs = measure(RECIPES[name], labels, options.windows, options.rounds)
        found[name] = {"ours_s": ours, "fit_s": theirs, "ratio": theirs / ours}
        print(f"{name}: ours {ours:.2f} s, model.fit {theirs:.2f} s, {theirs / ours:.2f} times", flush=True)
    result = {"machine": machine.describe(), "rounds": options.rounds, "windows": options.windows, "recipes": found}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


def measure(recipe: Recipe, labels: int, windows: int, rounds: int) -> tuple[float, float]:
    """Medians of the passes after a first one, which compiles."""
    chance = np.random.default_rng(1)
    ids = chance.integers(INDEX_FROM + 1, recipe.num_words, (windows, recipe.maxlen), dtype=np.int32)
    answers = chance.integers(0, labels, windows)
    nothing = np.zeros(windows)
    examples = EncodedExamples(ids, np.arange(windows), answers, nothing + 1, nothing > 1)
    lessons = Lessons(examples, to_targets(answers, labels))

    jit = models.pays_to_compile(recipe, windows)
    learner = models.compile_model(models.build_learner(models.build(recipe, labels)), recipe, jit=jit)
    tutorial = models.build(recipe, labels)
    loss = "binary_crossentropy" if labels == 2 else "sparse_categorical_crossentropy"
    tutorial.compile(optimizer="adam", loss=loss, metrics=["accuracy"])

    def pass_ours(turn: int) -> None:
        order = np.random.default_rng(turn).permutation(windows)
        mean_over(learner.train_on_batch, make_batches(lessons, recipe.batch, order, recipe.window_share), windows)

    def pass_theirs(_: int) -> None:
        tutorial.fit(ids, answers, batch_size=recipe.batch, epochs=1, verbose=0)

    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for work, spent in zip((pass_ours, pass_theirs), seconds, strict=True):
            started = time.perf_counter()
            work(turn)
            spent.append(time.perf_counter() - started)
    return statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


if __name__ == "__main__":
    main()
