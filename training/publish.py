"""Seals a trained model as a bundle: write, re-load, compare, calibrate, test, and only then move it into place."""

import contextlib
import json
import platform
import re
import shutil
import tempfile
import zipfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from app import model_file
from app.bundle import (
    MANIFEST,
    MODEL,
    WORDS,
    Calibration,
    Golden,
    Label,
    Manifest,
    TextSpec,
    TokenizerSpec,
    format_words,
    read_bundle,
    seal,
)
from app.engines.base import Engine
from app.engines.onnx import OnnxEngine
from app.engines.open import open_engine
from app.errors import SentopicError, UsageError
from app.text import TextEncoder
from training import card, figures, plots, recipes
from training.datasets import Dataset, Examples
from training.encoding import EncodedExamples, encode, predict, score_texts
from training.evaluate import fit_calibration, fit_threshold
from training.prepare import choose_taught
from training.recipes import Recipe
from training.run import Trained

AGREEMENT = 1e-5
"""How far the probabilities of the compiled model may be from those of Keras."""


class PublishError(SentopicError):
    """The bundle does not answer as the model that was trained."""

    code = "publish_failed"


def place(out: Path, dataset: Dataset, recipe: Recipe) -> Path:
    """Where the bundle is published."""
    return out / dataset.task / recipe.model


def find_changes(manifest: Manifest, recipe: Recipe, seed: int, dataset: Dataset) -> list[str]:
    """What of recipe, seed and data is not that of a published bundle, by name."""
    wanted = {**recipe.to_json(), "name": recipe.id, "seed": seed, "sha256": dataset.sha256}
    found = {**manifest.recipe, "sha256": manifest.data["sha256"]}
    return ["data" if key == "sha256" else key for key in wanted if found.get(key) != wanted[key]]


def refuse_to_replace(target: Path) -> None:
    """Raises UsageError where something is published already: it may be served, or be all there is to compare with."""
    if target.exists():
        raise UsageError(
            f"{target} is published already. Publish elsewhere: --out DIR. Put this in its place: --replace"
        )


def publish(
    trained: Trained,
    chosen: Trained,
    recipe: Recipe,
    dataset: Dataset,
    parts: tuple[Examples, Examples],
    out: Path,
    *,
    replace: bool = False,
) -> Path:
    """Writes `out`/<task>/<model>/ in one step and returns it; an older bundle there is replaced only with `replace`.

    `parts`: the texts that `chosen` learned from, and those held out, on which its temperature and threshold are
    chosen. `trained` is `chosen` itself, or what learned anew from all of them.
    The test part is looked at once, after every choice has been made.
    """
    target = place(out, dataset, recipe)
    staging = out / f".{dataset.task}-{recipe.model}.part"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _write(trained, chosen, recipe, dataset, parts, staging)
        if not replace:
            refuse_to_replace(target)  # as another fit may have been faster
        _move(staging, target)
    except (OSError, UsageError):
        shutil.rmtree(staging, ignore_errors=True)  # of a full disk, it would keep its share
        raise
    return target


def _write(
    trained: Trained, chosen: Trained, recipe: Recipe, dataset: Dataset, parts: tuple[Examples, Examples], staging: Path
) -> None:
    engine = _compile(trained.model, recipe, dataset, staging / MODEL)
    (staging / WORDS).write_bytes(format_words(list(dataset.words)))

    encoder = dataset.encoder(recipe.num_words, recipe.maxlen, recipe.windows)
    held_out = encode(encoder, parts[1])
    _compare(trained.model, engine, held_out)

    draft = _draft(trained, recipe, dataset, parts, staging)
    judge = engine if trained is chosen else _compile_aside(chosen.model, recipe, dataset)
    doubt = 1 / (len(parts[1]) + 2) if dataset.audit else 0.0
    calibrated = draft.model_copy(update={"calibration": _calibrate(draft, judge, held_out, recipe, doubt)})
    learned = (dataset.learnable if recipe.refit else parts[0]) if dataset.audit else None
    found = figures.measure(calibrated, judge, engine, dataset, parts[1], learned)
    measured = calibrated.model_copy(update={"metrics": found.headline(recipe.windows)})

    report = {**found.to_json(), "history": [asdict(epoch) for epoch in chosen.history]}
    (staging / "metrics.json").write_text(json.dumps(report, indent=1) + "\n")
    plots.draw_curves(chosen.history, chosen.epoch, staging / "learning_curves.png")
    plots.draw_confusion(found.confusion, list(dataset.labels), staging / "confusion.png")
    both = {"held out": found.held_out, "test": found.test}
    plots.draw_reliability(both, staging / "reliability.png")
    plots.draw_risk_coverage(
        both, measured.calibration.uncertain_below, recipe.answer_accuracy, staging / "risk_coverage.png"
    )
    (staging / "CARD.md").write_text(card.write(measured, recipe, found, dataset), encoding="utf-8")
    _seal(measured, engine, encoder, staging)


def _compile(model: keras.Model, recipe: Recipe, dataset: Dataset, path: Path) -> OnnxEngine:
    """The engine of the service for `model`, by way of the file that it is saved to."""
    _save(model, path)
    return OnnxEngine(model_file.parse(path.read_bytes(), path), recipe.maxlen, len(dataset.labels))


