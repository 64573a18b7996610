"""Plain lines: every one is a row, and its answer stands beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FileError
from app.files.open import open_reader
from tests.files.reading import Memory, read, read_on, rewrite

LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), max_size=20), min_size=1)


@given(LINES)
def test_result_has_a_line_for_every_line(lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    if data.startswith((b"\xef\xbb\xbf", b"\x1f\x8b")):
        return
    rows = read(data, "lines")
    assert [row.text for row in rows] == [line.removesuffix("\r") for line in lines]
    result = rewrite(data, "lines", "lines").decode().split("\n")[:-1]
    for row, line in zip(rows, result, strict=True):
        beginning = "\t\terror: there is no text\t" if row.error else "pos\t0.75\ttext_cut\t"
        assert line == beginning + row.text
    assert read_on(data, "lines") == [rows[count:] for count in range(len(rows) + 1)]


def test_other_formats_give_one_line_a_row() -> None:
    assert rewrite(b'text\n"a\nb\r\nc"\n', "csv", "lines") == b"pos\t0.75\ttext_cut\ta b c\n"


def test_lines_become_a_table() -> None:
    assert rewrite(b"a, b\nx\xe9\n", "lines", "csv").decode().splitlines() == [
        "text,label,confidence,uncertain,warnings,error",
        '"a, b",pos,0.75,false,text_cut,',
        "x\\xe9,,,,,not UTF-8 (byte 2: 0xe9)",
    ]


def test_line_that_is_too_long_ends_a_file_and_no_stream() -> None:
    data = b"a\n" + b"x" * 100 + b"\nb\n"
    with pytest.raises(FileError, match="line 2"):
        read(data, "lines", limit=50)
    rows = list(open_reader(Memory(data), "lines", max_line_bytes=50, goes_on=True))
    assert [(row.line, row.text, bool(row.error)) for row in rows] == [(1, "a", False), (2, "", True), (3, "b", False)]
