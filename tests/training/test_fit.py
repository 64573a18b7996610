"""A run can be interrupted, resumed and repeated, stops in time, and publishes its best epoch."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.bundle import read_bundle
from app.errors import DataError, UsageError
from training.batches import Batch
from training.datasets import hold_out
from training.fit import ask, fit, mean_over
from training.network import Dropout, Embedding, Recurrent, SpatialDropout, Summary
from training.prepare import Shelf
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def resumed_run(interrupted_run: Path, tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("resumed") / "out"
    shutil.copytree(interrupted_run, out)
    lines: list[str] = []
    fit(tiny.recipe(), tiny.dataset(2), out, resume=True, say=lines.append)
    assert "resumed after epoch 1" in lines
    return out


@pytest.fixture(scope="module")
def stopped_run(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A deep, pooled model of three labels that nothing in the texts tells: it can only get worse."""
    out = tmp_path_factory.mktemp("stopped")
    layers = (Embedding(4), SpatialDropout(0.2), Recurrent("lstm", 5), Dropout(0.3), Recurrent("lstm", 4), Summary())
    deep = {"network": layers, "windows": "first"}
    recipe = tiny.recipe(epochs=40, patience=2, learning_rate=0.05, **deep)
    return out, fit(recipe, tiny.dataset(3, noise=True), out, say=lambda line: None)


def equal(left: list[Any], right: list[Any]) -> bool:
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_resumed_run_ends_as_if_it_had_never_stopped(whole_run: Path, resumed_run: Path, tiny: Any) -> None:
    assert len(tiny.history(whole_run)) == 3
    assert tiny.history(resumed_run) == tiny.history(whole_run)
    assert equal(tiny.weights(resumed_run, 3), tiny.weights(whole_run, 3))


def test_same_seed_gives_the_same_bundle(whole_run: Path, resumed_run: Path) -> None:
    one, other = (read_bundle(out / "tone" / "gru") for out in (whole_run, resumed_run))
    assert one.manifest.golden == other.manifest.golden
    assert one.manifest.metrics == other.manifest.metrics
    assert one.manifest.calibration == other.manifest.calibration
    pairs = [(a.weights, b.weights) for a, b in zip(one.model.layers, other.model.layers, strict=True)]
    assert all(np.array_equal(a[name], b[name]) for a, b in pairs for name in a)
    pictures = ("learning_curves.png", "confusion.png", "reliability.png", "risk_coverage.png")
    assert all(one.manifest.files[name] == other.manifest.files[name] for name in pictures)


def test_other_seed_gives_another_model(interrupted_run: Path, tiny: Any, tmp_path: Path) -> None:
    """The largest that the command takes."""
    seed = 2**31 - 1
    with pytest.raises(KeyboardInterrupt):
        fit(tiny.recipe(), tiny.dataset(2), tmp_path, seed=seed, say=tiny.interrupt_after(1))
    assert tiny.history(tmp_path, seed) != tiny.history(interrupted_run)
    assert not equal(tiny.weights(tmp_path, 1, seed), tiny.weights(interrupted_run, 1))


def test_unfinished_run_is_not_thrown_away(interrupted_run: Path, tiny: Any) -> None:
    before = sorted(path.name for path in tiny.run_folder(interrupted_run).iterdir())
    with pytest.raises(DataError, match=r"holds an unfinished run\. Go on with it: --resume"):
        fit(tiny.recipe(), tiny.dataset(2), interrupted_run, say=lambda line: None)
    assert sorted(path.name for path in tiny.run_folder(interrupted_run).iterdir()) == before


