"""A labelled file is read as it was written, and what is wrong in it is named with its line."""

import csv
import io
import json
import re
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError, UsageError
from training.datasets.table import Row, read_table

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fault(path: Path, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        list(read_table(path, **columns))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


@given(st.lists(st.tuples(TEXTS, NAMES), min_size=1))
def test_what_was_written_is_read(rows: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, separator in (("a.csv", ","), ("a.tsv", "\t")):
            written = io.StringIO(newline="")
            csv.writer(written, delimiter=separator).writerows([("text", "label"), *rows])
            found = list(read_table(write(Path(folder), name, written.getvalue())))
            assert [(row.text, row.label) for row in found] == rows
        lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
        found = list(read_table(write(Path(folder), "a.jsonl", lines)))
        assert [(row.text, row.label) for row in found] == rows


def test_columns_stand_in_any_order_and_have_any_name(tmp_path: Path) -> None:
    path = write(tmp_path, "A.CSV", "stars,review,who\n5,great,me\n1,bad,you\n")
    assert list(read_table(path, "review", "stars")) == [Row(2, "great", "5"), Row(3, "bad", "1")]


def test_line_is_the_one_that_a_row_begins_in(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\r\n"two\r\nlines",a\r\n\r\nb,c\r\n')
    assert list(read_table(path)) == [Row(2, "two\r\nlines", "a"), Row(5, "b", "c")]
    path = write(tmp_path, "a.jsonl", '\n{"text": "a", "label": "b"}\n \n{"text": "c", "label": "d", "more": [1]}')
    assert list(read_table(path)) == [Row(2, "a", "b"), Row(4, "c", "d")]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_byte_order_mark_is_no_part_of_the_first_column(name: str, tmp_path: Path) -> None:
    content = {"a.csv": "text,label\nx,y\n", "a.tsv": "text\tlabel\nx\ty\n", "a.jsonl": '{"text": "x", "label": "y"}'}
    (row,) = read_table(write(tmp_path, name, b"\xef\xbb\xbf" + content[name].encode()))
    assert (row.text, row.label) == ("x", "y")


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_delimiter_is_the_one_that_finds_the_columns(delimiter: str, tmp_path: Path) -> None:
    """As Excel's "CSV UTF-8" is where a comma stands in numbers: it could be classified, but not learned from."""
    header = (
        delimiter.join(("a,b;c", "text", "label")) if delimiter in "\t|" else delimiter.join(("id", "text", "label"))
    )
    content = f"\ufeff\r\n{header}\r\n" + delimiter.join(("1", '"one, two; three"', "x")) + "\r\n"
    assert list(read_table(write(tmp_path, "a.csv", content))) == [Row(3, "one, two; three", "x")]


def test_huge_text_is_read(tmp_path: Path) -> None:
    text = "word " * 400_000
    assert next(read_table(write(tmp_path, "a.csv", f'text,label\n"{text}",a\n'))).text == text


def test_rows_come_before_the_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label\nx,a\n" + "y,b\n" * 100_000 + "broken\n")
    assert next(read_table(path)) == Row(2, "x", "a")


def test_empty_text_is_a_text_and_space_around_a_label_is_none(tmp_path: Path) -> None:
    assert list(read_table(write(tmp_path, "a.csv", "text,label\n, a \n"))) == [Row(2, "", "a")]


def test_what_is_not_there_is_empty_where_that_was_asked_for(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", '{"text": null, "label": "y"}\n{"text": "x", "label": null}\n{"text": "", "label": " "}'
    )
    assert list(read_table(path, missing=True)) == [Row(1, "", "y"), Row(2, "x", ""), Row(3, "", "")]
    assert list(read_table(write(tmp_path, "a.csv", "text,label\nx,\n,y\n"), missing=True)) == [
        Row(2, "x", ""),
        Row(3, "", "y"),
    ]
    assert fault(path) == ", line 1: 'text' is not text"


def write_parquet(folder: Path, **columns: object) -> Path:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), folder / "a.parquet")
    return folder / "a.parquet"


def test_parquet_is_read_by_its_rows(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, id=[7, 8, 9], body=["ä\nb", "", None], queue=[1.0, None, 3.0])
    assert list(read_table(path, "body", "queue", missing=True)) == [
        Row(1, "ä\nb", "1"),
        Row(2, "", ""),
        Row(3, "", "3"),
    ]
    assert fault(path, text="body", label="queue") == ", line 2: 'queue' is empty"
    assert fault(path) == " has no column 'text'. Its columns: 'id', 'body', 'queue'."
    names = ["a"] * 1_500 + ["b"] * 1_500
    path = write_parquet(tmp_path, text=names, label=names)
    assert [row.label for row in read_table(path)] == names
    assert fault(write_parquet(tmp_path, text=[1], label=["x"])) == ", line 1: 'text' is not text"
    assert fault(write_parquet(tmp_path, text=["x"], label=[0.5])).startswith(", line 1: 'label' is not a name but a f")


def test_parquet_that_asks_for_any_memory_is_one_line(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, text=["a", "x" * 20_000_000], label=["a", "b"])
    assert fault(path) == ": row 2: it is longer than 10000000 bytes"


def test_broken_parquet_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert fault(write(tmp_path, "a.parquet", "text,label\nx,y\n")).startswith(": not to be read as Parquet (")


def test_parquet_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert fault(write(tmp_path, "a.parquet", "x")) == ": Parquet is read by pyarrow: pip install 'sentopic[parquet]'"


def test_whole_number_is_a_label_in_json_too(tmp_path: Path) -> None:
    assert next(read_table(write(tmp_path, "a.jsonl", '{"text": "x", "label": 1}'))).label == "1"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", " has no rows"),
        ("a.csv", "text,label\n\n", " has no rows"),
        ("a.jsonl", "\n \n", " has no rows"),
        ("a.csv", "text;stars\nx;y\n", " has no column 'label'. Its columns: 'text', 'stars'."),
        ("a.tsv", "text;label\nx;y\n", " has no column 'text'. Its columns: 'text;label'."),
        ("a.csv", "text,stars\nx,y\n", " has no column 'label'. Its columns: 'text', 'stars'."),
        ("a.csv", "text,label,text\nx,y,z\n", " has several columns 'text'. Its columns: 'text', 'label', 'text'."),
        ("a.csv", "text,label\nx,y\nx\n", ", line 3: fields: 1, columns: 2"),
        ("a.tsv", 'text\tlabel\n"x\ny"\ta\tb\n', ", line 2: fields: 3, columns: 2"),
        ("a.csv", 'text,label\nx,y\n"open,a\nb,c\n', ", line 3: not to be read as a table (unexpected end of data)"),
        ("a.csv", b"text,label\nx,y\ncaf\xe9,y\n", ", line 3: not UTF-8 (invalid continuation byte)"),
        ("a.csv", "text,label\nx,y\n".encode("utf-16"), ", line 1: not UTF-8 (invalid start byte)"),
        ("a.csv", "text,label\nx, \n", ", line 2: 'label' is empty"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": "x"', ", line 2: not JSON (Expecting ',' delimiter: "),
        ("a.jsonl", "[" * 100_000, ", line 1: not JSON (maximum recursion depth exceeded"),
        ("a.jsonl", '["x", "y"]\n', ", line 1: not a JSON object"),
        ("a.jsonl", '{"text": "x", "stars": 1}', ", line 1: no 'label'. Its keys: 'text', 'stars'."),
        ("a.jsonl", '{"text": null, "label": "y"}', ", line 1: 'text' is not text"),
        ("a.jsonl", '{"text": "x", "label": ["y"]}', ", line 1: 'label' is not a name"),
        (
            "a.jsonl",
            '{"text": "x", "label": true}',
            ", line 1: 'label' is not a name but true or false: labels are texts",
        ),
        ("a.csv", "text,label\rx,y\r", ", line 1: not to be read as a table (a carriage return outside of quotes)"),
        ("a.txt", "x", ": a table's name ends with .csv, .tsv, .jsonl, .parquet"),
    ],
)
def test_fault_is_named_with_its_line(name: str, content: str | bytes, words: str, tmp_path: Path) -> None:
    assert fault(write(tmp_path, name, content)).startswith(words)


def test_texts_are_not_their_own_labels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'text' is said to hold the texts and the labels, too"):
        list(read_table(write(tmp_path, "a.csv", "text\nx\n"), "text", "text"))


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.csv") == ": no such file or directory"
    (tmp_path / "folder.csv").mkdir()
    assert re.match(": is a directory", fault(tmp_path / "folder.csv"))