def _compile_aside(model: keras.Model, recipe: Recipe, dataset: Dataset) -> OnnxEngine:
    with tempfile.TemporaryDirectory() as folder:
        return _compile(model, recipe, dataset, Path(folder) / MODEL)


def _save(model: keras.Model, path: Path) -> None:
    """The same weights, the same bytes: without Keras' date, and with numbers where it writes objects' addresses."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    del (metadata := json.loads(members["metadata.json"]))["date_saved"]
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return f"{found[1]}{numbers.setdefault(found[2], str(len(numbers) + 1))}"

    config = re.sub(r'("shared_object_id": )(\d+)', number, members["config.json"].decode())
    members["config.json"] = config.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def _draft(
    trained: Trained, recipe: Recipe, dataset: Dataset, parts: tuple[Examples, Examples], staging: Path
) -> Manifest:
    """The manifest before anything was measured: temperature 1, golden scores 0."""
    return Manifest(
        task=dataset.task,
        model=recipe.model,
        labels=_labels(dataset, parts[0]),
        text=TextSpec(
            num_words=recipe.num_words,
            maxlen=recipe.maxlen,
            windows=recipe.windows,
            tokenizer=TokenizerSpec.of(dataset.tokenizer),
        ),
        recipe={
            **recipe.to_json(),
            "name": recipe.id,
            "changed": sorted(recipes.changes(recipe)),
            "seed": trained.seed,
            "epoch": trained.epoch,
        },
        data=_describe(dataset, parts, recipe),
        metrics={},
        parameters=trained.model.count_params(),
        calibration=Calibration(temperature=1, uncertain_below=0),
        versions=_versions(),
        files={name: seal(staging / name) for name in (MODEL, WORDS)},
        golden=[Golden(text=text, scores=[0.0] * len(dataset.labels)) for text in dataset.examples],
    )


def _seal(manifest: Manifest, engine: Engine, encoder: TextEncoder, staging: Path) -> None:
    """Writes `bundle.json` last, and reads it all back as the service would."""
    final = manifest.model_copy(
        update={
            "files": {path.name: seal(path) for path in sorted(staging.iterdir())},
            "golden": [_golden(golden.text, manifest, engine, encoder) for golden in manifest.golden],
        }
    )
    sealed = final.model_copy(update={"sha256": final.digest()})
    (staging / MANIFEST).write_text(sealed.model_dump_json(indent=1) + "\n", encoding="utf-8")
    open_engine(read_bundle(staging), "onnx")


def _compare(model: keras.Model, engine: Engine, examples: EncodedExamples, windows: int = 512) -> None:
    ids = examples.ids[:windows]
    expected = np.asarray(model.predict(ids, verbose=0, batch_size=64))
    if expected.shape[1] == 1:
        expected = np.concatenate([1 - expected, expected], axis=1)
    gap = float(np.abs(engine.predict(ids) - expected).max())
    if not gap <= AGREEMENT:
        raise PublishError(f"the compiled model is {gap:.1e} away from Keras', more than the {AGREEMENT:g} allowed")


def _calibrate(draft: Manifest, engine: Engine, held_out: EncodedExamples, recipe: Recipe, doubt: float) -> Calibration:
    """`doubt`: see `fit_calibration`; a user's own table may hold out a dozen texts."""
    found = fit_calibration(predict(engine, held_out.ids), held_out.owner, held_out.labels, doubt=doubt)
    scores = score_texts(engine, draft.model_copy(update={"calibration": found}), held_out)
    threshold = fit_threshold(scores, held_out.labels, recipe.answer_accuracy)
    return found.model_copy(update={"uncertain_below": threshold})


def _labels(dataset: Dataset, training: Examples) -> list[Label]:
    counts = np.bincount(training.labels, minlength=len(dataset.labels))
    shares = counts / counts.sum()
    return [
        Label(name=name, display_name=display, share=round(float(share), 6))
        for (name, display), share in zip(dataset.labels.items(), shares, strict=True)
    ]


def _describe(dataset: Dataset, parts: tuple[Examples, Examples], recipe: Recipe) -> dict[str, str | int]:
    training, validation = parts
    taught = choose_taught(recipe, training)
    counts = {"training": len(taught), "held_out": len(validation), "test": len(dataset.test)}
    described: dict[str, str | int] = {
        "name": dataset.name,
        "sha256": dataset.sha256,
        "holdout": recipe.holdout,
        **counts,
    }
    if recipe.refit:
        described["refit"] = len(choose_taught(recipe, dataset.learnable))
    if recipe.mended:
        described["mislabelled"] = len(training) - len(taught)
    if recipe.unlabelled:
        described |= {"unlabelled": len(dataset.unlabelled), "unlabelled_sha256": dataset.unlabelled_sha256}
    if dataset.audit:
        described |= {**dataset.audit.counts(), **dataset.audit.asked, "test_sha256": dataset.test_sha256}
    if dataset.heard:
        described |= dataset.heard.counts()
    return described


def _golden(text: str, manifest: Manifest, engine: Engine, encoder: TextEncoder) -> Golden:
    scores = manifest.scores(engine.predict(encoder.encode(text).windows))
    return Golden(text=text, scores=[round(float(score), 7) for score in scores])


def _versions() -> dict[str, str]:
    names = ("sentopic", "keras", keras.config.backend(), "numpy", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _move(staging: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    old = staging.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
