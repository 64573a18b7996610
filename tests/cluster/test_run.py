"""`sentopic classify --cluster`, all but Ray: the same answers as without, gone on with, and nothing twice."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.cli import main
from app.cluster.plan import PLAN
from app.commands import cluster
from app.settings import SHIPPED
from tests.cluster.scenes import Here, read, write

COMMAND = ("classify", "--task", "topic", "--bundle", str(SHIPPED / "topic" / "gru"), "--quiet")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "Child", Here)
    monkeypatch.setattr(Here, "most", 10**9)
    monkeypatch.setattr(Here, "is_away", False)
    monkeypatch.setattr(Here, "asked", [])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for place, rows in enumerate((100, 0, 61)):
        write(tmp_path / "in" / f"{place}.parquet", rows, first=100 * place)
    return tmp_path / "in"


def run(*options: str | Path) -> int:
    return main([*COMMAND, "--cluster", "nowhere", "--part-rows", "50", *map(str, options)])


def test_results_are_what_classify_makes_without_a_cluster(files: Path, tmp_path: Path, capsys: Any) -> None:
    assert run(files, "--output", tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["failed"], sum(told["labels"].values())) == (161, 2, 159)
    tables = []
    for path in sorted(files.iterdir()):
        assert main([*COMMAND, str(path), "--output", str(tmp_path / path.name)]) == 0
        tables.append(pq.read_table(tmp_path / path.name))
    parts = sorted((tmp_path / "out").glob("part-*"))
    assert len(parts) == 2 + 1 + 2
    assert pa.concat_tables(map(pq.read_table, parts)).equals(pa.concat_tables(tables))
    assert pq.read_table(tmp_path / "out").num_rows == 161  # the plan is in nobody's way


def test_interrupted_run_goes_on_and_does_no_part_twice(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    target = tmp_path / "out"
    monkeypatch.setattr(Here, "most", 2)
    assert run(files, "--output", target) == 1
    assert capsys.readouterr().err == "sentopic: the cluster is lost; the same command with --resume goes on\n"
    assert run(files, "--output", target) == 2
    monkeypatch.setattr(Here, "most", 1)
    assert run(files, "--output", target, "--resume") == 1
    (target / ".moving-part-00000-000000000000.parquet.0f").touch()  # of a machine that was killed
    (target / "part-00007-000000000000.parquet").touch()
    monkeypatch.setattr(Here, "most", 10**9)
    assert run(files, "--output", target, "--resume") == 0
    assert len(Here.asked) == len(set(Here.asked)) == 5
    assert [row["id"] for row in read(target)] == [*range(100), *range(200, 261)]
    assert {path.name for path in target.iterdir()} == {PLAN, *Here.asked}
    assert run(files, "--output", target, "--resume") == 0
    assert len(Here.asked) == 5
    assert run(files, "--output", target) == 2
    assert run(files, "--output", target, "--force") == 0
    assert len(Here.asked) == 10


def test_without_its_cluster_a_run_takes_nothing_away(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """With --force it once removed all results, and then looked whether the cluster was there."""
    target = tmp_path / "out"
    assert run(files, "--output", target) == 0
    before = {path: path.read_bytes() for path in target.iterdir()}
    monkeypatch.setattr(Here, "is_away", True)
    capsys.readouterr()
    assert run(files, "--output", target, "--force") == 1
    assert capsys.readouterr().err == "sentopic: the cluster is lost\n"
    assert {path: path.read_bytes() for path in target.iterdir()} == before
    assert run(files, "--output", tmp_path / "new") == 1
    assert not (tmp_path / "new").exists()


def test_run_that_was_to_begin_anew_goes_on_without_beginning_again(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The advice once was to add --resume to --force, which removed what had been done."""
    target = tmp_path / "out"
    assert run(files, "--output", target) == 0
    monkeypatch.setattr(Here, "most", 2)
    capsys.readouterr()
    assert run(files, "--output", target, "--force") == 1
    told = capsys.readouterr().err
    assert told == "sentopic: the cluster is lost; the same command with --resume in place of --force goes on\n"
    with pytest.raises(SystemExit) as refused:
        run(files, "--output", target, "--force", "--resume")
    assert refused.value.code == 2
    monkeypatch.setattr(Here, "most", 10**9)
    assert run(files, "--output", target, "--resume") == 0
    assert len(Here.asked) == 5 + 5


