"""`sentopic-train`: exit statuses, and errors of one line that say what to do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.bundle import find_bundles, read_bundle
from training import cli, datasets, listing, recipes


def test_recipes_are_listed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipes"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [*recipes.RECIPES, *recipes.EXERCISES]
    assert cli.main(["recipes", "--json"]) == 0
    described = {entry["recipe"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert {name: described[name]["settings"] for name in recipes.RECIPES} == {
        name: recipe.to_json() for name, recipe in recipes.RECIPES.items()
    }


def test_command_runs_as_a_program_and_lists_without_loading_keras() -> None:
    code = "import sys; from training import cli; s = cli.main(['recipes']); sys.exit(s or 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "topic-gru.v1" in done.stdout


def test_program_prints_an_error_without_a_traceback() -> None:
    command = [sys.executable, "-m", "training.cli", "fit", "topic-gur"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sentopic-train: There is no recipe 'topic-gur'. Near it: topic-gru, topic-lstm.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["fit"],
        ["fit", "topic-gru", "--source", "pickle"],
        ["fit", "topic-gru", "--epochs", "0"],
        ["fit", "topic-gru", "--limit", "many"],
        ["fit", "topic-gru", "--seed", "-1"],
        ["fit", "topic-gru", "--seed", str(2**31)],
        ["evaluate", "bundle"],
        ["recipes", "--yaml"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage: sentopic-train" in capsys.readouterr().err


def failed(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """The one line on stderr of a command that fails."""
    assert cli.main(arguments) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


def test_missing_directory_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    line = failed(["fit", "topic-gru", "--data", "nowhere"], capsys)
    assert line.startswith("sentopic-train: nowhere is not a directory. --data (or SENTOPIC_DATA) names one")


def test_directory_without_data_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras")
    line = failed(["fit", "topic-gru", "--data", str(tmp_path)], capsys)
    assert "has no reuters.npz or reuters21578.tar.gz. Put it there, or leave out --data to download it." in line


def test_data_are_where_the_environment_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTOPIC_DATA", str(tmp_path / "elsewhere"))
    assert "elsewhere is not a directory" in failed(["fit", "topic-gru"], capsys)


def test_broken_data_is_one_line(layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras")
    (tmp_path / "aclImdb_v1.tar.gz").write_bytes(b"not an archive\n" * 100)
    assert "aclImdb_v1.tar.gz is broken" in failed(["fit", "sentiment-gru", "--data", str(tmp_path)], capsys)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted; the same command with --resume goes on"),
        (
            OSError("No space left on device"),
            1,
            "No space left on device (a run that had started goes on with --resume)",
        ),
    ],
)
def test_run_that_ends_early_says_how_to_go_on(
    fault: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keras")

    def load(directory: Path | None, source: str) -> None:
        raise fault

    monkeypatch.setitem(datasets.LOADERS, "imdb", load)
    assert cli.main(["fit", "sentiment-gru"]) == status
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_fit_publishes_a_bundle(layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras")
    data, out = layouts.reviews["archive"](tmp_path), tmp_path / "runs"
    command = ["fit", "sentiment-gru.v1", "--data", str(data), "--epochs", "1", "--limit", "7", "--seed", "5"]
    assert cli.main(command) == 0  # into runs/, below the working directory
    printed = capsys.readouterr()
    assert printed.err == ""
    vectors, first, epoch, last = printed.out.splitlines()
    assert vectors.startswith("vectors: made anew, kept in ")
    assert first.startswith("sentiment-gru.v1 on imdb: 5 texts")
    assert epoch.startswith("epoch   1/1  loss ")
    assert last.startswith("published runs/sentiment/gru: test accuracy ")
    (directory,) = find_bundles(out)
    manifest = read_bundle(directory).manifest
    assert (manifest.recipe["seed"], manifest.data["test"]) == (5, 6)

    assert cli.main([*command, "--resume", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")

    assert "runs/sentiment/gru is published already." in failed(command, capsys, 2)
    assert cli.main([*command, "--replace", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_shipped_bundles_can_be_made_anew_though_they_are_there() -> None:
    makefile = (Path(__file__).resolve().parents[2] / "Makefile").read_text(encoding="utf-8")
    (command,) = (line for line in makefile.splitlines() if "sentopic-train fit" in line)
    assert "--out artifacts" in command
    assert "--replace" in command


def test_steps_of_a_recipe_can_be_taken_one_by_one(
    layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What each made is there for the next command, and for fit."""
    pytest.importorskip("keras")
    given = ["--data", str(layouts.reviews["archive"](tmp_path)), "--limit", "7", "--maxlen", "12"]
    assert cli.main(["vectors", "sentiment-gru.v2", *given]) == 0
    made, counted, *_ = capsys.readouterr().out.splitlines()
    assert made.startswith("vectors: made anew, kept in runs/runs/steps/vectors-")
    assert counted == "20000 vectors of 64 numbers; of some words, the nearest:"
    assert cli.main(["teacher", "sentiment-gru.v2", *given]) == 0
    made, answered = capsys.readouterr().out.splitlines()
    assert made.startswith("teacher: made anew")
    assert answered.endswith("of 5 training texts right, each by one that did not see it")
    assert cli.main(["fit", "sentiment-gru.v2", *given, "--epochs", "1"]) == 0
    assert "teacher: made anew" in (out := capsys.readouterr().out)  # of all texts, for the refit
    assert out.count("made anew") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pretrain", "sentiment-gru.v1"], "has no pretraining"),
        (["teacher", "topic-gru.v1"], "has no teacher"),
        (["vectors", "imdb-gru"], "starts from vectors by chance"),
        (["vectors", "next-number"], "reads no texts"),
    ],
)
def test_step_that_a_recipe_has_not_is_wrong_use(
    arguments: list[str], says: str, layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras")
    for kind in ("reviews", "newswires"):
        getattr(layouts, kind)["npz"](tmp_path)
    assert cli.main([*arguments, "--data", str(tmp_path), "--num-words", "20"]) == 2
    assert says in capsys.readouterr().err


def test_sizes_can_be_changed_and_the_bundle_says_so(
    layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras")
    data = layouts.reviews["npz"](tmp_path / "data")
    command = ["fit", "imdb-lstm", "--data", str(data), "--epochs", "1", "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--maxlen", "20", "--num-words", "60"]) == 0
    (directory,) = find_bundles(tmp_path / "out")
    manifest = read_bundle(directory).manifest
    assert (manifest.text.maxlen, manifest.text.num_words) == (20, 60)
    assert manifest.recipe["changed"] == ["epochs", "maxlen", "num_words"]
    assert "Recipe `imdb-lstm.v1`, epochs changed to 1, maxlen changed to 20" in (directory / "CARD.md").read_text()
    capsys.readouterr()
    assert cli.main([*command, "--maxlen", "10001"]) == 1
    assert "maxlen must be 1 to 10,000, not 10,001" in capsys.readouterr().err


@pytest.mark.parametrize(("recipe", "needs"), [("imdb-lstm", "x_train"), ("reuters-lstm", "x.npy")])
def test_data_of_another_kind_do_not_fit_a_recipe(
    recipe: str, needs: str, layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reviews, newswires = layouts.reviews["npz"](tmp_path / "a"), layouts.newswires["npz"](tmp_path / "b")
    (reviews / "imdb.npz").rename(tmp_path / "reviews.npz")
    (newswires / "reuters.npz").rename(reviews / "imdb.npz")
    (tmp_path / "reviews.npz").rename(newswires / "reuters.npz")
    data = reviews if recipe == "imdb-lstm" else newswires
    assert cli.main(["fit", recipe, "--data", str(data)]) == 1
    assert f"is not the .npz file that Keras publishes: \"There is no item named '{needs}" in capsys.readouterr().err


def test_measured_figures_stand_beside_the_published_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = tmp_path / "measured.json"
    figures = {"accuracy": 0.8093, "accuracy_spread": 0.0021, "loss": 0.4134, "seeds": 3}
    measured.write_text(json.dumps({"imdb-gru.v1": figures, "next-number": "9.41 for 7, 8, 9"}))
    monkeypatch.setattr(listing, "MEASURED", measured)
    assert cli.main(["recipes"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "0.8093 ± 0.0021 (0.4134)" in lines["imdb-gru.v1"]
    assert "±" not in lines["imdb-rnn.v1"]
    assert lines["measured:"].endswith("9.41 for 7, 8, 9")


def test_baseline_is_printed_for_people_and_for_programs(
    layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    command = ["baseline", "imdb", "--data", str(layouts.reviews["npz"](tmp_path))]
    assert cli.main(command) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert cli.main([*command, "--json"]) == 0
    assert {one["windows"] for one in json.loads(capsys.readouterr().out)} == {"first", "last", "cover"}


def test_recipes_are_listed_with_their_parameters_and_published_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipes"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "LSTM 8 (4,384), LSTM 8 (544)" in lines["imdb-stacked-lstm.v1"]
    assert "0.8050" in lines["imdb-stacked-lstm.v1"]
    assert "328,353" in lines["imdb-lstm-500.v1"]
    assert "three numbers to the next" in lines["next-number"]
    assert cli.main(["recipes", "--json"]) == 0
    described = {entry["recipe"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert described["imdb-gru.v1"]["layers"][1] == {"layer": "GRU 8", "parameters": 3_312}
    assert described["reuters-lstm.v1"]["published"]["accuracy"] == 0.71


def test_recipe_is_shown_in_words_and_as_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("keras")
    assert cli.main(["show", "imdb-cnn-lstm", "--picture", str(tmp_path / "layers.png")]) == 0
    assert "598,165" in capsys.readouterr().out
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["show", "next-number"]) == 0
    assert "601" in capsys.readouterr().out
    assert cli.main(["show", "lstm-shapes"]) == 2
    assert "a check of shapes, not a model" in capsys.readouterr().err


def test_numbers_go_on_and_shapes_are_what_the_tutorial_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("keras")
    command = ["fit", "next-number", "--epochs", "2", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "601 parameters (480, 110, 11)" in printed
    learned = json.loads((tmp_path / "next-number" / "result.json").read_text())
    assert cli.main(["next-number", "7", "8", "9", "--out", str(tmp_path)]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(learned["answer"], abs=1e-3)
    assert learned["versions"].keys() == {"sentopic", "keras", "tensorflow"}
    (tmp_path / "next-number" / "model.keras").write_bytes(b"half a mod")
    assert cli.main(["next-number", "7", "8", "9", "--out", str(tmp_path)]) == 1
    assert "is broken. Make it anew: sentopic-train fit next-number" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["next-number", "nan", "8", "9"])
    capsys.readouterr()
    assert cli.main(["fit", "lstm-shapes"]) == 0
    assert "output (32, 4); parameters 144 (Sequential), 144 (functional)" in capsys.readouterr().out
    assert cli.main(["next-number", "1", "2", "3", "--out", str(tmp_path / "none")]) == 1
    assert "sentopic-train fit next-number" in capsys.readouterr().err
