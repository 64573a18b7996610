"""`sentopic classify`: what it writes, says and leaves behind, whatever becomes of it on the way."""

import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.bulk import Bulk, ChunkSize
from app.bundle import Bundle, read_bundle
from app.cli import main
from app.commands import classification
from app.engines.base import Engine
from app.engines.open import open_engine
from app.files.journal import Journal, Progress, Spool
from app.settings import SHIPPED
from app.synthetic import make_texts
from app.text import TextEncoder

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = SHIPPED / "topic" / "gru"
COMMAND = ("classify", "--task", "topic", "--bundle", str(BUNDLE))
SMALL = 7
"""Rows of a chunk, so that there are many."""


@cache
def opened() -> tuple[Bundle, TextEncoder, Engine]:
    bundle = read_bundle(BUNDLE)
    return bundle, bundle.encoder(), open_engine(bundle, "onnx")


@pytest.fixture(autouse=True)
def small_and_soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    interval = sys.getswitchinterval()
    monkeypatch.setattr(classification, "Bulk", partial(Bulk, size=ChunkSize(rows=SMALL)))
    bundle, encoder, engine = opened()
    monkeypatch.setattr(classification, "read_bundle", lambda *_, **__: bundle)
    monkeypatch.setattr(classification, "open_engine", lambda *_: engine)
    monkeypatch.setattr(Bundle, "encoder", lambda _: encoder)
    yield
    sys.setswitchinterval(interval)


def write_csv(path: Path, rows: int = 60) -> Path:
    texts = make_texts(opened()[0].words, rows, 12)
    texts[9] = ""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*options: str | Path) -> int:
    return main([*COMMAND, *map(str, options)])


def left_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_every_row_has_the_engines_answer_beside_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    assert run(source, "--output", target) == 0
    rows = read_csv(target)
    assert [row["id"] for row in rows] == [str(number) for number in range(60)]
    bundle, encoder, engine = opened()
    names = [label.name for label in bundle.manifest.labels]
    for row in rows:
        if row["id"] == "9":
            assert (row["label"], row["error"]) == ("", "there is no text")
            continue
        scores = bundle.manifest.scores(engine.predict(encoder.encode(row["text"]).windows))
        assert row["label"] == names[scores.index(max(scores))]
        assert float(row["confidence"]) == pytest.approx(max(scores), abs=2e-5)
        assert row["uncertain"] in {"true", "false"}
    assert left_in(tmp_path) == {"in.csv", "out.csv"}
    told = capfd.readouterr()
    assert told.out == ""
    assert re.fullmatch(
        rf"{re.escape(str(source))}, line 11: there is no text\n60 rows, 1 of them bad, [\d.]+ s, [\d,]+ rows/s\n",
        told.err,
    )