def sealed(out: Path) -> str | None:
    return read_bundle(out / "tone" / "gru").manifest.sha256


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="the same once more"),
        pytest.param({"seed": 2}, id="another seed"),
        pytest.param({"seed": 2, "resume": True}, id="resumed, but never begun"),
        pytest.param({"resume": True, "epochs": 4}, id="resumed, for more epochs"),
    ],
)
def test_published_bundle_is_not_replaced_without_being_told_to(
    whole_run: Path, tiny: Any, tmp_path: Path, how: dict[str, Any]
) -> None:
    """Nothing is trained, and the checkpoints stay: a model learned from feedback took the served one's place."""
    out, said = shutil.copytree(whole_run, tmp_path / "out"), list[str]()
    before, runs = sealed(out), sorted(path.name for path in (out / "runs").rglob("*"))
    recipe = tiny.recipe(**{name: how.pop(name) for name in ("epochs",) if name in how})
    with pytest.raises(UsageError, match=r"tone/gru is published already\. .*--out DIR\. .*--replace$"):
        fit(recipe, tiny.dataset(2), out, say=said.append, **how)
    assert not said
    assert sealed(out) == before
    assert sorted(path.name for path in (out / "runs").rglob("*")) == runs


def test_published_bundle_is_replaced_if_it_is_said(whole_run: Path, tiny: Any, tmp_path: Path) -> None:
    out = shutil.copytree(whole_run, tmp_path / "out")
    fit(tiny.recipe(epochs=1), tiny.dataset(2), out, seed=2, replace=True, say=lambda line: None)
    assert read_bundle(out / "tone" / "gru").manifest.recipe["seed"] == 2


def test_run_that_was_killed_once_it_had_published_ends(whole_run: Path, tiny: Any, tmp_path: Path) -> None:
    out = shutil.copytree(whole_run, tmp_path / "out")
    state = tiny.run_folder(out) / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "finished": False}))
    fit(tiny.recipe(), tiny.dataset(2), out, resume=True, say=lambda line: None)
    assert json.loads(state.read_text())["finished"] is True


@pytest.mark.parametrize(
    ("changes", "noise", "differs"),
    [({"batch": 15}, False, "recipe"), ({}, True, "data"), ({"batch": 15}, True, "recipe, data")],
)
def test_run_is_not_resumed_with_something_else(
    interrupted_run: Path, tiny: Any, changes: Any, noise: bool, differs: str
) -> None:
    with pytest.raises(DataError, match=f"holds another run: its {differs} differs"):
        fit(tiny.recipe(**changes), tiny.dataset(2, noise=noise), interrupted_run, resume=True, say=lambda line: None)


