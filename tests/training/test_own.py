"""A user's table becomes a data set: split without leaks, its words from what is learned alone, nothing quoted."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from app.errors import DataError, UsageError
from app.tokenizers import KERAS
from training.datasets import Dataset, hold_out
from training.datasets.cleaning import Rare
from training.datasets.own import Table, load

Rows = list[tuple[str, str]]


def draw(count: int, labels: Sequence[str] = ("ask", "tell", "beg"), seed: int = 0) -> Rows:
    """Texts of 8 to 20 words; a label likes words of its own, and none is like another text."""
    generator = np.random.default_rng(seed)
    return [
        (" ".join(f"{label}{generator.integers(40)}" if generator.random() < 0.5 else f"w{generator.integers(300)}"
                  for _ in range(generator.integers(8, 21))), label)
        for label in (labels[place % len(labels)] for place in range(count))
    ]  # fmt: skip


def write(folder: Path, rows: Rows, name: str = "t.csv") -> Path:
    with (folder / name).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    return folder / name


def table(path: Path, **said: Any) -> Table:
    return Table(path=path, task="t", **said)


def loaded(folder: Path, rows: Rows, **said: Any) -> Dataset:
    return load(table(write(folder, rows), **said))


def told(dataset: Dataset) -> str:
    assert dataset.audit
    return "\n".join(dataset.audit.describe())


def test_texts_are_split_by_label_and_every_text_stands_once(tmp_path: Path) -> None:
    rows = draw(300)
    dataset = loaded(tmp_path, rows)
    part, held_out = hold_out(dataset.train, "grouped")
    assert sorted(part.texts + held_out.texts + dataset.test.texts) == sorted(text for text, _ in rows)  # type: ignore[operator]
    assert list(dataset.labels) == ["ask", "beg", "tell"]
    for examples, count in ((part, 192), (held_out, 48), (dataset.test, 60)):
        assert len(examples) == count
        assert np.bincount(examples.labels).max() - np.bincount(examples.labels).min() <= 1
    names = list(dataset.labels)
    assert {(text, names[label]) for text, label in zip(part.texts, part.labels, strict=True)} <= set(rows)
    assert "split: 192 to learn from, 48 held out, 60 for the test" in told(dataset)


def test_same_table_gives_the_same_data_set(tmp_path: Path) -> None:
    one, other = loaded(tmp_path, draw(120)), loaded(tmp_path, draw(120))
    assert (one.sha256, one.words, one.examples) == (other.sha256, other.words, other.examples)


def test_word_index_is_of_the_texts_to_learn_from_alone(tmp_path: Path) -> None:
    rows = [(f"{text} only{place}", label) for place, (text, label) in enumerate(draw(200))]
    dataset = loaded(tmp_path, rows)
    part, held_out = hold_out(dataset.train, "grouped")
    own = {word for word in dataset.words if word.startswith("only")}
    assert own == {text.split()[-1] for text in part.texts}
    assert len(own) == len(part) < 200
    assert len(held_out) > 20
    counts = [sum(text.split().count(word) for text in part.texts) for word in dataset.words]
    assert counts == sorted(counts, reverse=True)
    assert (
        f"word index: {len(counts):,} words, from the texts to learn from alone; {sum(c > 1 for c in counts):,}"
        in told(dataset)
    )


def test_nearly_the_same_texts_stand_in_one_part(tmp_path: Path) -> None:
    rows = draw(200)
    rows += [(f"{text} again", label) for text, label in rows if len(text.split()) > 12][:60]
    dataset = loaded(tmp_path, rows)
    part, held_out = hold_out(dataset.train, "grouped")
    firsts = [{text.removesuffix(" again") for text in examples.texts} for examples in (part, held_out, dataset.test)]
    assert len(firsts[0] | firsts[1] | firsts[2]) == sum(map(len, firsts)) == 200
    assert "nearly the same as another: 120 texts in 60 groups; no group stands on both sides of a split" in told(
        dataset
    )


def test_own_test_is_kept_and_what_leaks_from_it_is_not_learned(tmp_path: Path) -> None:
    rows, test = draw(200), draw(40, seed=1)
    leaks = [(f"{text} again", label) for text, label in test if len(text.split()) > 12][:5]
    path = write(tmp_path, [*rows, *leaks, test[0]])
    dataset = load(table(path, test=write(tmp_path, test, "test.csv")))
    assert list(dataset.test.texts) == [text for text, _ in test]
    assert sorted(dataset.train.texts) == sorted(text for text, _ in rows)
    assert "6 texts left out of training, which the test has too, or nearly" in told(dataset)


def test_label_of_the_test_alone_is_refused(tmp_path: Path) -> None:
    test = write(tmp_path, [*draw(10, seed=1), ("what is this", "riddle")], "test.csv")
    with pytest.raises(DataError, match=r"test\.csv, line 12: label 'riddle' stands in the test alone$"):
        load(table(write(tmp_path, draw(100)), test=test))


def test_joined_labels_are_joined_in_the_test_too(tmp_path: Path) -> None:
    rare = [(f"rare thing number {word}", "rare") for word in ("one", "two", "three")]
    test = write(tmp_path, [*draw(10, seed=1), ("another rare thing", "rare")], "test.csv")
    dataset = load(table(write(tmp_path, [*draw(90), *rare]), test=test, rare=Rare(other="ask")))
    assert dataset.test.labels[-1] == list(dataset.labels).index("ask")
    assert "joined as 'ask', as too rare: rare 3" in told(dataset)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (draw(49), "t.csv: 49 different texts with a label are too few to learn from; at least 50"),
        (draw(90, ["ask"]), "t.csv: its texts have one label alone ('ask'), and there is nothing to tell apart"),
        ([("", "a")] * 60, "t.csv: its texts have no label, and there is nothing to tell apart"),
        ([(f"{number} apples", "a") for number in range(60)] + [(f"{number} pears", "b") for number in range(60)],
         "t.csv: its texts are all nearly the same, so that none can be kept for a test"),
        ([(f"{number} {kind}", "ab"[number % 2])
          for kind in ("apples and more", "old pears", "plums there", "figs he ate", "nuts she saw")
          for number in range(20)],
         "t.csv: its texts are nearly the same as each other, so that none can be held out"),
        ([(text, label) for text, _ in draw(60) for label in "ab"],
         "t.csv: each text stands in several rows, and no label of it in most of them (as in lines 2, 3)"),
        (draw(90) + [(f"one and the same long text for number {number}", "alike") for number in range(20)],
         "t.csv: no text of label 'alike' is left to learn from: all are nearly the same as others"),
    ],
)  # fmt: skip
def test_table_that_teaches_nothing_is_refused(rows: Rows, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        loaded(tmp_path, rows)
    assert str(refused.value) == f"{tmp_path}/{says}"


def test_few_texts_and_uneven_labels_are_noted(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, draw(300, ["ask"]) + draw(12, ["tell"]))
    assert "note: the commonest label has 25 times the texts of 'tell': see its recall" in told(dataset)
    assert "note: 312 texts are few: expect wide intervals" in told(dataset)
    assert "312 rows, 312 texts kept" in told(dataset)


def test_what_is_told_quotes_no_text(tmp_path: Path) -> None:
    rows = [*draw(100), draw(1)[0], (draw(1)[0][0], "tell"), ("", "ask"), ("secret words", "")]
    dataset = loaded(tmp_path, rows)
    assert dataset.audit
    lines = [*dataset.audit.describe(), json.dumps(dataset.audit.counts())]
    assert not [line for line in lines if "secret" in line or "ask1" in line]
    assert dataset.audit.counts()["without_label"] == 1


def test_examples_to_publish_are_words_that_several_texts_have(tmp_path: Path) -> None:
    rows = [
        (f"{text} name{place} name{place}", label) for place, (text, label) in enumerate(draw(200, ["ask", "tell"]))
    ]
    dataset = loaded(tmp_path, rows)
    texts = [set(text.split()) for text in hold_out(dataset.train, "grouped")[0].texts]
    assert len(dataset.examples) == 3
    for example in dataset.examples:
        assert all(sum(word in text for text in texts) >= 3 for word in example.split())
    assert [{word.rstrip("0123456789") for word in example.split()} for example in dataset.examples[:2]] == [
        {"ask"},
        {"tell"},
    ]


def test_examples_of_public_texts_are_texts_of_different_labels(tmp_path: Path) -> None:
    rows = draw(120)
    dataset = loaded(tmp_path, rows, quotable=True)
    assert len({dict(rows)[example] for example in dataset.examples}) == 3
    assert set(dataset.examples) <= set(hold_out(dataset.train, "grouped")[0].texts)
    assert dataset.quotable


def test_tokenizer_is_unicode_unless_said_and_the_shipped_contract_can_be_had(tmp_path: Path) -> None:
    rows = [(f"ÄRGER {text}", label) for text, label in draw(100)]
    dataset = loaded(tmp_path, rows)
    assert (dataset.tokenizer.name, dataset.words[0]) == ("unicode", "ärger")
    dataset = loaded(tmp_path, rows, tokenizer="keras")
    assert (dataset.tokenizer, dataset.words[0]) == (KERAS, "Ärger")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (
            "注文した商品",
            "Japanese, which has no spaces between words. --tokenizer japanese; --tokenizer unicode goes on",
        ),
        ("สินค้า", "Thai, which has no spaces between words. There is no tokenizer for it; --tokenizer unicode"),
    ],
)
def test_script_without_spaces_is_asked_about(word: str, says: str, tmp_path: Path) -> None:
    rows = [(f"{word} {text}", label) for text, label in draw(100)]
    rows = [(" ".join(word if place % 2 else w for place, w in enumerate(text.split())), label) for text, label in rows]
    with pytest.raises(UsageError, match=says):
        loaded(tmp_path, rows)
    assert loaded(tmp_path, rows, tokenizer="unicode").tokenizer.name == "unicode"


def test_korean_is_read_by_its_spaces_and_the_better_way_is_named(tmp_path: Path) -> None:
    rows = [
        (" ".join("배송이" if place % 2 else w for place, w in enumerate(text.split())), label)
        for text, label in draw(100)
    ]
    assert "note: its texts seem to be Korean: --tokenizer korean tells its words apart" in told(loaded(tmp_path, rows))


def test_no_more_rows_are_read_than_were_asked_for(tmp_path: Path) -> None:
    assert "60 rows" in told(loaded(tmp_path, draw(300), limit=60))