def test_result_is_written_as_its_ending_says(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv")
    for name in ("out.jsonl", "out.parquet", "out.tsv", "out.txt", "out"):
        assert run(source, "--output", tmp_path / name, "--quiet") == 0
    found = {
        "jsonl": [json.loads(line)["label"] for line in (tmp_path / "out.jsonl").read_text().splitlines()],
        "parquet": pq.read_table(tmp_path / "out.parquet").column("label").to_pylist(),
        "tsv": [line.split("\t")[2] or None for line in (tmp_path / "out.tsv").read_text().splitlines()][1:],
        "txt": [line.split("\t")[0] or None for line in (tmp_path / "out.txt").read_text().splitlines()],
        "none": [row["label"] or None for row in read_csv(tmp_path / "out")],
    }
    assert len(set(map(tuple, found.values()))) == 1
    assert found["jsonl"][9] is None


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_late_field_that_is_called_as_an_answer_is_not_taken_for_one(tmp_path: Path, form: str) -> None:
    text = " ".join(opened()[0].words[100:120])
    lines = [{"text": text}] * SMALL + [{"text": text, "label": "mine", "confidence": "abc"}]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    target = tmp_path / f"out.{form}"
    assert run(tmp_path / "in.jsonl", "--output", target, "--quiet") == 0
    rows = read_csv(target) if form == "csv" else [json.loads(line) for line in target.read_text().splitlines()]
    assert len({(row["label"], row["confidence"]) for row in rows}) == 1
    own = json.loads(rows[-1]["other"]) if form == "csv" else rows[-1]
    assert (own["own_label"], own["own_confidence"]) == ("mine", "abc")


def test_json_says_what_was_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_csv(tmp_path / "in.csv")
    assert run(source, "--output", tmp_path / "out.csv", "--json", "--quiet") == 0
    told = capfd.readouterr()
    summary = json.loads(told.out)
    assert told.err == ""
    assert (summary["rows"], summary["failed"], summary["rows_before"]) == (60, 1, 0)
    assert sum(summary["labels"].values()) == 59
    assert run(source, "--json", "--quiet") == 0
    told = capfd.readouterr()
    assert json.loads(told.err)["rows"] == 60
    assert told.out == (tmp_path / "out.csv").read_text()


GOOD = b"text\na good one\n"
BAD = {
    "wrong encoding": (0, "café crème".encode("utf-16"), ", line 1: it is UTF-16, not UTF-8"),
    "broken quoting": (
        1,
        GOOD + b'"no end\nand more\n',
        ", line 3: a quote that is opened in this row is never closed",
    ),
    "missing column": (0, b"a,b\n1,2\n", ", line 1: there is no column of texts (looked for 'text'; its columns: 'a'"),
    "100 MB line": (1, GOOD + b"x" * 100_000_000, ", line 3: it is longer than 10000000 bytes"),
    "empty": (0, b"", ": it is empty"),
    "binary": (0, b"\x7fELF\x02\x01" + bytes(1_000), ", line 1: it is a program"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_one_line_with_its_number_and_loses_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    done, data, why = BAD[name]
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(data)
    assert run(source, "--output", target) == 1
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"sentopic: {source}{why}")
    assert not target.exists()
    if done:
        assert f"; 1 rows before it are in {target}.part: mend the file and add --resume" in told
        assert "a good one" in (tmp_path / "out.csv.part").read_text()


def test_mended_file_goes_on_where_it_was_bad(tmp_path: Path) -> None:
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    whole = source.read_bytes()
    lines = whole.splitlines(keepends=True)
    source.write_bytes(b"".join([*lines[:40], b'77,"no end\n', *lines[41:]]))
    assert run(source, "--output", target, "--quiet") == 1
    source.write_bytes(whole)
    assert run(source, "--output", target, "--quiet", "--resume") == 0
    assert [row["id"] for row in read_csv(target)] == [str(number) for number in range(60)]


def test_mended_parquet_is_another_file_and_is_told_to_begin_anew(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was once told to go on with --resume, which then refused it."""
    source, target = tmp_path / "in.parquet", tmp_path / "out.csv"
    texts = ["oil prices rose"] * 30
    pq.write_table(pa.table({"text": [*texts, "x" * 10_000_001]}), source, row_group_size=10)
    assert run(source, "--output", target, "--quiet") == 1
    told = capfd.readouterr().err
    assert told.endswith(
        f"; 30 rows before it are in {target}.part: mend the file and add --force, which begins anew\n"
    )
    pq.write_table(pa.table({"text": texts}), source, row_group_size=10)
    assert run(source, "--output", target, "--quiet", "--force") == 0
    assert len(read_csv(target)) == 30


def test_other_file_or_another_way_does_not_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    interrupt_at(3, source, target)
    part = (tmp_path / "out.csv.part").read_bytes()
    assert run(source, "--output", target) == 2
    assert "--resume goes on, --force begins anew" in capfd.readouterr().err
    assert run(source, "--output", target, "--resume", "--text", "id") == 2
    assert "was begun with another text" in capfd.readouterr().err
    assert run(source, "--output", target, "--resume", "--output-format", "jsonl") == 2
    assert "was begun with another output format" in capfd.readouterr().err
    before = source.read_bytes()
    source.write_bytes(before.replace(b"the", b"teh", 1))
    assert run(source, "--output", target, "--resume") == 2
    assert "is not what" in capfd.readouterr().err
    source.write_bytes(before)
    assert (tmp_path / "out.csv.part").read_bytes() == part
    assert run(source, "--output", target, "--force", "--quiet") == 0
    assert len(read_csv(target)) == 60


class Killed(BaseException):
    """The process ends here, and nothing that it would do comes after."""


def interrupt_at(moment: int, source: Path, target: Path, *options: str) -> bool:
    """Ends a run before the given one of the steps that are safe on disk; False if it has fewer."""
    steps = 0

    def count(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > moment:
                raise Killed
            return real(*given, **more)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", count(os.fsync))
        patch.setattr(Path, "replace", count(Path.replace))
        patch.setattr(Path, "unlink", count(Path.unlink))
        try:
            run(source, "--output", target, "--quiet", *options)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_run_that_ends_before_any_of_its_steps_goes_on_and_does_each_row_once(tmp_path: Path, name: str) -> None:
    source, whole = write_csv(tmp_path / "in.csv", rows=16), tmp_path / f"whole-{name}"
    assert run(source, "--output", whole, "--quiet") == 0
    moment, target = 0, tmp_path / name
    while interrupt_at(moment, source, target):
        assert run(source, "--output", target, "--quiet", "--resume") == 0
        assert left_in(tmp_path) == {"in.csv", whole.name, name}
        if name.endswith("parquet"):
            assert pq.read_table(target).equals(pq.read_table(whole))
        else:
            assert target.read_bytes() == whole.read_bytes()
        target.unlink()
        moment += 1
    assert moment > 10


def test_run_that_is_interrupted_again_and_again_does_each_row_once(tmp_path: Path) -> None:
    """Parquet to Parquet too, whose rows have no place in bytes."""
    run(write_csv(tmp_path / "in.csv"), "--output", tmp_path / "in.parquet", "--quiet")
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    begun = interrupt_at(4, source, target)
    while begun:
        begun = interrupt_at(9, source, target, "--resume")
    found = pq.read_table(target)
    assert found.column("id").to_pylist() == [str(number) for number in range(60)]
    assert found.column_names[-5:] == [
        "sentopic_label", "sentopic_confidence", "sentopic_uncertain", "sentopic_warnings", "sentopic_error",
    ]  # fmt: skip
    assert found.column("label").equals(found.column("sentopic_label"))


def test_finished_run_has_nothing_left_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    assert run(source, "--output", target, "--quiet", "--resume") == 0  # nor is anything there to go on with
    assert run(source, "--output", target, "--resume") == 0
    assert "nothing is left to do" in capfd.readouterr().err
    assert run(source, "--output", target) == 2
    assert "is there already: --force writes over it" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("none.csv",), "none.csv: no such file"),
        ((".",), ".: what format is it"),
        (("in.dat",), "in.dat: what format is it? --format csv|jsonl|parquet|lines"),
        (("-", "--format", "parquet"), "Parquet cannot be read from standard input"),
        (("in.csv", "--output-format", "parquet"), "Parquet cannot be written to standard output"),
        (("in.csv", "--resume"), "only from a file to a file"),
        (("in.csv", "--output", "in.csv"), "in.csv is the input itself"),
        (("in.csv", "--task", "weather"), "there is no task 'weather'; tasks: topic"),
        (("in.csv", "--model", "x"), "task topic has no model 'x'; models: gru"),
    ],
)
def test_wrong_use_is_one_line_and_exits_with_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...], why: str
) -> None:
    write_csv(tmp_path / "in.csv")
    (tmp_path / "in.dat").write_text("a")
    assert run(*options) == 2
    told = capfd.readouterr().err
    assert told.startswith(f"sentopic: {why}")
    assert told.count("\n") == 1


def test_pipe_and_device_are_no_files_and_stay_what_they_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """--force once put a regular file in the place of a pipe."""
    source, pipe = write_csv(tmp_path / "in.csv"), tmp_path / "pipe"
    os.mkfifo(pipe)
    for options in ((), ("--force",), ("--resume",)):
        assert run(source, "--output", pipe, *options) == 2
        assert capfd.readouterr().err == (
            f"sentopic: {pipe}: a pipe or a device, no file (leave --output out, and use > or |)\n"
        )
    assert pipe.is_fifo()
    assert run(pipe) == 2
    assert capfd.readouterr().err == (
        f"sentopic: {pipe}: a pipe or a device, no file (standard input may be one: "
        "COMMAND | sentopic classify - --format csv)\n"
    )
    assert run(source, "--output", tmp_path, "--force") == 2
    assert capfd.readouterr().err == f"sentopic: {tmp_path}: a directory\n"


def test_result_goes_where_a_link_leads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, link, there = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv", tmp_path / "elsewhere" / "there.csv"
    there.parent.mkdir()
    link.symlink_to(there)
    for options in ((), ("--force",)):
        assert run(source, "--output", link, "--quiet", *options) == 0
        assert link.is_symlink()
        assert len(read_csv(there)) == 60
    assert left_in(there.parent) == {"there.csv"}
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert run(source, "--output", tmp_path / "loop.csv") == 2
    assert "a symbolic link to itself" in capfd.readouterr().err


def test_file_without_one_good_row_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_bytes("text\ncafé\ncrème\n".encode("latin-1"))
    assert run(tmp_path / "in.csv", "--output", tmp_path / "out.csv") == 1
    told = capfd.readouterr().err
    assert "in.csv, line 2: not UTF-8 (byte 4: 0xe9)" in told
    assert "no row could be answered" in told
    assert "caf\\xe9,,,,,not UTF-8" in (tmp_path / "out.csv").read_text()


def test_only_the_first_bad_rows_are_told_one_by_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_text("oil prices\n" + "\n" * 50)
    assert run(tmp_path / "in.txt", "--output", tmp_path / "out.txt") == 0
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 12
    assert told[9].endswith("line 11: there is no text")
    assert told[10] == "more bad rows are told in the results alone"
    assert told[11].startswith("51 rows, 50 of them bad")


def test_full_disk_is_one_line_and_the_run_goes_on_later(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    calls = 0

    def fill(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        assert run(source, "--output", target, "--quiet") == 1
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith(": no space left on device; the same command with --resume goes on\n")
    assert run(source, "--output", target, "--quiet", "--resume") == 0
    assert [row["id"] for row in read_csv(target)] == [str(number) for number in range(60)]


@pytest.mark.parametrize("option", ["--resume", "--force", None])
def test_two_runs_do_not_write_one_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str | None
) -> None:
    """A second run with --force once took the first one's result away, and put half a file in its place."""
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    interrupt_at(5, source, target)
    left = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other = Spool(tmp_path / "out.csv.part", None)
    try:
        assert run(source, "--output", target, *([option] if option else [])) == 1
        assert capfd.readouterr().err == f"sentopic: {target}.part: somebody else is writing it\n"
    finally:
        other.close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == left


def test_result_that_somebody_has_taken_away_is_no_others_under_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = write_csv(tmp_path / "in.csv"), tmp_path / "out.csv"
    real = Journal.save

    def replace(self: Journal, about: Mapping[str, Any], progress: Progress) -> None:
        real(self, about, progress)
        (tmp_path / "out.csv.part").unlink(missing_ok=True)
        (tmp_path / "out.csv.part").write_bytes(b"another's")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "save", replace)
        assert run(source, "--output", target, "--quiet") == 1
    assert capfd.readouterr().err == f"sentopic: {target}.part: somebody has moved or removed it\n"
    assert not target.exists()
    assert (tmp_path / "out.csv.part").read_bytes() == b"another's"


def test_run_that_has_done_nothing_leaves_nothing_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(b"")
    assert run(source, "--output", target) == 1
    assert left_in(tmp_path) == {"in.csv"}
    (tmp_path / "out.csv.part").touch()  # as a run leaves it that is killed before its first rows
    write_csv(source)
    capfd.readouterr()
    assert run(source, "--output", target, "--quiet") == 0
    assert left_in(tmp_path) == {"in.csv", "out.csv"}


# ---- As a process


SLOWLY = (
    "import sys; from functools import cache, partial; from app.bulk import Bulk, ChunkSize; from app.cli import main;"
    "from app.commands import classification;"
    "classification.Bulk = partial(Bulk, size=ChunkSize(rows=100)); sys.exit(main())"
)


def start(*options: str | Path, **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SLOWLY, *COMMAND, *map(str, options)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, **streams)


def kill_at_random(source: Path, target: Path, kills: int, seed: int) -> int:
    """Starts a run again and again, kills it somewhere, and lets the last one end; how many of them got anywhere."""
    rng, advanced, rows = random.Random(seed), 0, 0
    for _ in range(kills):
        process = start(source, "--output", target, "--resume", "--quiet", stdin=subprocess.DEVNULL)
        journal = target.with_name(f"{target.name}.progress")
        wanted, end = rows + rng.randrange(1, 1_000), time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            try:
                done = json.loads(journal.read_bytes())["progress"]["rows"]
            except (OSError, ValueError):
                done = 0
            if done >= wanted:
                break
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}
        if process.returncode == 0:
            break
        advanced += done > rows
        rows = done
    last = start(source, "--output", target, "--resume", "--quiet", stdin=subprocess.DEVNULL)
    assert last.communicate(timeout=120)[1] in {b"", f"{target} is there already: nothing is left to do".encode()}
    assert last.returncode == 0
    return advanced


def check_killed(tmp_path: Path, rows: int, kills: int, seed: int) -> None:
    source, target = write_csv(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    assert kill_at_random(source, target, kills, seed) >= min(1, kills - 1)
    found = read_csv(target)
    assert [row["id"] for row in found] == [str(number) for number in range(rows)]
    assert [row["id"] for row in found if row["error"]] == ["9"]
    assert left_in(tmp_path) == {"in.csv", "out.csv"}


def test_killed_run_goes_on_and_does_each_row_once(tmp_path: Path) -> None:
    check_killed(tmp_path, rows=3_000, kills=2, seed=int(time.time()))


@pytest.mark.faults
@pytest.mark.timeout(1_800)
def test_run_that_is_killed_40_times_does_each_row_once(tmp_path: Path) -> None:
    check_killed(tmp_path, rows=60_000, kills=40, seed=int(time.time()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_at_a_chunk_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    source, target = write_csv(tmp_path / "in.csv", 20_000), tmp_path / "out.csv"
    process = start(source, "--output", target)
    while not target.with_name("out.csv.progress").exists():
        time.sleep(0.01)
    process.send_signal(number)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    found = re.search(r"sentopic: interrupted after ([\d,]+) rows; the same command with --resume goes on\n$", told)
    assert found
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv.part").read_text(), newline="")))
    assert len(rows) - 1 == int(found.group(1).replace(",", "")) > 0


def test_pipe_is_answered_as_it_comes(tmp_path: Path) -> None:
    process = start("-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    for text in (b"oil prices rose\n", b"\n", b"wheat and corn\n"):
        process.stdin.write(text)
        process.stdin.flush()
        line = process.stdout.readline()
        assert line.endswith(b"\t" + text)
    assert process.communicate(b"one more", timeout=30)[0].endswith(b"\tone more\n")
    assert process.returncode == 0


def test_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in.csv", 5_000)
    process = start(source, "--quiet", stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"id,text,label,confidence,uncertain,warnings,error\n"
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait(30) == 128 + signal.SIGPIPE
    process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_pipe_is_one_line(number: signal.Signals) -> None:
    process = start("-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"oil\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait(30) == 130  # before its input ends, which would be an end, too
    assert process.communicate()[1] == b"sentopic: interrupted after 1 rows\n"


def test_interrupted_pipe_says_where_its_rows_are_and_nobody_cuts_them_off(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target, part = tmp_path / "out.txt", tmp_path / "out.txt.part"
    process = start("-", "--output", target, stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"oil\n")
    process.stdin.flush()
    end = time.monotonic() + 30
    while not (part.exists() and part.read_bytes().endswith(b"\toil\n")) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert process.communicate()[1].decode() == f"sentopic: interrupted after 1 rows; they are in {part}\n"
    rows = part.read_bytes()
    assert rows.endswith(b"\toil\n")
    assert run("-", "--output", target) == 2
    assert capfd.readouterr().err == (f"sentopic: {part} is of a run that was interrupted: --force begins anew\n")
    assert part.read_bytes() == rows


MEMORY = """
import re, sys
from pathlib import Path
from app.cli import main
main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which only Linux has")
def test_eight_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for rows in (1_000, 8_000):
        source = write_csv(tmp_path / f"{rows}.csv", rows)
        command = [sys.executable, "-c", MEMORY, *COMMAND, source, "--output", tmp_path / f"{rows}.out", "--quiet"]
        peaks.append(int(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout))
    assert peaks[1] < peaks[0] + 20_000
    assert peaks[1] < 250_000