def test_run_that_was_not_begun_is_begun(interrupted_run: Path, tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(tiny.recipe(), tiny.dataset(2), tmp_path, resume=True, say=tiny.interrupt_after(1))
    assert tiny.history(tmp_path) == tiny.history(interrupted_run)


def test_run_stops_when_it_gets_no_better(stopped_run: tuple[Path, Path], tiny: Any) -> None:
    history = tiny.history(stopped_run[0])
    best = min(history, key=lambda epoch: epoch["val_loss"])["epoch"]
    assert len(history) == best + 2 < 40


def test_best_epoch_is_published_and_not_the_last(stopped_run: tuple[Path, Path], tiny: Any) -> None:
    out, directory = stopped_run
    history = tiny.history(out)
    best, last = len(history) - 2, len(history)
    (published,) = read_bundle(directory).model.layers[1].weights.values()
    assert np.array_equal(published, tiny.weights(out, best)[0])
    assert not np.array_equal(published, tiny.weights(out, last)[0])


def test_finished_run_says_so_and_keeps_its_two_models(stopped_run: tuple[Path, Path], tiny: Any) -> None:
    folder = tiny.run_folder(stopped_run[0])
    last = len(tiny.history(stopped_run[0]))
    assert json.loads((folder / "state.json").read_text())["finished"] is True
    assert {path.name for path in folder.iterdir()} == {
        "state.json", f"epoch-{last:04}.keras", f"epoch-{last - 2:04}.keras"
    }  # fmt: skip


@pytest.fixture(scope="module")
def refitted_run(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[int]]:
    out, seen = tmp_path_factory.mktemp("refitted"), list[int]()
    directory = fit(
        tiny.recipe(refit=True, epochs=2), tiny.dataset(2), out, watch=lambda epoch, _: seen.append(epoch),
        say=lambda line: None,
    )  # fmt: skip
    return out, directory, seen


def test_refitted_model_learned_from_all_texts_and_is_the_one_published(
    refitted_run: tuple[Path, Path, list[int]], tiny: Any
) -> None:
    out, directory, _ = refitted_run
    again = tiny.run_folder(out).with_name(f"{tiny.run_folder(out).name}-refit")
    state = json.loads((again / "state.json").read_text())
    assert state["finished"] is True
    assert [epoch["val_loss"] for epoch in state["history"]] == [None, None]
    bundle = read_bundle(directory)
    (published,) = bundle.model.layers[1].weights.values()
    assert not np.array_equal(published, tiny.weights(out, 2)[0])
    assert (bundle.manifest.data["training"], bundle.manifest.data["refit"]) == (67, 84)
    card = (directory / "CARD.md").read_text()
    assert "learned anew from all 84 texts. Whatever is said of held-out texts here is of the first model" in card
    assert len(json.loads((directory / "metrics.json").read_text())["history"]) == 2
    assert not (directory / "chosen.keras").exists()


def test_refitted_model_keeps_the_temperature_that_held_out_texts_gave(
    refitted_run: tuple[Path, Path, list[int]], tiny: Any, tmp_path: Path
) -> None:
    """Texts that a model learned from say nothing of how sure it may be."""
    plain = fit(tiny.recipe(epochs=2, keep="last"), tiny.dataset(2), tmp_path, say=lambda line: None)
    refitted = read_bundle(refitted_run[1]).manifest
    assert refitted.calibration == read_bundle(plain).manifest.calibration
    assert refitted.golden != read_bundle(plain).manifest.golden


def test_refit_that_was_interrupted_goes_on(
    refitted_run: tuple[Path, Path, list[int]], tiny: Any, tmp_path: Path
) -> None:
    recipe, calls = tiny.recipe(refit=True, epochs=2), list[str]()

    def say(line: str) -> None:
        calls.append(line)
        if len([call for call in calls if call.startswith("epoch")]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(recipe, tiny.dataset(2), tmp_path, say=say)
    directory = fit(recipe, tiny.dataset(2), tmp_path, resume=True, say=lambda line: None)
    assert read_bundle(directory).manifest.golden == read_bundle(refitted_run[1]).manifest.golden


def test_only_the_model_that_is_published_is_watched(refitted_run: tuple[Path, Path, list[int]]) -> None:
    assert refitted_run[2] == [1, 2]


def test_pass_in_batches_means_over_texts() -> None:
    """The last batch has fewer texts, and weighs less."""
    values = iter([1.0, 2.0, 6.0])
    empty = np.zeros(0, np.float32)
    batches = [Batch(empty, empty, empty, empty, texts) for texts in (2, 2, 1)]
    found = mean_over(lambda *_, **__: {"loss": next(values)}, batches, 5)
    assert found == {"loss": pytest.approx((1 * 2 + 2 * 2 + 6) / 5)}


def test_three_labels_have_three_scores(stopped_run: tuple[Path, Path]) -> None:
    manifest = read_bundle(stopped_run[1]).manifest
    assert [label.name for label in manifest.labels] == ["label-0", "label-1", "label-2"]
    assert all(len(golden.scores) == 3 and sum(golden.scores) == pytest.approx(1) for golden in manifest.golden)


def test_bundle_names_the_texts_without_a_label_that_it_was_made_from(tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4", "w11 w12"])
    recipe = tiny.recipe(unlabelled=True, teacher=True, epochs=1)
    data = read_bundle(fit(recipe, dataset, tmp_path, say=lambda line: None)).manifest.data
    assert (data["unlabelled"], data["unlabelled_sha256"]) == (2, dataset.unlabelled_sha256)


@pytest.fixture
def taught(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recipe with everything that comes before it: vectors, reading, a linear teacher and another network."""
    network = (Embedding(4), SpatialDropout(0.2), Recurrent("lstm", 4))
    elder = tiny.recipe(name="elder", unlabelled=True, teacher=True, epochs=2, network=network)
    monkeypatch.setitem(RECIPES, elder.id, elder)
    return tiny.recipe(
        unlabelled=True,
        teacher=True,
        teachers=(elder.id,),
        pretrain=1,
        epochs=2,
        patience=None,
        keep="last",
        refit=True,
    )


def steps(out: Path) -> list[tuple[str, dict[str, Any]]]:
    found = sorted((out / "runs" / "steps").glob("*.npz"))
    return [(path.name.rpartition("-")[0], dict(np.load(path))) for path in found]


def test_network_that_teaches_has_not_seen_what_it_answers(taught: Any, tiny: Any, tmp_path: Path) -> None:
    """Two of them, each asked about the half that the other read."""
    dataset = tiny.dataset(2).with_unlabelled(
        ["w1 w2 w3 w4", "w11 w12 w13", "w2 w5 w7 w9 w1", "w12 w15 w17", "w3 w4 w1"]
    )
    said: list[str] = []
    parts = hold_out(dataset.train, taught.holdout)
    elder = RECIPES[taught.teachers[0]]
    scores = ask(elder, dataset, parts, 1, Shelf(tmp_path, said.append))
    counts = [int(line.split()[3]) - len(parts[0]) for line in said if line.startswith("elder.v1 on tiny")]
    assert counts == [2, 3]
    assert scores.sum(axis=1) == pytest.approx(np.ones(5))
    assert scores.argmax(axis=1).tolist() == [0, 1, 0, 1, 0]


def test_network_taught_by_labels_alone_answers_all_by_itself(taught: Any, tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4", "w11 w12 w13", "w2 w5 w7"])
    said: list[str] = []
    parts = hold_out(dataset.train, taught.holdout)
    elder = dataclasses.replace(RECIPES[taught.teachers[0]], teacher=False)
    scores = ask(elder, dataset, parts, 1, Shelf(tmp_path, said.append))
    counts = [int(line.split()[3]) for line in said if line.startswith("elder.v1 on tiny")]
    assert counts == [len(parts[0])]
    assert scores.argmax(axis=1).tolist() == [0, 1, 0]


def test_no_test_text_reaches_what_is_learned(taught: Any, tiny: Any, tmp_path: Path) -> None:
    """Other test texts and labels: the same vectors, answers of teachers, weights, temperature and threshold."""
    one = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4", "w11 w12 w13"])
    other = dataclasses.replace(one, test=tiny.dataset(2, seed=5).test)
    bundles = []
    for dataset, out in ((one, tmp_path / "one"), (other, tmp_path / "other")):
        bundles.append(read_bundle(fit(taught, dataset, out, say=lambda line: None)))
    first, second = (sorted(steps(tmp_path / name), key=repr) for name in ("one", "other"))
    assert {name.partition(".")[0] for name, _ in first} == {"vectors", "language", "teacher", "elder"}
    for (name, arrays), (same, others) in zip(first, second, strict=True):
        assert name == same
        assert all(np.array_equal(arrays[key], others[key]) for key in arrays)
    assert bundles[0].manifest.calibration == bundles[1].manifest.calibration
    for a, b in zip(bundles[0].model.layers, bundles[1].model.layers, strict=True):
        assert all(np.array_equal(a.weights[key], b.weights[key]) for key in a.weights)
    assert bundles[0].manifest.metrics != bundles[1].manifest.metrics


def test_interrupted_teacher_goes_on_with_the_run_that_asked_it(taught: Any, tiny: Any, tmp_path: Path) -> None:
    dataset = tiny.dataset(2).with_unlabelled(["w1 w2 w3 w4"])
    with pytest.raises(KeyboardInterrupt):
        fit(taught, dataset, tmp_path, say=tiny.interrupt_after(1))
    assert "elder.v1" not in dict(steps(tmp_path))
    said: list[str] = []
    fit(taught, dataset, tmp_path, resume=True, say=said.append)
    assert said.index("resumed after epoch 1") < said.index(next(line for line in said if line.startswith("epoch   2")))
    assert sum(line.startswith("resumed") for line in said) == 1
    assert {"elder.v1", "language"} <= dict(steps(tmp_path)).keys()
