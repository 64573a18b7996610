"""`sentopic-train fit --table`: from a table to a bundle that serves, with clear words on the way."""

import contextlib
import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("keras")

from app.bounds import Bounds
from app.bundle import read_bundle
from app.feedback import Feedback, FeedbackStore
from app.settings import SHIPPED
from training import cli

QUEUES = {
    "billing": "invoice charged twice card refund amount paid bank fee voucher",
    "shipping": "parcel courier delivered late address tracking depot box street neighbour",
    "Straße & Weg": "straße gesperrt umleitung brücke STRAßE weg kreuzung ampel stau baustelle",
}
SHORT = ("--min-examples", "10", "--epochs", "15")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 letters in three queues, one of which has a name that no identifier could have; one label is rare."""
    generator, rows = np.random.default_rng(0), list[tuple[str, str]]()
    for place in range(150):
        queue = [*QUEUES][place % 3]
        words = (
            generator.choice(QUEUES[queue].split(), 6).tolist()
            + generator.choice(["please", "the", "my", "Über"], 6).tolist()
        )
        rows.append((" ".join(generator.permutation(words)), queue))
    rows += [("a lawyer writes to you", "legal"), ("", "billing"), ("no queue at all", "")]
    path = tmp_path_factory.mktemp("own") / "My letters.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("body", "queue"), *rows])
    return path


def command(table: Path, *more: str) -> list[str]:
    return ["fit", "--table", str(table), "--text", "body", "--label", "queue", *more]


@pytest.fixture(scope="module")
def published(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The bundle, and what was printed on the way."""
    out, printed = tmp_path_factory.mktemp("out"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main(command(table, "--task", "letters", *SHORT, "--out", str(out))) == 0
    return out / "letters" / "gru", printed.getvalue().splitlines()


def failed(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int) -> str:
    assert cli.main(arguments) == status
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("sentopic-train: ").removesuffix("\n")


def test_it_says_what_the_table_holds_what_to_expect_and_how_to_serve(published: tuple[Path, list[str]]) -> None:
    bundle, lines = published
    assert lines[0] == "My letters.csv: 153 rows, 150 texts kept"
    assert "left out: 1 row without a label (line 154)" in lines
    assert "left out, as too rare: legal 1" in lines
    expect = next(
        place
        for place, line in enumerate(lines)
        if line.startswith("what to expect, of the held-out texts right: always")
    )
    first = next(place for place, line in enumerate(lines) if line.startswith("epoch   1/15"))
    assert expect < first
    assert lines[-3].startswith(f"published {bundle}: test accuracy ")
    assert lines[-2].startswith("The network is ")
    assert lines[-1] == f"serve it: sentopic serve --bundle {bundle}"


def test_bundle_has_the_report_the_baseline_and_no_text(published: tuple[Path, list[str]], table: Path) -> None:
    bundle, lines = published
    manifest, card = read_bundle(bundle).manifest, (bundle / "CARD.md").read_text(encoding="utf-8")
    assert manifest.text.tokenizer
    assert (manifest.text.tokenizer.name, manifest.text.maxlen, manifest.text.windows) == ("unicode", 20, "cover")
    assert {"rows": 153, "without_label": 1, "rare_left_out": 1}.items() <= manifest.data.items()
    figures = json.loads((bundle / "metrics.json").read_text())
    assert manifest.metrics["baseline_accuracy"] == max(rival["accuracy"] for rival in figures["rivals"])
    assert all(f"- {line}" in card for line in lines[:5])
    assert lines[-2] in card
    assert "none nearly the same as a text to learn from" in card
    assert "`sentopic-train fit --table My letters.csv --task letters --seed 1`" in card
    with table.open(newline="", encoding="utf-8") as stream:
        texts = [row["body"] for row in csv.DictReader(stream) if row["body"]]
    assert not [
        text
        for path in bundle.iterdir()
        if path.suffix in (".md", ".json")
        for text in texts
        if text in path.read_text(encoding="utf-8")
    ]


def test_test_part_of_the_table_can_be_asked_again(
    published: tuple[Path, list[str]], table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cleaned and split as `fit` did it, without a word of how; nothing that was learned is among it."""
    bundle, _ = published
    asked = ["evaluate", str(bundle), "--table", str(table), "--text", "body", "--label", "queue"]
    assert cli.main([*asked, "--json"]) == 0
    (figures,) = json.loads(capsys.readouterr().out)["bundles"]
    measured = json.loads((bundle / "metrics.json").read_text())
    assert figures["confusion"]["counts"] == measured["confusion"]
    assert figures["accuracy"] == pytest.approx(measured["test"]["cover"]["accuracy"], abs=1e-6)
    assert cli.main(asked) == 0
    assert capsys.readouterr().out.startswith(f"{bundle} on {table} (test part): 30 texts\n")


def test_two_bundles_are_compared_on_the_test_part(
    published: tuple[Path, list[str]], table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that learned from feedback, too, which leaves the test as it is. Flips have the table's lines."""
    bundle, _ = published
    store = FeedbackStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    for number in range(9):
        text = f"zebra parcel courier {number} refund"
        store.put(Feedback("", f"{number:016x}", "letters", "billing", text, number), Bounds(99))
    store.close()
    heard = command(table, "--task", "letters", *SHORT[:2], "--epochs", "2", "--out", str(tmp_path), "--quiet")
    assert cli.main([*heard, "--feedback", str(tmp_path)]) == 0
    other = tmp_path / "letters" / "gru"
    assert read_bundle(other).manifest.data["feedback_added"] == 9
    asked = ["evaluate", str(bundle), "--compare", str(other), "--table", str(table), "--json"]
    assert cli.main([*asked, "--text", "body", "--label", "queue"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["texts"] for one in document["bundles"]] == [30, 30]
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert document["comparison"]["flips"]
    for flip in document["comparison"]["flips"]:
        assert rows[flip["line"] - 2]["body"] == flip["text"]


def test_table_that_a_bundle_did_not_learn_from_is_refused(
    published: tuple[Path, list[str]], table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, columns = str(published[0]), ["--text", "body", "--label", "queue"]
    changed = tmp_path / "changed.csv"
    changed.write_text(table.read_text(encoding="utf-8") + 'late,billing\nrare,"new label"\n', encoding="utf-8")
    said = failed(["evaluate", bundle, "--table", str(changed), *columns], capsys, 1)
    assert said.startswith(f"{changed}: its test part is not the one that {bundle} was tested on: another table, ")
    said = failed(["evaluate", bundle, "--table", str(table), "--test", str(changed), *columns], capsys, 2)
    assert said == "it was fit without --test"
    shipped = str(SHIPPED / "sentiment" / "gru")
    said = failed(["evaluate", shipped, "--table", str(table), *columns], capsys, 1)
    assert said.startswith(f"{shipped} does not say which table it was tested on.")
    asked = ["evaluate", bundle, "--data", str(table), "--test", str(changed)]
    assert failed(asked, capsys, 2) == "--test belongs to --table FILE"


def test_test_of_ones_own_is_asked_again(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test, columns = tmp_path / "test.csv", ["--text", "body", "--label", "queue"]
    letters = [f"{word} please {number},billing" for number, word in enumerate(QUEUES["billing"].split())]
    test.write_text("\n".join(["body,queue", *letters, "a thing,"]) + "\n")
    fitted = command(table, "--task", "letters", *SHORT[:2], "--epochs", "1", "--test", str(test))
    assert cli.main([*fitted, "--out", str(tmp_path), "--quiet"]) == 0
    bundle = str(tmp_path / "letters" / "gru")
    asked = ["evaluate", bundle, "--table", str(table), *columns]
    assert failed(asked, capsys, 2) == "it was tested on a table of its own: --test test.csv"
    assert cli.main([*asked, "--test", str(test)]) == 0
    assert f"{bundle} on {test} (test part): {len(letters)} texts" in capsys.readouterr().out


def test_service_has_the_task_with_nothing_else_to_do(published: tuple[Path, list[str]], serve: Any) -> None:
    """The command is the one that the last line tells."""
    program, command, *options = shlex.split(published[1][-1].removeprefix("serve it: "))
    assert (program, command) == ("sentopic", "serve")
    with serve(*options) as url, httpx.Client(base_url=url, timeout=10) as client:
        document = client.get("/openapi.json").json()
        schemas = document["components"]["schemas"]
        assert schemas["LettersAnswer"]["properties"]["label"]["$ref"] == "#/components/schemas/LettersLabel"
        assert schemas["LettersLabel"]["enum"] == ["Straße & Weg", "billing", "shipping"]
        assert document["paths"]["/predict/letters"]["post"]["operationId"] == "predict_letters"
        answer = client.post("/predict/letters", json={"text": "Die STRASSE ist gesperrt: Ampel, Baustelle"}).json()
        assert answer["label"] == "Straße & Weg"
        assert answer["tokens"]["known"] == 4
        (task,) = client.get("/tasks").json()["tasks"]
        assert task["name"] == "letters"
        assert "baseline_accuracy" in task["models"][0]["metrics"]
        assert 'task="letters"' in client.get("/metrics").text


def test_both_engines_answer_alike(published: tuple[Path, list[str]]) -> None:
    from app.engines.open import open_engine

    bundle = read_bundle(published[0])
    assert [open_engine(bundle, name).name for name in ("onnx", "keras")] == ["onnx", "keras"]


def test_interrupted_run_is_kept_under_the_tasks_name(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables of one size have one recipe: without the task, one run would be taken for another's."""
    from training.run import Run

    record = Run.record

    def stop(run: Run, epoch: Any, model: Any) -> None:
        record(run, epoch, model)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "record", stop)
    for task in ("letters", "others"):
        arguments = command(table, "--task", task, *SHORT, "--out", str(tmp_path), "--quiet")
        assert cli.main(arguments) == 130
        assert "the same command with --resume goes on" in capsys.readouterr().err
    assert "holds an unfinished run. Go on with it: --resume" in failed(arguments, capsys, 1)
    kept = {path.name for path in (tmp_path / "runs").iterdir()}
    assert kept == {"letters-own-small.v1-1", "others-own-small.v1-1", "steps"}


def test_check_trains_nothing(table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = command(table, "--task", "letters", "--other", "billing", "--check", "--out", str(tmp_path / "runs"))
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "joined as 'billing', as too rare: legal 1" in printed
    assert printed.splitlines()[-2].startswith("what to expect")
    assert printed.splitlines()[-1].startswith(
        "own-small.v1: embedding 64, GRU 64, maximum and mean over time; 37 words"
    )
    assert not (tmp_path / "runs").exists()


def test_recipe_can_be_named(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(table, "--task", "t", "--min-examples", "10", "--check", "--maxlen", "30")
    assert cli.main(["fit", "topic-lstm.v1", *said[1:]]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "topic-lstm.v1: embedding 128, LSTM 128, LSTM 64, maximum and mean over time; 37 words; texts read to their "
        "first 30 words"
    )


@pytest.mark.parametrize(
    ("task", "would_do"),
    [
        ("My Tickets!", " 'my-tickets' would do."),
        ("runs", ""),
        ("../x", " 'x' would do."),
        ("", ""),
        ("t" * 65, f" {'t' * 64!r} would do."),
        ("ünï", " 'n' would do."),
    ],
)
def test_name_that_cannot_be_served_is_refused(
    task: str, would_do: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = failed(command(table, "--task", task), capsys, 2)
    assert said.startswith(f"--task {task!r} cannot be a task's name: ")
    assert said.endswith(f"and not 'runs'.{would_do}")


def test_without_a_task_the_files_name_is_it_if_it_can_be(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--task 'my letters' cannot be a task's name" in failed(command(table), capsys, 2)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["fit", "--task", "t"], 2, "--task belongs to --table FILE"),
        (["fit", "topic-gru", "--min-examples", "9"], 2, "--min-examples belongs to --table FILE"),
        (["fit", "next-number", "--table", "t.csv"], 2, "next-number reads no texts"),
        (["fit", "own-small.v1"], 2, "own-small.v1 learns from a table of your own: --table FILE"),
        (["fit", "--table", "t.csv"], 1, "t.csv: no such file or directory"),
        (["fit", "--table", "t.txt"], 1, "t.txt: a table's name ends with .csv, .tsv, .jsonl, .parquet"),
        (["fit", "--table", "t.csv", "--source", "npz"], 2, "--source names files of --data DIR; a table has none"),
    ],
    ids=lambda value: shlex.join(value) if isinstance(value, list) else None,
)
def test_wrong_use_is_said_in_one_line(
    arguments: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(arguments, capsys, status) == says


@pytest.mark.parametrize("words", [["compare", "own-small"], ["vectors", "own-small"]], ids=" ".join)
def test_other_commands_say_that_a_table_is_for_fit(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "is trained by `sentopic-train fit --table FILE` alone" in failed(words, capsys, 2)


def test_recipe_for_a_table_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "own-small"]) == 0
    assert "gru_1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit"],
        ["fit", "--table", "t.csv", "--min-examples", "4"],
        ["fit", "--table", "t.csv", "--tokenizer", "klingon"],
    ],
)
def test_missing_or_impossible_options_are_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage: sentopic-train fit" in capsys.readouterr().err


def test_rare_labels_are_asked_about_before_anything_is_trained(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "labels with fewer than 10 different texts: 'legal' (1)" in failed(command(table, "--task", "t"), capsys, 2)
    assert "no column 'text'. Its columns: 'body', 'queue'." in failed(
        ["fit", "--table", str(table), "--task", "t"], capsys, 1
    )
