"""JSON lines are read one by one, and written again as they stood with the answer behind."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FileError
from app.files.open import choose_shape, open_reader, open_writer
from app.files.rows import Told
from tests.files.reading import ANSWER, Memory, read, read_on, rewrite

TEXTS = st.text(max_size=20)  # halves of surrogate pairs too
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
OBJECTS = st.builds(lambda more, text: {**more, "text": text}, st.dictionaries(TEXTS, SCALARS, max_size=3), TEXTS)


def write(objects: list[dict[str, Any]], *, ascii_only: bool = True) -> bytes:
    lines = [json.dumps(one, ensure_ascii=ascii_only) + "\n" for one in objects]
    return "".join(lines).encode("utf-8", "backslashreplace")


@given(st.lists(OBJECTS, min_size=1, max_size=5), st.booleans())
def test_every_object_comes_back_with_its_answer(objects: list[dict[str, Any]], ascii_only: bool) -> None:
    data = write(objects, ascii_only=ascii_only)
    if data.count(0) > len(data) / 20:
        return
    for line, before in zip(rewrite(data, "jsonl", "jsonl").split(b"\n"), objects, strict=False):
        after = json.loads(line)
        assert {name: after[name] for name in before} == before
        assert len(after) == len(before) + 5
    assert read_on(data, "jsonl")[0] == read(data, "jsonl")


def test_reading_can_go_on_behind_every_row() -> None:
    data = b'{"text": "a"}\n\n{"text": "b"}\nnot json\n{"text": "c"}'
    whole = read(data, "jsonl")
    assert [row.line for row in whole] == [1, 3, 4, 5]
    assert read_on(data, "jsonl") == [whole[count:] for count in range(5)]


def test_line_stays_as_it_stood() -> None:
    data = b'  {"n": 1.10, "n": 1e2 ,"text":"a"}  \r\n'
    assert rewrite(data, "jsonl", "jsonl") == (
        b'{"n": 1.10, "n": 1e2 ,"text":"a", "label": "pos", "confidence": 0.75, "uncertain": false, '
        b'"warnings": ["text_cut"], "error": null}\n'
    )


BAD = {
    b"{": "not JSON (Expecting property name enclosed in double quotes)",
    b'{"text": NaN}': "not JSON",
    b"[" * 100_000: "not JSON",
    b'["a"]': "not a JSON object",
    b'{"text": "a", "x": ' + b'[{"a":' * 100 + b"1" + b"}]" * 100 + b"}": "more than 200 brackets in each other",
    b"{}": "the text is missing",
    b'{"text": null}': "the text is missing",
    b'{"text": 5}': "the text is a number, a list or an object",
    b'{"text": " "}': "there is no text",
    b'{"text": "caf\xe9"}': "not UTF-8 (byte 14: 0xe9)",
    b'{"text": ' + b"9" * 5_000 + b"}": "not JSON",
}


def test_bad_line_is_bad_alone_and_kept() -> None:
    data = b'{"text": "a"}\n' + b"\n".join(BAD) + b'\n{"text": "b"}\n'
    rows = read(data, "jsonl", limit=200_000)
    assert [row.error for row in rows] == [None, *BAD.values(), None]
    assert [row.line for row in rows] == list(range(1, len(BAD) + 3))
    for line, sent in zip(rewrite(data, "jsonl", "jsonl").splitlines()[1:-1], BAD, strict=True):
        kept = json.loads(line)
        assert kept["error"] == BAD[sent]
        assert kept["label"] is None
        if kept["error"].startswith(("not", "more")):
            assert kept["text"] == sent.decode("utf-8", "backslashreplace")


def test_half_a_surrogate_pair_is_written_as_it_was_sent() -> None:
    assert rewrite(b'{"text": "a \\ud800 b"}', "jsonl", "jsonl").startswith(b'{"text": "a \\ud800 b", "label"')
    assert b"\\ud800" in rewrite(b'{"text": "a \\ud800 b"}', "jsonl", "csv")


def test_first_line_says_which_field_has_the_texts() -> None:
    assert [row.text for row in read(b'{"review": "a"}\n{"review": "b", "x": 1}\n', "jsonl")] == ["a", "b"]
    with pytest.raises(FileError, match="line 2: there is no field of texts") as caught:
        read(b'\n{"a": "secret", "b": 2}\n', "jsonl")
    assert caught.value.hint == "looked for 'text'; its fields: 'a', 'b'"


def test_fields_that_a_row_has_already_are_not_overwritten() -> None:
    data = b'{"text": "a"}\n{"text": "b", "label": "x"}\n'
    reader = open_reader(Memory(data), "jsonl")
    rows = list(reader)
    writer = open_writer(reader, choose_shape(reader, rows[:1], "jsonl"))  # as if the second came much later
    first, second = map(json.loads, writer.write(rows, [ANSWER, ANSWER]).splitlines())
    assert first["label"] == "pos"
    assert (second["own_label"], second["label"], second["confidence"]) == ("x", "pos", 0.75)
    for line in rewrite(data, "jsonl", "jsonl").splitlines():
        assert json.loads(line)["sentopic_label"] == "pos"


def test_answer_has_its_name_in_every_row_and_late_fields_of_that_name_get_another() -> None:
    late = b' {"n": 1.10, "own_label" : 1, "label"\t:{"label": ["}", 1e400]}, '
    late += b'"text": "b", "l\\u0061bel": "x" , "error":null } '
    reader = open_reader(Memory(b'{"text": "a"}\n' + late), "jsonl")
    rows = list(reader)
    shape = choose_shape(reader, rows[:1], "jsonl")
    line = open_writer(reader, shape).write(rows, [ANSWER, ANSWER]).splitlines()[1].decode()
    assert line.startswith(
        '{"n": 1.10, "own_label" : 1, "own_own_label"\t:{"label": ["}", 1e400]}, "text": "b", '
        '"own_own_label": "x" , "own_error":null , "label": "pos", "confidence": 0.75, '
    )
    names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
    assert [names.count(name) for name in Told._fields] == [1] * 5
    table = open_writer(reader, choose_shape(reader, rows[:1], "csv")).write(rows, [ANSWER, ANSWER]).decode()
    assert '""own_own_label"": ""x""' in table.splitlines()[1]


@given(st.dictionaries(st.sampled_from([*Told._fields, "text", "own_label", "n"]) | TEXTS, SCALARS | st.lists(SCALARS)))
def test_no_late_field_is_taken_for_the_answer(own: dict[str, Any]) -> None:
    first = b'{"text": "a"}\n'
    reader = open_reader(Memory(first + json.dumps(own, indent=None).encode()), "jsonl")
    rows = list(reader)
    after = json.loads(
        open_writer(reader, choose_shape(reader, rows[:1], "jsonl")).write(rows, [ANSWER, ANSWER]).splitlines()[1]
    )
    assert list(after.items())[-5:] == [*ANSWER._replace(warnings=["text_cut"])._asdict().items()]
    assert list(after.values())[:-5] == list(own.values())


def test_table_has_the_first_rows_columns_and_one_for_all_others() -> None:
    data = b'{"text": "a", "n": [1, null], "b": true}\n{"text": "b", "late": {"x": "\xc3\xa4"}}\n'
    reader = open_reader(Memory(data), "jsonl")
    rows = list(reader)
    writer = open_writer(reader, choose_shape(reader, rows[:1], "csv"))
    assert (writer.head() + writer.write(rows, [ANSWER, ANSWER])).decode().splitlines() == [
        "text,n,b,other,label,confidence,uncertain,warnings,error",
        'a,"[1, null]",true,,pos,0.75,false,text_cut,',
        'b,,,"{""late"": {""x"": ""ä""}}",pos,0.75,false,text_cut,',
    ]


def test_line_that_is_too_long_is_bad_alone_where_reading_goes_on() -> None:
    data = b'{"text": "a"}\n{"text": "' + b"x" * 100 + b'"}\n{"text": "b"}\n'
    with pytest.raises(FileError, match="line 2: it is longer than 50 bytes"):
        read(data, "jsonl", limit=50)
    reader = open_reader(Memory(data), "jsonl", max_line_bytes=50, goes_on=True)
    assert [(row.line, row.text, row.error) for row in reader] == [
        (1, "a", None), (2, "", "it is longer than 50 bytes"), (3, "b", None),
    ]  # fmt: skip
