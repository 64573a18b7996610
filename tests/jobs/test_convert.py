"""A result in another format is what would have been written in it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.files.open import Shape, choose_shape, open_reader, open_writer
from app.files.parquet import ParquetWriter
from app.files.rows import FORMATS, Format, Reader, Told
from app.jobs import convert as convert_module
from app.jobs.convert import convert

LINES = ["oil, prices", 'a "quote"', "", "tab\tand line"]
TOLD = [
    Told("earn", 0.75, False, (), None),
    Told("acq", 0.5, True, ("mostly_unknown_words", "text_cut"), None),
    Told(None, None, None, (), "there is no text"),
    Told("acq", 1.0, True, (), None),
]


def make(path: Path, form: Format) -> Path:
    rows = [{"n": str(number), "text": text} for number, text in enumerate(LINES)]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif form == "csv":
        path.write_text(
            "n;text\n" + "".join('{n};"{0}"\n'.format(row["text"].replace('"', '""'), **row) for row in rows)
        )
    else:
        path.write_text("".join(f"{text}\n" for text in LINES))
    return path


@pytest.fixture
def readers() -> Iterator[list[Reader]]:
    found: list[Reader] = []
    yield found
    for reader in found:
        reader.close()


def write(path: Path, form: Format, to: Format, target: Path, readers: list[Reader]) -> Shape:
    """The result as a job writes it."""
    reader = open_reader(path, form)
    readers.append(reader)
    rows = list(reader)
    shape = choose_shape(reader, rows, to)
    writer = open_writer(reader, shape)
    target.write_bytes(writer.head() + writer.write(rows, TOLD))
    if isinstance(writer, ParquetWriter):
        writer.join(target, target)
    return shape


def read(data: bytes, form: Format) -> Any:
    if form == "parquet":
        return pq.read_table(pa.BufferReader(data)).to_pylist()
    if form == "jsonl":
        return [json.loads(line) for line in data.splitlines()]
    return data.decode().splitlines()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("to", FORMATS)
def test_every_format_becomes_every_other(tmp_path: Path, form: Format, to: Format, readers: list[Reader]) -> None:
    source = make(tmp_path / "in", form)
    shape = write(source, form, form, tmp_path / "native", readers)
    wanted = tmp_path / "wanted"
    write(source, form, to, wanted, readers)
    found = read(b"".join(convert(tmp_path / "native", shape, to)), to)
    expected = read(wanted.read_bytes(), to)
    if (form, to) == ("csv", "csv"):
        expected = [line.replace(";", ",") for line in expected]
        expected[1] = '0,"oil, prices",earn,0.75,false,,'
    assert found == expected
    assert {path.name for path in tmp_path.iterdir()} == {"in", "native", "wanted"}


CLASHES: list[dict[str, Any]] = [
    {"label": "negative", "confidence": 0.5},
    {"confidence": "abc"},
    {"uncertain": []},
    {"label": {"x": 1}},
    {"warnings": 7, "error": "none"},
    {"sentopic_label": "negative", "own_label": 1, "label": 2},
]


@pytest.mark.parametrize("to", ["csv", "parquet", "lines"])
def test_late_fields_that_are_called_as_the_answers_stay_the_users(
    tmp_path: Path, to: Format, readers: list[Reader]
) -> None:
    lines = [{"text": "a"}, *({"text": "b", **more} for more in CLASHES)]
    (tmp_path / "in").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    reader = open_reader(tmp_path / "in", "jsonl")
    readers.append(reader)
    rows = list(reader)
    told = [TOLD[0]] * len(rows)
    found = {}
    for form in ("jsonl", to):
        shape = choose_shape(reader, rows[:1], form)
        writer = open_writer(reader, shape)
        (tmp_path / form).write_bytes(writer.head() + writer.write(rows, told))
        if isinstance(writer, ParquetWriter):
            writer.join(tmp_path / form, tmp_path / form)
        found[form] = shape
    converted = read(b"".join(convert(tmp_path / "jsonl", found["jsonl"], to)), to)
    assert converted == read((tmp_path / to).read_bytes(), to)
    if to == "csv":
        assert converted[0] == "text,other,label,confidence,uncertain,warnings,error"
        assert all(line.endswith(",earn,0.75,false,,") for line in converted[1:])
    elif to == "parquet":
        assert {(row["label"], row["confidence"], row["error"]) for row in converted} == {("earn", 0.75, None)}
    else:
        assert {line.split("\t")[0] for line in converted} == {"earn"}


def test_result_of_long_rows_is_converted_a_few_at_a_time(
    tmp_path: Path, readers: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "in", "csv")
    shape = write(source, "csv", "csv", tmp_path / "native", readers)
    monkeypatch.setattr(convert_module, "_ROWS_BYTES", 1)
    assert len(list(convert(tmp_path / "native", shape, "jsonl"))) == 1 + len(LINES)


def test_result_that_is_left_in_the_middle_leaves_nothing(tmp_path: Path, readers: list[Reader]) -> None:
    shape = write(make(tmp_path / "in", "csv"), "csv", "csv", tmp_path / "native", readers)
    pieces = convert(tmp_path / "native", replace(shape), "parquet")
    next(pieces)
    pieces.close()  # type: ignore[attr-defined] # it is a generator
    assert {path.name for path in tmp_path.iterdir()} == {"in", "native"}


def test_two_conversions_of_one_result_do_not_meet(tmp_path: Path, readers: list[Reader]) -> None:
    shape = write(make(tmp_path / "in", "csv"), "csv", "csv", tmp_path / "result", readers)
    two = [convert(tmp_path / "result", shape, "parquet") for _ in range(2)]
    firsts = [next(pieces) for pieces in two]
    one, other = (read(b"".join([first, *pieces]), "parquet") for first, pieces in zip(firsts, two, strict=True))
    assert one == other
    assert len(one) == len(LINES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "result"]


def test_conversion_that_nobody_wants_ends(tmp_path: Path, readers: list[Reader]) -> None:
    shape = write(make(tmp_path / "in", "csv"), "csv", "csv", tmp_path / "result", readers)
    pieces = convert(tmp_path / "result", shape, "jsonl", is_wanted=lambda: False)
    assert b"".join(pieces) == b""


def test_rows_with_more_fields_than_a_table_may_have_keep_them_in_one(tmp_path: Path, readers: list[Reader]) -> None:
    path = tmp_path / "in.jsonl"
    row = {**{f"k{number}": number for number in range(300_000)}, "text": "oil", "label": "mine"}
    path.write_text(json.dumps(row) + "\n")
    reader = open_reader(path, "jsonl")
    readers.append(reader)
    rows = list(reader)
    shape = choose_shape(reader, rows, "jsonl")
    assert len(shape.columns) <= 10_000
    assert "text" in shape.columns
    assert "label" not in shape.names
    target = tmp_path / "result"
    target.write_bytes(open_writer(reader, shape).write(rows, TOLD[:1]))
    (line,) = read(b"".join(convert(target, shape, "parquet")), "parquet")
    assert (line["text"], line["k0"], line["sentopic_label"], line["confidence"]) == ("oil", "0", "earn", 0.75)
    assert json.loads(line["other"])["k299999"] == 299_999