def test_run_that_another_one_was_quicker_than_takes_nothing_from_it(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Both found the place empty; while one waited for its cluster, the other one was done."""
    target, others = tmp_path / "out", list[int]()

    class Slow(Here):
        def _answer(self) -> Any:
            monkeypatch.setattr(cluster, "Child", Here)
            others.append(run(files, "--output", target))
            yield from super()._answer()

    monkeypatch.setattr(cluster, "Child", Slow)
    for options in ((), ("--force",)):
        monkeypatch.setattr(cluster, "Child", Slow)
        others.clear()
        for path in target.glob("*"):
            path.unlink()
        assert run(files, "--output", target, *options) == 1
        assert others == [0]
        assert "out: another run has begun there meanwhile; nothing was changed\n" in capsys.readouterr().err
        assert len(read(target)) == 161


def test_a_lost_or_cut_off_result_is_made_again(files: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert run(files, "--output", target) == 0
    first, second, *_ = sorted(target.glob("part-*"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-20])
    assert run(files, "--output", target, "--resume") == 0
    assert Here.asked[5:] == [first.name, second.name]
    assert len(read(target)) == 161


def test_a_broken_file_is_told_and_once_mended_only_it_is_done_again(files: Path, tmp_path: Path, capsys: Any) -> None:
    target, broken = tmp_path / "out", files / "2.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    assert run(files, "--output", target) == 1
    assert "the file is broken here" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
    write(broken, 70, first=200)
    Here.asked.clear()
    assert run(files, "--output", target, "--resume") == 0
    assert {name[:10] for name in Here.asked} == {"part-00002"}
    assert [row["id"] for row in read(target)] == [*range(100), *range(200, 270)]


def test_a_run_that_says_it_is_done_and_is_not_has_failed(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    answer = Here._answer

    def lie(self: Here) -> Any:
        yield from answer(self)
        (tmp_path / "out" / Here.asked[0]).unlink(missing_ok=True)

    monkeypatch.setattr(Here, "_answer", lie)
    monkeypatch.setattr(Here, "readline", lambda self: next(self._told, b'{"end": true}'))
    monkeypatch.setattr(Here, "most", 3)
    assert run(files, "--output", tmp_path / "out") == 1
    assert "3 results are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "output", "why"),
    [
        ("in", "-", "--output DIR"),
        ("-", "out", "--output DIR"),
        ("in/a.csv", "out", "Parquet"),
        ("in", "a.csv", "Parquet"),
        ("in", "in/2.parquet", "is a file"),
        ("in", "in/out", "lie in each other"),
        ("in", ".", "lie in each other"),
        ("nowhere", "out", "no such file"),
        ("empty", "out", "is empty"),
        ("many", "out", "more in it than Parquet"),
        ("in", "nosuch://out", "nosuch"),
    ],
)
def test_wrong_use_is_one_line(files: Path, tmp_path: Path, capsys: Any, source: str, output: str, why: str) -> None:
    (tmp_path / "many" / "deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    given = [one if one == "-" or "://" in one else str(tmp_path / one) for one in (source, output)]
    assert run(given[0], "--output", given[1]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1
    assert files.is_dir()


@pytest.mark.parametrize("option", ["", "--resume"])
def test_files_of_another_program_are_not_taken_for_an_interrupted_run(
    files: Path, tmp_path: Path, capsys: Any, option: str
) -> None:
    theirs = tmp_path / "out" / "part-00000-c000.snappy.parquet"
    write(theirs, 3)
    assert run(files, "--output", tmp_path / "out", *filter(None, [option])) == 2
    assert "results are in" in capsys.readouterr().err
    assert [one.name for one in (tmp_path / "out").iterdir()] == [theirs.name]


@pytest.mark.parametrize("option", ["--resume", "--force"])
def test_one_directory_under_two_names_is_not_written_over(tmp_path: Path, capsys: Any, option: str) -> None:
    write(tmp_path / "real" / "part-00000.parquet", 3)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for source, output in (("real", "link"), ("link", "real"), ("real", "link/deep"), ("real", "real/../real")):
        assert run(tmp_path / source, "--output", f"{tmp_path}/{output}", option) == 2
        assert "lie in each other" in capsys.readouterr().err
    assert [one.name for one in (tmp_path / "real").iterdir()] == ["part-00000.parquet"]


def test_files_of_other_columns_are_refused_before_anything_is_begun(files: Path, tmp_path: Path, capsys: Any) -> None:
    pq.write_table(pa.table({"text": ["a"], "id": [1]}), files / "3.parquet")
    assert run(files, "--output", tmp_path / "out") == 2
    assert "3.parquet has other columns than" in capsys.readouterr().err
    assert run(files, "--output", tmp_path / "out", "--text", "body") == 1
    assert "looked for 'body'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_client_from_outside_is_refused(files: Path, tmp_path: Path, capsys: Any) -> None:
    assert run(files, "--output", tmp_path / "out", "--cluster", "ray://head:10001") == 2
    assert "does not work through ray://" in capsys.readouterr().err


def test_options_of_a_cluster_want_one(files: Path, tmp_path: Path) -> None:
    assert main([*COMMAND, str(files / "0.parquet"), "--output", str(tmp_path / "a.parquet"), "--engines", "2"]) == 2
    with pytest.raises(SystemExit):
        run(files, "--output", tmp_path / "out", "--engines", "0")
