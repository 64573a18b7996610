"""Parquet keeps its columns' types, is read on from any row, and is written in pieces that can be cut off."""

import builtins
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import FileError, NoParquetError
from app.files.lines import Position
from app.files.open import choose_shape, open_reader, open_writer
from app.files.parquet import ParquetWriter
from app.files.rows import Reader, Told
from tests.files.reading import ANSWER, Memory

MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def write(path: Path, rows: int = 2_500, **columns: Any) -> Path:
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.int32()),
            "text": pa.array([f"text {row}" if row % 5 else None for row in range(rows)]),
            "when": pa.array([MOMENT] * rows, pa.timestamp("us", "UTC")),
            "tags": pa.array([["a", None]] * rows),
            "kind": pa.array(["x", "y"] * (rows // 2)).dictionary_encode(),
            **columns,
        }
    )
    pq.write_table(table, path, row_group_size=1_000)
    return path


@pytest.fixture(autouse=True)
def close_files() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


OPEN: list[Reader] = []


def opened(*given: Any) -> Reader:
    OPEN.append(open_reader(*given))
    return OPEN[-1]


def answer(reader: Reader) -> list[Told]:
    return [ANSWER if row.error is None else Told(None, None, None, (), row.error) for row in reader]


def test_columns_keep_their_types_and_rows_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "in.parquet")
    reader = opened(path, "parquet")
    rows = list(reader)
    assert [(row.line, row.text, row.error) for row in rows[:2]] == [
        (1, "", "the text is missing"),
        (2, "text 1", None),
    ]
    writer = open_writer(reader, choose_shape(reader, rows, "parquet"))
    assert isinstance(writer, ParquetWriter)
    spool, target = tmp_path / "spool", tmp_path / "out.parquet"
    told = answer(opened(path, "parquet"))
    with spool.open("wb") as file:
        for start in range(0, len(rows), 700):  # across batches and row groups
            file.write(writer.write(rows[start : start + 700], told[start : start + 700]))
    writer.join(spool, target)
    before, after = pq.read_table(path), pq.read_table(target)
    assert after.select(before.column_names).equals(before)
    assert after.column("label").to_pylist() == ["pos" if row % 5 else None for row in range(2_500)]
    assert after.column("warnings").to_pylist()[1] == ["text_cut"]
    assert after.column("error").to_pylist()[0] == "the text is missing"


def test_reading_can_go_on_behind_every_row(tmp_path: Path) -> None:
    path = write(tmp_path / "in.parquet")
    for row in (0, 1, 999, 1_000, 1_001, 2_100, 2_499, 2_500):
        reader = opened(path, "parquet")
        reader.move(Position(row, row))
        assert [found.line for found in reader] == list(range(row + 1, 2_501))
        assert reader.position == (2_500, 2_500)


