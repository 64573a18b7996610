"""`sentopic-train evaluate` tells people and programs the same, and says what is wrong in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.settings import SHIPPED
from training import cli, datasets, error_analysis

GRU, LSTM = str(SHIPPED / "sentiment" / "gru"), str(SHIPPED / "sentiment" / "lstm")
TEXTS = [
    ("I loved every minute of this wonderful film", "Positive"),
    ("A dull, terrible waste of time", "NEGATIVE"),
    ("It was not good, it was awful", "positive"),
    ("qqxz vvbn great mmpf", "positive"),
    ("", "negative"),
]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in TEXTS))
    return str(path)


def evaluated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_figures_are_printed_for_people_and_for_programs(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(evaluated([GRU, "--data", file, "--json"], capsys))
    (figures,) = document["bundles"]
    assert (document["data"], document["words"], "comparison" in document) == (file, None, False)
    assert (figures["texts"], figures["accuracy"]) == (5, 0.8)
    assert figures["confusion"] == {"labels": ["negative", "positive"], "counts": [[2, 0], [1, 2]]}
    slices = figures["by_known_words"]
    assert {name: part["texts"] for name, part in figures["by_words"].items()} == {"0": 1, "1-10": 4}
    assert {name: part["texts"] for name, part in slices.items()} == {"less than 50%": 2, "all": 3}
    assert slices["less than 50%"]["answered"] == 0
    (mistake,) = figures["mistakes"]
    assert (mistake["line"], mistake["text"]) == (3, TEXTS[2][0])
    lines = evaluated([GRU, "--data", file], capsys).splitlines()
    assert lines[0] == f"{GRU} on {file}: 5 texts"
    assert "accuracy           0.8000 (0.3755 to 0.9638)" in lines
    assert "negative                          0.667  1.000  (2)" in lines
    assert "  positive -> negative (1)" in lines
    assert lines[-2:] == [f"  line 3: positive -> negative {mistake['confidence']:.2f}", f"    {mistake['text']}"]


def test_two_bundles_stand_side_by_side_with_what_flipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = json.loads((SHIPPED / "sentiment" / "gru" / "bundle.json").read_text())["golden"]
    words = [word for one in golden for word in one["text"].split()]
    generator = np.random.default_rng(3)
    path = tmp_path / "made.csv"
    made = [" ".join(generator.choice(words, 3)).replace('"', "").replace(",", "") for _ in range(300)]
    path.write_text("stars,review\n" + "".join(f"positive,{text}\n" for text in made))
    command = [GRU, "--compare", LSTM, "--data", str(path), "--text", "review", "--label", "stars"]
    document = json.loads(evaluated([*command, "--json"], capsys))
    one, other = document["bundles"]
    found = document["comparison"]
    assert (one["model"], other["model"]) == ("gru", "lstm")
    assert found["flipped"] == len(found["flips"]) > 20
    gain = found["wrong_to_right"] - found["right_to_wrong"]
    assert (other["accuracy"] - one["accuracy"]) * 300 == pytest.approx(gain, abs=1e-3)
    flip = found["flips"][0]
    assert flip["text"] == made[flip["line"] - 2]
    lines = evaluated(command, capsys).splitlines()
    assert f"{'':19}{GRU}{'':2}{LSTM}".split() == lines[2].split()
    assert lines[3].count(" to ") == 2
    shown = [line.count(" -> ") for line in lines[lines.index("the 20 surest (all of them: --json or --out)") :]]
    assert sum(shown) == 20
    assert sum(line.startswith("  line ") for line in lines) == 20 + len(one["mistakes"]) + len(other["mistakes"])


def test_only_the_first_words_are_read(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = [GRU, "--data", file, "--words", "2"]
    document = json.loads(evaluated([*command, "--json"], capsys))
    assert document["words"] == 2
    assert list(document["bundles"][0]["by_words"]) == ["0", "1-10"]
    assert (
        document["bundles"][0]["loss"] != json.loads(evaluated([*command[:3], "--json"], capsys))["bundles"][0]["loss"]
    )
    assert evaluated(command, capsys).splitlines()[0].endswith("5 texts, of each the first 2 words")


def test_out_holds_the_figures_and_the_confusion(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras")
    out = tmp_path / "new" / "folder"
    printed = evaluated([GRU, "--data", file, "--out", str(out), "--json"], capsys)
    assert (out / "evaluation.json").read_text() == printed
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(out.iterdir())) == 2


def test_test_part_of_a_data_set_is_evaluated(
    layouts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTOPIC_DATA", str(layouts.reviews["npz"](tmp_path)))
    test = datasets.LOADERS["imdb"](tmp_path, "npz").test
    document = json.loads(evaluated([GRU, "--dataset", "imdb", "--json"], capsys))
    assert (document["data"], document["bundles"][0]["texts"]) == ("imdb", len(test))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("sentiment/gru", marks=pytest.mark.slow),
        pytest.param("sentiment/lstm", marks=pytest.mark.slow),
        "topic/gru",
        "topic/lstm",
    ],
)
def test_shipped_figures_are_found_again(
    name: str, real_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTOPIC_DATA", str(real_data))
    data = "imdb" if name.startswith("sentiment") else "reuters"
    (found,) = json.loads(evaluated([str(SHIPPED / name), "--dataset", data, "--json"], capsys))["bundles"]
    sealed = json.loads((SHIPPED / name / "bundle.json").read_text())["metrics"]
    keys = ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "loss", "calibration_error", "answered",
            "answered_accuracy")  # fmt: skip
    assert {key: found[key] for key in keys} == {key: pytest.approx(sealed[f"test_{key}"], abs=2e-6) for key in keys}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere", "--data", "FILE"], 1, "nowhere/bundle.json: no such file or directory"),
        ([GRU, "--data", "none.csv"], 1, "none.csv: no such file or directory"),
        ([GRU, "--data", "FILE", "--label", "stars"], 1, "line 1: no 'stars'. Its keys: 'text', 'label'."),
        ([GRU, "--data", "FILE", "--compare", GRU], 2, "--compare names the same bundle"),
        ([GRU, "--dataset", "imdb", "--text", "review"], 2, "--text and --label name columns of a FILE"),
        ([GRU, "--data", "FILE", "--compare", str(SHIPPED / "topic" / "gru")], 1, "topic/gru has other labels than"),
        ([str(SHIPPED / "topic" / "gru"), "--data", "FILE"], 1, "line 1: 'Positive' is not a label of the bundle"),
    ],
)
def test_fault_is_one_line(
    arguments: list[str], status: int, words: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", *(file if one == "FILE" else one for one in arguments)]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--data", "a.csv", "--dataset", "imdb"], ["--data", "a", "--words", "0"]])
def test_wrong_use_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["evaluate", GRU, *arguments])


def test_interrupted_evaluation_has_nothing_to_resume(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(error_analysis, "analyse", interrupt)
    assert cli.main(["evaluate", GRU, "--data", file]) == 130
    assert capsys.readouterr().err == "sentopic-train: interrupted\n"


def test_keras_is_not_needed_for_figures(file: str) -> None:
    code = "import sys; from training import cli; s = cli.main(sys.argv[1:]); sys.exit(s or 'keras' in sys.modules)"
    command = [sys.executable, "-c", code, "evaluate", GRU, "--data", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("texts", [1, 3000])
def test_reader_that_has_seen_enough_is_no_failure(tmp_path: Path, texts: int) -> None:
    """As of `evaluate ... --json | head`: not a word, whether it is noticed while printing or at the end."""
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n" + "no good,positive\n" * texts)
    command = [sys.executable, "-m", "training.cli", "evaluate", GRU, "--data", str(path), "--compare", LSTM, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(60) == 141
