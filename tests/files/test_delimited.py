"""CSV is read row by row, each with its line; what is broken in it is bad alone, as far as that can be known."""

import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FileError
from app.files.open import open_reader
from app.files.rows import Row, without_repeats
from tests.files.reading import ANSWER, Memory, read, read_on, rewrite

FIELDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TABLES = st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=6)


def write(rows: list[tuple[str, ...]], delimiter: str = ",") -> bytes:
    page = io.StringIO()
    csv.writer(page, delimiter=delimiter, lineterminator="\r\n").writerows([("id", "text", "x"), *rows])
    return page.getvalue().encode()


@given(TABLES, st.sampled_from(",;\t|"))
def test_every_table_is_read_and_written_as_it_was(rows: list[tuple[str, ...]], delimiter: str) -> None:
    data = write(rows, delimiter)
    if data.count(0) > len(data) / 20:
        return  # no text
    found = read(data, "csv")
    assert [tuple(row.cells) for row in found] == rows
    assert [row.text for row in found] == [row[1] for row in rows]
    again = list(csv.reader(io.StringIO(rewrite(data, "csv", "csv").decode(), newline=""), delimiter=delimiter))
    assert [tuple(row[:3]) for row in again[1:]] == rows
    assert again[0] == ["id", "text", "x", "label", "confidence", "uncertain", "warnings", "error"]
    for row, cells in zip(rows, again[1:], strict=True):
        good = ["pos", "0.75", "false", "text_cut", ""]
        assert cells[3:] == (good if row[1].strip(" \t\r\n") else ["", "", "", "", "there is no text"])


@given(TABLES)
def test_reading_can_go_on_behind_every_row(rows: list[tuple[str, ...]]) -> None:
    data = write(rows)
    if data.count(0) > len(data) / 20:
        return
    whole = read(data, "csv")
    assert read_on(data, "csv") == [whole[count:] for count in range(len(whole) + 1)]


def test_rows_have_the_line_that_they_begin_in() -> None:
    data = b'\xef\xbb\xbfid,text\n1,"two\nlines"\n\n2,b\n'
    assert [(row.line, row.text) for row in read(data, "csv")] == [(2, "two\nlines"), (5, "b")]


def test_bad_row_is_bad_alone_and_kept() -> None:
    data = b'id,text\n1,"a"b\n2,good\n3\n4,x,y\n5,caf\xe9\n6, \n7,good'
    rows = read(data, "csv")
    assert [(row.line, row.error) for row in rows] == [
        (2, "quotes are broken (',' expected after '\"')"),
        (3, None),
        (4, "fields: 1, columns: 2"),
        (5, "fields: 3, columns: 2"),
        (6, "not UTF-8 (byte 6: 0xe9)"),
        (7, "there is no text"),
        (8, None),
    ]
    assert [row.cells for row in rows] == [
        ["", '1,"a"b'], ["2", "good"], ["", "3"], ["", "4,x,y"], ["5", "caf\\xe9"], ["6", " "], ["7", "good"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'text\na\n"open\nb\nc\n', "line 3: a quote that is opened in this row is never closed"),
        (b'text\na\n"open\nb\n"c\n', "line 3: a quote that is opened in this row is closed in line 5 where no field"),
        (b'text\na\n"' + b"x" * 500 + b"\n" + b"y" * 600, "line 3: a quote .* is not closed within 1000 bytes"),
        (b"text\na\n" + b"x" * 2_000, "line 3: it is longer than 1000 bytes"),
    ],
)
def test_file_ends_where_no_row_can_be_told_from_the_next(data: bytes, why: str) -> None:
    with pytest.raises(FileError, match=why):
        list(_reader(data))
    rows = _reader(data)
    assert next(rows).text == "a"


def test_carriage_return_outside_of_quotes_is_told_in_plain_words() -> None:
    assert [row.error for row in read(b"text,b\na\rb,1\nc,2\n", "csv")] == [
        "quotes are broken (a carriage return outside of quotes)", None
    ]  # fmt: skip


def _reader(data: bytes) -> Iterator[Row]:
    return iter(open_reader(Memory(data), "csv", max_line_bytes=1_000))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a,b\n1,2\n", "line 1: there is no column of texts"),
        (b"text,text\n1,2\n", "line 1: there are several columns of texts"),
        (b"\n\n", "there is no header"),
        (b"te\xe9xt,b\n", "line 1: the header is not UTF-8"),
        (b"text,b\ra,1\r", "line 1: its lines end with a carriage return alone, or it is no table"),
        (b'"text\nand no end', "line 1: a quote that is opened in this row is never closed"),
    ],
)
def test_file_without_its_column_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FileError, match=why) as caught:
        read(data, "csv")
    assert "1,2" not in str(caught.value)


def test_column_is_named_or_the_only_one_or_called_text() -> None:
    assert [row.text for row in read(b"review\nfine\n", "csv")] == ["fine"]
    assert [row.text for row in read(b"a,review\n1,fine\n", "csv", "review")] == ["fine"]
    assert [row.text for row in read(b"a,text\n1,fine\n", "csv")] == ["fine"]


def test_delimiter_is_the_one_that_finds_the_column() -> None:
    assert [row.text for row in read(b"a|b;text\n1|2;fine\n", "csv")] == ["fine"]
    assert [row.text for row in read(b"a,b;c;d\n1,2;3;4\n", "csv", "c")] == ["3"]


def test_columns_that_the_file_has_already_are_not_overwritten() -> None:
    data = b"text,label,sentopic_label,error\na,1,2,3\n"
    header, row = rewrite(data, "csv", "csv").decode().splitlines()
    assert header == (
        "text,label,sentopic_label,error,sentopic_sentopic_label,confidence,uncertain,warnings,sentopic_error"
    )
    assert row == "a,1,2,3,pos,0.75,false,text_cut,"


def test_table_has_no_more_columns_than_anybody_has() -> None:
    names = without_repeats(["a_2", *["a"] * 9_998, "a_7"])
    assert len(names) == len(set(names)) == 10_000
    assert names[:4] == ["a_2", "a", "a_3", "a_4"]
    for columns in (["a"] * 500_000, ["a" * 100_001, "b" * 100_000]):
        with pytest.raises(FileError, match="more than 10,000 columns"):
            without_repeats(columns)


def test_columns_of_one_name_are_both_kept() -> None:
    data = b"text,a,a\nx,1,2\n"
    assert rewrite(data, "csv", "csv").splitlines()[1].startswith(b"x,1,2,pos")
    assert b'{"text": "x", "a": "1", "a_2": "2", "label": "pos"' in rewrite(data, "csv", "jsonl", ANSWER)


def test_row_of_very_many_lines_takes_memory_by_its_bytes() -> None:
    """Each of its lines was kept for itself, at some sixty bytes beyond its own: 10 MB of them took half a gigabyte."""
    lines = 500_000
    data = b'text,x\n"' + b"a\n" * lines + b'",1\n"' + b"b\n" * lines
    reader = open_reader(Memory(data, piece=2**16), "csv", None, max_line_bytes=2 * lines + 10)
    tracemalloc.start()
    try:
        assert len(next(iter(reader)).text) == 2 * lines
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * lines * 16


def test_spoiled_row_of_several_lines_is_kept_as_it_stood() -> None:
    (row,) = read('text,x\n"one\r\ntwo é\n\xe9"\n'.encode("latin-1"), "csv")
    assert row.error == "fields: 1, columns: 2"
    assert row.cells == ['"one\r\ntwo \\xe9\n\\xe9"', ""]
