"""A published bundle is whole and true; a publication that fails leaves what was there."""

import errno
import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.bundle import Bundle, find_bundles, read_bundle
from app.engines.open import open_engine
from app.errors import UsageError
from training import plots
from training import publish as module
from training.datasets import hold_out
from training.publish import PublishError, publish
from training.run import Epoch, Run, Trained


@pytest.fixture(scope="module")
def bundle(whole_run: Path) -> Bundle:
    return read_bundle(whole_run / "tone" / "gru")


@pytest.fixture(scope="module")
def report(bundle: Bundle) -> dict[str, Any]:
    return dict(json.loads((bundle.directory / "metrics.json").read_text()))


@pytest.fixture
def publish_again(whole_run: Path, tiny: Any) -> Any:
    """Publishes the model of the whole run once more, wherever told to, under another seed's name."""
    import keras

    model = keras.saving.load_model(whole_run / "tone" / "gru" / "model.keras", compile=False)
    history = [Epoch(**epoch, seconds=1.0) for epoch in tiny.history(whole_run)]

    def run(out: Path, seed: int = 2, *, noise: bool = False, quotable: bool = False, over: bool = False) -> Path:
        dataset = replace(tiny.dataset(2, noise=noise), quotable=quotable)
        trained = Trained(model, 1, tuple(history), seed)
        parts = hold_out(dataset.train, "tutorial")
        return publish(trained, trained, tiny.recipe(), dataset, parts, out, replace=over)

    return run


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_full_disk_leaves_neither_a_bundle_nor_half_of_one(
    whole_run: Path, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = tiny.dataset(2)
    trained = Run.open(tiny.run_folder(whole_run)).load_trained("best")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(plots, "draw_curves", full)
    with pytest.raises(OSError, match="No space left"):
        publish(trained, trained, tiny.recipe(), dataset, hold_out(dataset.train, "tutorial"), tmp_path)
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_both_engines_reproduce_the_golden_texts(bundle: Bundle, engine: Any) -> None:
    assert open_engine(bundle, engine).name == engine
    assert len(bundle.manifest.golden) == 3


def test_bundle_says_what_it_is_made_of(bundle: Bundle, tiny: Any) -> None:
    manifest, dataset = bundle.manifest, tiny.dataset(2)
    assert (manifest.task, manifest.model) == ("tone", "gru")
    assert [(label.name, label.display_name) for label in manifest.labels] == list(dataset.labels.items())
    assert [label.share for label in manifest.labels] == [pytest.approx(34 / 67), pytest.approx(33 / 67)]
    assert manifest.data["sha256"] == dataset.sha256
    assert (manifest.data["training"], manifest.data["held_out"], manifest.data["test"]) == (67, 17, 36)
    changed = ["batch", "epochs", "learning_rate", "maxlen", "network", "num_words"]
    settings = {**tiny.recipe().to_json(), "name": "sentiment-gru.v1", "changed": changed}
    assert manifest.recipe == {**settings, "seed": 1, "epoch": 3}
    assert (manifest.text.num_words, manifest.text.maxlen, manifest.text.windows) == (40, 10, "cover")
    assert bundle.words == tuple(dataset.words)
    assert {"python", "keras", "tensorflow", "numpy", "onnxruntime"} <= manifest.versions.keys()
    assert manifest.files.keys() == {
        "model.keras", "words.txt", "metrics.json", "CARD.md",
        "learning_curves.png", "confusion.png", "reliability.png", "risk_coverage.png",
    }  # fmt: skip


def test_figures_are_those_of_the_texts_as_the_service_answers_them(
    bundle: Bundle, report: dict[str, Any], tiny: Any
) -> None:
    engine, encoder, test = open_engine(bundle, "onnx"), bundle.encoder(), tiny.dataset(2).test
    scores = [bundle.manifest.scores(engine.predict(encoder.encode(text).windows)) for text in test.texts]
    right = np.argmax(scores, axis=1) == test.labels
    sure = np.max(scores, axis=1) >= bundle.manifest.calibration.uncertain_below
    own = report["test"]["cover"]
    assert own["accuracy"] == bundle.manifest.metrics["test_accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert own["answered"] == bundle.manifest.metrics["test_answered"] == pytest.approx(sure.mean(), abs=1e-6)
    counts = np.array(report["confusion"])
    assert counts.sum() == own["texts"] == 36
    assert counts.trace() == right.sum()
    assert counts.sum(axis=1).tolist() == [row["support"] for row in report["per_label"].values()] == [18, 18]
    recall = report["per_label"]["label-1"]["recall"]
    assert recall == pytest.approx(right[test.labels == 1].mean(), abs=1e-4)


def test_every_way_of_reading_is_reported_with_the_history(report: dict[str, Any], whole_run: Path, tiny: Any) -> None:
    assert set(report["test"]) == {"first", "last", "cover"}
    assert [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in report["history"]] == tiny.history(
        whole_run
    )


def test_card_has_the_figures(bundle: Bundle, report: dict[str, Any]) -> None:
    card = (bundle.directory / "CARD.md").read_text(encoding="utf-8")
    for windows, result in report["test"].items():
        row = next(line for line in card.splitlines() if re.match(rf"\| (\*\*)?{windows}\b", line))
        figures = [float(figure) for figure in re.findall(r"\d\.\d{4}", row)]
        assert len(figures) == 8
        for key in set(result) - {"texts", "answered", "answered_accuracy"}:
            assert any(figure == pytest.approx(result[key], abs=6e-5) for figure in figures)
    for name, row in report["per_label"].items():
        recall = f"{row['recall']:.3f} ({row['recall_low']:.2f} to {row['recall_high']:.2f})"
        assert f"(`{name}`) | {row['support']} | {row['precision']:.3f} | {recall} | {row['f1']:.3f} |" in card
    fitted = bundle.manifest.calibration
    assert f"temperature {fitted.temperature:.3f}, damping {fitted.damping:.3f}; beside the average" in card
    assert (
        f"the last one counts {fitted.last_window:.3f}; of n windows the log-odds are {fitted.growth:.3f} ln n" in card
    )
    assert f"{report['test']['cover']['answered']:.1%} are answered" in card
    assert "| to learn from | 67 |" in card
    assert "| held out | 17 |" in card
    assert f"SHA-256 is `{bundle.manifest.data['sha256']}`" in card
    for name, part in report["by_length"].items():
        assert (
            f"| {name} | 17 | {part['accuracy']:.1%} ({part['accuracy_low']:.1%} to {part['accuracy_high']:.1%}) |"
            in card
        )
    assert f"{bundle.manifest.parameters:,} parameters" in card


def test_card_shows_every_picture(bundle: Bundle) -> None:
    card = (bundle.directory / "CARD.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.png)\)", card)) == {path.name for path in bundle.directory.glob("*.png")}


def test_card_shows_mistakes_on_held_out_texts_alone(publish_again: Any, tiny: Any, tmp_path: Path) -> None:
    card = (publish_again(tmp_path, noise=True, quotable=True) / "CARD.md").read_text(encoding="utf-8")
    dataset = tiny.dataset(2, noise=True)
    _, held_out = hold_out(dataset.train, "tutorial")
    section = card.split("### Its most confident mistakes")[1].split("\n#")[0]
    shown = [row.split(" | ")[0].removeprefix("| ") for row in section.splitlines() if row.startswith("| w")]
    assert len(shown) == 5
    assert set(shown) <= set(held_out.texts)
    assert not set(shown) & set(dataset.test.texts)


def test_card_of_private_texts_quotes_none(publish_again: Any, tiny: Any, tmp_path: Path) -> None:
    published = publish_again(tmp_path, noise=True)
    dataset = tiny.dataset(2, noise=True)
    card = (published / "CARD.md").read_text(encoding="utf-8") + (published / "metrics.json").read_text()
    assert "without the mark `uncertain`. They are not quoted" in card
    assert not [text for part in (dataset.train, dataset.test) for text in part.texts if text in card]


def test_values_of_the_pictures_stand_in_the_report(bundle: Bundle, report: dict[str, Any]) -> None:
    for part, texts in (("held_out", 17), ("test", 36)):
        bins = report["reliability"][part]
        assert (len(bins), sum(one["texts"] for one in bins)) == (15, texts)
        error = sum(abs(one["confidence"] - one["accuracy"]) * one["texts"] for one in bins) / texts
        whole = report["held_out"] if part == "held_out" else report["test"]["cover"]
        assert error == pytest.approx(whole["calibration_error"], abs=2e-6)
        assert list(report["coverage"][part]) == ["0.90", "0.95", "0.97", "0.98", "0.99"]
    (stated,) = (one for one in report["targets"] if one["accuracy"] == bundle.manifest.recipe["answer_accuracy"])
    assert stated["threshold"] == pytest.approx(bundle.manifest.calibration.uncertain_below, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("learning_curves.png", 990, 396),
        ("confusion.png", 396, 396),
        ("reliability.png", 682, 660),
        ("risk_coverage.png", 660, 440),
    ],
)
def test_pictures_are_pictures(bundle: Bundle, name: str, width: int, height: int) -> None:
    data = (bundle.directory / name).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    assert struct.unpack(">II", data[16:24]) == (width, height)
    assert 5_000 < len(data) < (80_000 if name in ("reliability.png", "risk_coverage.png") else 200_000)


