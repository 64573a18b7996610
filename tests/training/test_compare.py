"""Recipes side by side: what is there is not trained again, and the report says what was measured."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from app.errors import DataError
from training import cli, datasets
from training.compare import Trial, hardest, run_trials, summarise
from training.recipes import Published


@pytest.fixture(scope="module")
def trials(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Trial], list[str]]:
    out, lines = tmp_path_factory.mktemp("compare"), list[str]()
    recipe = tiny.recipe(epochs=2)
    found = list(run_trials([(recipe, 2)], lambda _: tiny.dataset(2), out, lines.append))
    return out, found, lines


def test_each_seed_is_a_trial_of_its_own(trials: tuple[Path, list[Trial], list[str]]) -> None:
    _, (one, other), _ = trials
    assert (one.seed, other.seed) == (1, 2)
    assert one.scores.shape == other.scores.shape == (36, 2)
    assert not np.array_equal(one.scores, other.scores)
    assert len(one.history) == 2


def test_what_is_there_is_not_trained_again(trials: tuple[Path, list[Trial], list[str]], tiny: Any) -> None:
    out, found, _ = trials
    lines: list[str] = []
    again = list(run_trials([(tiny.recipe(epochs=2), 2)], lambda _: tiny.dataset(2), out, lines.append))
    assert lines == []
    assert [trial.accuracy for trial in again] == [trial.accuracy for trial in found]


def test_loss_is_that_of_uncalibrated_scores(trials: tuple[Path, list[Trial], list[str]], tiny: Any) -> None:
    _, (one, _), _ = trials
    labels = tiny.dataset(2).test.labels
    assert one.loss == pytest.approx(-np.log(one.scores[np.arange(36), labels]).mean())
    assert one.accuracy == pytest.approx((one.scores.argmax(axis=1) == labels).mean())


def test_published_epoch_is_one_of_the_two_that_are_asked(
    trials: tuple[Path, list[Trial], list[str]], tiny: Any
) -> None:
    out, (one, _), _ = trials
    assert one.accuracy == pytest.approx(one.best_epoch)
    last = tiny.recipe(epochs=2, keep="last", name="kept-last")
    (kept,) = run_trials([(last, 1)], lambda _: tiny.dataset(2), out, lambda _: None)
    assert kept.accuracy == pytest.approx(kept.last_epoch)
    assert kept.bundle.manifest.recipe["epoch"] == 2


def test_test_part_is_watched_where_the_published_figure_was_picked_on_it(tiny: Any, tmp_path: Path) -> None:
    """And the bundle knows nothing of it."""
    plain = tiny.recipe(epochs=2, keep="last", refit=True, windows="last")
    picked = dataclasses.replace(plain, published=Published(accuracy=0.9, picked_on_test=True))
    (one,) = run_trials([(plain, 1)], lambda _: tiny.dataset(2), tmp_path / "plain", lambda _: None)
    (other,) = run_trials([(picked, 1)], lambda _: tiny.dataset(2), tmp_path / "picked", lambda _: None)
    assert (one.watched, len(other.watched)) == ((), 2)
    assert other.watched[1] == pytest.approx(other.accuracy)
    assert one.bundle.manifest.golden == other.bundle.manifest.golden
    assert (summarise([one]).picked_on_test, summarise([other]).picked_on_test) == (None, round(max(other.watched), 4))


def test_summary_is_mean_and_standard_deviation(trials: tuple[Path, list[Trial], list[str]]) -> None:
    _, (one, other), _ = trials
    pair = [dataclasses.replace(one, accuracy=0.8, loss=0.4), dataclasses.replace(other, accuracy=0.9, loss=0.6)]
    figures = summarise(pair)
    assert (figures.seeds, figures.accuracy, figures.loss) == (2, 0.85, 0.5)
    assert figures.accuracy_spread == pytest.approx(0.0707, abs=1e-4)
    assert summarise(pair[:1]).accuracy_spread == 0


def test_hardest_are_those_most_wrongly_sure_of(trials: tuple[Path, list[Trial], list[str]]) -> None:
    _, (one, _), _ = trials
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    trial = dataclasses.replace(one, scores=scores)
    assert hardest([trial], np.array([1, 1, 1]), 2) == [
        (0, 0, pytest.approx(0.1), pytest.approx(0.9)),
        (2, 0, pytest.approx(0.4), pytest.approx(0.6)),
    ]


@pytest.mark.parametrize("data", ["imdb", "reuters"])
def test_command_writes_a_report_with_its_figures(
    data: str, layouts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Any
) -> None:
    dataset = dataclasses.replace(tiny.dataset(2 if data == "imdb" else 3), name=data)
    monkeypatch.setitem(datasets.LOADERS, data, lambda directory, source: dataset)
    name = "imdb-gru" if data == "imdb" else "reuters-lstm"
    command = ["compare", name, "--seeds", "1", "--epochs", "1", "--out", str(tmp_path), "--no-texts"]
    assert cli.main(command) == 0
    page = (tmp_path / "report.md").read_text()
    assert f"| `{name}.v1` |" in page
    assert "“" not in page
    for figure in ("curves", *(["imdb-roc"] if data == "imdb" else ["reuters-recall", "reuters-confusion"])):
        assert (tmp_path / "report" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "measured.json").read_text())[f"{name}.v1"]["seeds"] == 1


def test_a_recipe_may_have_other_seeds_than_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(datasets.LOADERS, "imdb", lambda directory, source: tiny.dataset(2))
    names = ["imdb-gru", "imdb-rnn:1", "lstm-shapes", "next-number:2"]
    sizes = ["--num-words", "40", "--maxlen", "10"]
    assert cli.main(["compare", *names, "--seeds", "2", "--epochs", "1", *sizes, "--out", str(tmp_path)]) == 0
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert [measured[name]["seeds"] for name in ("imdb-gru.v1", "imdb-rnn.v1")] == [2, 1]
    page = (tmp_path / "report.md").read_text()
    assert "- `lstm-shapes`: output (32, 4); 144 parameters as Sequential, 144 as functional. Published: " in page
    assert re.search(r"- `next-number`: 601 parameters \(480, 110, 11\); \d+\.\d\d, \d+\.\d\d for 7, 8, 9", page)
    capsys.readouterr()
    assert cli.main(["compare", "lstm-shapes"]) == 2
    assert "at least one recipe that reads texts" in capsys.readouterr().err
    for wrong in ("imdb-gru:", "imdb-gru:0", "imdb-gru:x"):
        assert cli.main(["compare", wrong]) == 2
        assert "how many seeds" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["recipe", "data"])
def test_model_of_another_run_does_not_pass_for_this_one(
    change: str, trials: tuple[Path, list[Trial], list[str]], tiny: Any
) -> None:
    out, _, _ = trials
    recipe = tiny.recipe(epochs=1 if change == "recipe" else 2)
    dataset = tiny.dataset(2, noise=change == "data")
    differs = "epochs" if change == "recipe" else "data"
    with pytest.raises(DataError, match=f"holds another model: its {differs} differs. Compare in another --out"):
        next(run_trials([(recipe, 1)], lambda _: dataset, out, lambda _: None))


def test_report_of_a_try_says_so_and_is_not_held_against_published_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(datasets.LOADERS, "imdb", lambda directory, source: tiny.dataset(2))
    options = ["--seeds", "1", "--epochs", "1", "--num-words", "40", "--maxlen", "10", "--limit", "60"]
    assert cli.main(["compare", "imdb-stacked-lstm", *options, "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.md").read_text()
    made_by = "imdb-stacked-lstm --seeds 1 --data DIR --epochs 1 --num-words 40 --maxlen 10 --limit 60`"
    assert f"Made by `sentopic-train compare {made_by}" in page
    assert "0.8050" not in page
    capsys.readouterr()
    assert cli.main(["compare", "imdb-gru", "imdb-gru:2"]) == 2
    assert "named more than once: imdb-gru" in capsys.readouterr().err