def test_file_without_rows_gives_a_file_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "in.parquet", rows=0)
    reader = opened(path, "parquet")
    assert list(reader) == []
    writer = open_writer(reader, choose_shape(reader, [], "parquet"))
    assert isinstance(writer, ParquetWriter)
    (tmp_path / "spool").write_bytes(b"")
    writer.join(tmp_path / "spool", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").column_names[-5:] == list(Told._fields)


def test_other_formats_have_its_values_as_text(tmp_path: Path) -> None:
    reader = opened(write(tmp_path / "in.parquet", rows=2, n=pa.array([float("nan"), 1.5])), "parquet")
    rows = list(reader)
    told = [ANSWER, ANSWER]
    lines = {
        form: open_writer(reader, choose_shape(reader, rows, form)).write(rows, told).decode().splitlines()[1]
        for form in ("csv", "jsonl", "lines")
    }
    assert lines["csv"].startswith('1,text 1,2026-01-02T03:04:00+00:00,"[""a"", null]",y,1.5,pos')
    assert lines["jsonl"].startswith('{"id": 1, "text": "text 1", "when": "2026-01-02T03:04:00+00:00", "tags": ["a", n')
    assert lines["lines"] == "pos\t0.75\ttext_cut\ttext 1"
    assert '"n": null' in open_writer(reader, choose_shape(reader, rows, "jsonl")).write(rows, told).decode()


def test_texts_of_other_formats_become_columns_of_text(tmp_path: Path) -> None:
    data = b'{"text": "a \\ud800", "n": 1}\n{"text": null, "late": 2}\n'
    reader = opened(Memory(data), "jsonl")
    rows = list(reader)
    writer = open_writer(reader, choose_shape(reader, rows[:1], "parquet"))
    assert isinstance(writer, ParquetWriter)
    (tmp_path / "spool").write_bytes(writer.write(rows, [ANSWER, Told(None, None, None, (), "bad")]))
    writer.join(tmp_path / "spool", tmp_path / "out")
    first, second = pq.read_table(tmp_path / "out").to_pylist()
    assert (first["text"], first["n"], first["other"], first["confidence"]) == ("a \\ud800", "1", None, 0.75)
    assert (second["text"], second["n"], second["other"], second["error"]) == (None, None, '{"late": 2}', "bad")


def test_names_that_are_no_utf8_become_columns_that_are(tmp_path: Path) -> None:
    """Half a surrogate pair is a name that JSON has, and may be escaped as another one is written."""
    data = b'{"text": "a", "\\ud800": 1, "\\\\ud800": 2, "\\udfff": {"\\udfff": 3}}\n'
    reader = opened(Memory(data), "jsonl")
    rows = list(reader)
    writer = open_writer(reader, choose_shape(reader, rows, "parquet"))
    assert isinstance(writer, ParquetWriter)
    (tmp_path / "spool").write_bytes(writer.write(rows, [ANSWER]))
    writer.join(tmp_path / "spool", tmp_path / "out")
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert (row["\\ud800"], row["\\ud800_2"], row["\\udfff"]) == ("1", "2", '{"\\udfff": 3}')
    assert row["label"] == "pos"


def test_broken_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "in.parquet").read_bytes()
    for name, data in (("empty", b""), ("text", b"text\na\n"), ("half", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FileError, match=r"it is (empty|not Parquet)"):
            open_reader(tmp_path / name, "parquet")
    spoiled = bytearray(whole)
    spoiled[len(whole) // 4 : len(whole) // 3] = bytes(len(whole) // 3 - len(whole) // 4)
    (tmp_path / "spoiled").write_bytes(spoiled)
    with pytest.raises(FileError, match=r"row \d+: the file is broken here"):
        list(opened(tmp_path / "spoiled", "parquet"))


def test_column_must_be_there_and_hold_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "in.parquet", rows=2)
    with pytest.raises(FileError, match="no column of texts"):
        open_reader(path, "parquet", "review")
    with pytest.raises(FileError, match="holds something else") as caught:
        open_reader(path, "parquet", "id")
    assert caught.value.hint.endswith("'id' is int32")
    assert [row.text for row in opened(path, "parquet", "kind")] == ["x", "y"]


def test_missing_pyarrow_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    path = write(tmp_path / "in.parquet", rows=2)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NoParquetError, match=r"pip install 'sentopic\[parquet\]'"):
        open_reader(path, "parquet")


def test_texts_that_are_not_utf8_are_bad_alone_and_values_beyond_python_are_kept(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0\5\0\0\0"), pa.py_buffer(b"a\xff\xfehi")]
    )
    path = tmp_path / "in.parquet"
    far = pa.array([9_000_000_000_000_000_000] * 2, pa.timestamp("us"))
    pq.write_table(pa.table({"text": bad, "far": far, "nested": pa.array([[b"a"], None]), "again": bad}), path)
    reader = opened(path, "parquet")
    rows = list(reader)
    assert [(row.text, row.error) for row in rows] == [("", "the text is not UTF-8"), ("hi", None)]
    values = reader.values(rows[0])
    assert values["text"] == values["again"] == "a\\xff\\xfe"
    assert "9000000000000000000" in values["far"]
    for form in ("csv", "jsonl", "parquet", "lines"):
        shape = choose_shape(reader, rows, form)  # type: ignore[arg-type]
        assert open_writer(reader, shape).write(rows, [Told(None, None, None, (), "bad"), ANSWER])