def test_older_bundle_is_replaced_and_nothing_is_left_beside_it(publish_again: Any, tmp_path: Path) -> None:
    target = tmp_path / "tone" / "gru"
    target.mkdir(parents=True)
    (target / "old.txt").write_text("old")
    assert publish_again(tmp_path, over=True) == target
    assert read_bundle(target).manifest.recipe["seed"] == 2
    assert find_bundles(tmp_path) == [target]
    assert [path.name for path in tmp_path.iterdir()] == ["tone"]
    assert [path.name for path in target.parent.iterdir()] == ["gru"]


def test_bundle_that_was_published_meanwhile_is_not_replaced(publish_again: Any, tmp_path: Path) -> None:
    """Nor is whatever else stands there."""
    target = tmp_path / "tone" / "gru"
    target.mkdir(parents=True)
    (target / "old.txt").write_text("old")
    with pytest.raises(UsageError, match="is published already"):
        publish_again(tmp_path)
    assert content(target) == {"old.txt": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["tone"]


def test_model_that_compiles_to_another_is_not_published(
    publish_again: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGREEMENT", -1.0)
    with pytest.raises(PublishError, match="away from Keras'"):
        publish_again(tmp_path)
    assert not (tmp_path / "tone").exists()


def _fail_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*arguments: object) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(module.card, "write", write)


def _fail_while_checking(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_engine(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "open_engine", open_engine)


def _fail_while_moving(monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def move(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise OSError("No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", move)


@pytest.mark.parametrize("fail", [_fail_while_writing, _fail_while_checking, _fail_while_moving])
def test_failed_publication_leaves_the_old_bundle(
    fail: Any, publish_again: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "tone" / "gru"
    target.mkdir(parents=True)
    (target / "bundle.json").write_text("old")
    before = content(target)
    fail(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        publish_again(tmp_path, over=True)
    assert content(target) == before
    assert find_bundles(tmp_path) == [target]


def test_the_same_model_is_published_to_the_same_bytes(publish_again: Any, tmp_path: Path) -> None:
    one, other = content(publish_again(tmp_path / "one")), content(publish_again(tmp_path / "other"))
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
