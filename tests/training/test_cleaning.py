"""Rows become texts, each once and with one label; whatever goes is counted, and what only the user knows is asked."""

import pytest

from app.errors import DataError, UsageError
from app.tokenizers import KERAS, open_tokenizer
from training.datasets.audit import Audit
from training.datasets.cleaning import Rare, Text, clean, name_labels, rename
from training.datasets.table import Row


def cleaned(*rows: tuple[str, str]) -> tuple[list[tuple[int, str]], Audit]:
    """Line and label of each text that is kept."""
    audit = Audit(source="t.csv")
    texts = clean([Row(line, *row) for line, row in enumerate(rows, start=2)], open_tokenizer("unicode"), audit)
    return [(text.line, text.label) for text in texts], audit


def texts(**counts: int) -> list[Text]:
    return [
        Text(1, f"{name} {place}", (name, str(place)), name) for name, count in counts.items() for place in range(count)
    ]


def named(rare: Rare, **counts: int) -> tuple[dict[str, str], Audit]:
    audit = Audit(source="t.csv")
    return name_labels(texts(**counts), rare, audit), audit


def test_rows_without_text_or_label_are_left_out_and_named() -> None:
    kept, audit = cleaned(("good", "a"), ("", "a"), ("bad", ""), ("?!", "b"), ("", ""))
    assert kept == [(2, "a")]
    assert (audit.rows, audit.no_text, audit.no_label) == (5, [3, 5, 6], [4])


def test_same_words_are_the_same_text() -> None:
    kept, audit = cleaned(("It is GOOD", "a"), ("it is good!", "a"), ("is it good", "a"), ("It is GOOD", "a"))
    assert kept == [(2, "a"), (4, "a")]
    assert (audit.repeated, audit.disputed) == (2, [])


def test_text_with_several_labels_has_the_one_of_most_rows_or_is_left_out() -> None:
    rows = [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"), ("y", "b"), ("z", "a"), ("x", "c")]
    kept, audit = cleaned(*rows)
    assert kept == [(5, "b"), (7, "a")]
    assert (audit.disputed, audit.settled, audit.repeated) == ([[2, 3, 8], [4, 5, 6]], 1, 1)


@pytest.mark.parametrize("label", ["x" * 201, "two\nlines", "\x1b[31mred"])
def test_label_that_is_no_name_is_refused_with_its_line(label: str) -> None:
    with pytest.raises(DataError, match=r"^t\.csv, line 2: a label of more than a line or 200 letters$"):
        cleaned(("x", label))


def test_rare_labels_are_asked_about() -> None:
    with pytest.raises(UsageError) as asked:
        named(Rare(), billing=30, biling=3, legal=9, shipping=10)
    assert str(asked.value) == (
        "t.csv: labels with fewer than 10 different texts: 'legal' (9), 'biling' (3). 'biling' may be a slip for "
        "'billing'. Leave them out: --min-examples 10. Join them: --other NAME. Keep those with N: --min-examples N"
    )
    many = {f"rare{number}": 1 for number in range(20)}
    with pytest.raises(UsageError, match=r"'rare7' \(1\) and 12 more\. "):
        named(Rare(), common=30, usual=30, **many)
    with pytest.raises(UsageError) as asked:
        named(Rare(), **{"a whole text that was taken for a label " * 4: 1, "b": 30})
    assert "'a whole text that was taken for a lab...' (1)" in str(asked.value)


def test_rare_labels_are_left_out_or_joined_where_that_was_said() -> None:
    names, audit = named(Rare(min_examples=8), a=20, b=8, c=7)
    assert (names, audit.left_out) == ({"a": "a", "b": "b"}, {"c": 7})
    names, audit = named(Rare(other="rest"), a=20, b=8, c=7)
    assert (names, audit.joined, audit.left_out) == ({"a": "a", "b": "rest", "c": "rest"}, {"b": 8, "c": 7}, {})
    names, audit = named(Rare(other="b", min_examples=9), a=20, b=2, c=7)
    assert names == {"a": "a", "b": "b", "c": "b"}
    assert [text.label for text in rename(texts(c=1, d=1), names)] == ["b"]


def test_joined_label_that_is_still_rare_is_refused() -> None:
    with pytest.raises(DataError, match="joined as 'rest', rare labels have 7 texts, and 10 are needed"):
        named(Rare(other="rest"), a=20, b=20, c=7)


def test_spellings_of_one_label_are_noticed() -> None:
    _, audit = named(Rare(), **{"Billing": 30, "billing": 20, "re  turns": 12, "re turns": 12, "x": 12})
    assert audit.spellings == [["Billing", "billing"], ["re  turns", "re turns"]]


def test_words_are_the_tokenizers() -> None:
    audit = Audit(source="t.csv")
    rows = [Row(1, "STRASSE", "a"), Row(2, "Straße", "a")]
    assert len(clean(rows, KERAS, audit)) == 2
    assert len(clean(rows, open_tokenizer("unicode"), audit)) == 1
