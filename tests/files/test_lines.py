"""Lines are bounded, begin where they are said to, and come from nothing but text."""

import os
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FileError, LongLineError
from app.files.lines import FileSource, Lines, Position, decode
from tests.files.reading import Memory


@given(st.binary(min_size=1, max_size=200).map(lambda data: data.replace(b"\0", b"a")), st.integers(1, 9))
def test_lines_are_all_of_the_file_and_begin_where_they_say(data: bytes, piece: int) -> None:
    data = b"a" + data
    lines = Lines(Memory(data, piece))
    found, places = [], []
    for line in lines:
        found.append(line)
        places.append((lines.offset, lines.number))
    assert b"".join(found) == data
    assert [line.count(b"\n") for line in found[:-1]] == [1] * (len(found) - 1)
    ends = [len(b"".join(found[:count])) for count in range(1, len(found) + 1)]
    assert places == list(zip(ends, range(1, len(found) + 1), strict=True))


def test_line_at_the_limit_is_read_and_one_over_it_refused_by_its_number() -> None:
    data = b"abc\n" + b"x" * 9 + b"\n" + b"y" * 10 + b"\nrest\n"
    lines = Lines(Memory(data, 4), max_bytes=10)
    assert next(lines) == b"abc\n"
    assert next(lines) == b"x" * 9 + b"\n"
    with pytest.raises(LongLineError, match="line 3: it is longer than 10 bytes"):
        next(lines)
    assert (lines.offset, lines.number) == (14, 2)
    lines.skip_line()
    assert next(lines) == b"rest\n"
    assert (lines.offset, lines.number) == (len(data), 4)


def test_last_line_that_is_too_long_is_skipped_to_the_end() -> None:
    lines = Lines(Memory(b"a\n" + b"x" * 30), max_bytes=10)
    next(lines)
    with pytest.raises(LongLineError):
        next(lines)
    lines.skip_line()
    assert list(lines) == []
    assert lines.offset == 32


def test_endless_line_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"ab\n" + b"x" * 20_000_000)
    lines = Lines(FileSource(path), max_bytes=1_000_000)
    next(lines)
    tracemalloc.start()
    try:
        with pytest.raises(LongLineError):
            next(lines)
        lines.skip_line()
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
        lines.close()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "^it is empty$"),
        ("text\nä".encode("utf-16"), "line 1: it is UTF-16"),
        ("text\na".encode("utf-16-le"), "line 1: it is no text"),
        (b"\x1f\x8b\x08\x00abc", "gzip"),
        (b"PK\x03\x04abc", "zip archive"),
        (b"PAR1abc", "Parquet"),
        (bytes(range(256)) * 4 + bytes(2_000), "no text"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FileError, match=why):
        next(Lines(Memory(data, 10_000)))


def test_byte_order_mark_is_left_out_and_counted() -> None:
    lines = Lines(Memory(b"\xef\xbb\xbfa\n\xef\xbb\xbfb"))
    assert list(lines) == [b"a\n", b"\xef\xbb\xbfb"]
    assert lines.offset == 9


def test_file_is_read_on_from_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthree\n")
    source = FileSource(path)
    lines = Lines(source)
    lines.move(Position(4, 1))
    assert next(lines) == b"two\n"
    assert (lines.offset, lines.number) == (8, 2)
    assert source.is_idle() is False  # files never wait
    source.close()


def test_pipe_is_idle_while_nothing_comes() -> None:
    reading, writing = os.pipe()
    try:
        lines = Lines(FileSource(reading))
        started = time.monotonic()
        assert lines.is_idle()
        assert time.monotonic() - started < 1
        os.write(writing, b"a\nb\n")
        assert not lines.is_idle()
        next(lines)
        assert not lines.is_idle()  # another one is there already
        next(lines)
        assert lines.is_idle()
    finally:
        os.close(reading)
        os.close(writing)


def test_bytes_that_are_not_utf8_are_kept_as_escapes() -> None:
    assert decode(b"caf\xe9!") == ("caf\\xe9!", "not UTF-8 (byte 4: 0xe9)")
    assert decode("café".encode()) == ("café", None)
