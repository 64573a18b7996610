"""Feedback changes what is learned, and nothing of what choices are made and figures are measured on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.bounds import Bounds
from app.errors import DataError
from app.feedback import Feedback, FeedbackStore
from training.cli import main
from training.datasets import Dataset, Examples
from training.datasets.feedback import learn_from, read

NAMES = ("billing", "shipping")


def text(number: int) -> str:
    """Unlike every other."""
    return " ".join(f"w{number}x{place}" for place in range(9))


def made() -> Dataset:
    labels = np.arange(50) % 2
    train = Examples([text(number) for number in range(50)], labels, np.arange(50))
    test = Examples([text(number) for number in range(50, 60)], np.arange(10) % 2)
    return Dataset("letters", "letters", dict(zip(NAMES, NAMES, strict=True)), ["a"], train, test, ())


def said(*told: tuple[str | None, str]) -> list[Feedback]:
    return [
        Feedback("", f"{number:016x}", "letters", label, text, float(number))
        for number, (text, label) in enumerate(told)
    ]


def test_new_texts_are_learned_and_neither_held_out_nor_tested() -> None:
    before = made()
    after = learn_from(before, said((text(70), "shipping"), (text(71), "billing")), "grouped")
    learned, held_out = after.parts("grouped")
    was_learned, was_held_out = before.parts("grouped")
    assert [*learned.texts] == [*was_learned.texts, text(70), text(71)]
    assert learned.labels[-2:].tolist() == [1, 0]
    assert [*held_out.texts] == [*was_held_out.texts]
    assert after.test == before.test
    assert len(after.learnable) == 52
    assert after.sha256 != before.sha256


def test_training_text_has_the_label_that_was_said_last() -> None:
    told = said((text(4), "shipping"), (text(6), "billing"), (f"{text(8).upper()}!", "billing"), (text(8), "shipping"))
    after = learn_from(made(), told, "grouped")
    assert after.train.labels[[4, 6, 8]].tolist() == [1, 0, 1]
    assert after.corrections is None
    assert after.heard
    assert (after.heard.changed, after.heard.agreed, after.heard.overruled) == (2, 1, 1)


def test_what_is_checked_on_is_not_learned_not_even_nearly() -> None:
    _, held_out = made().parts("grouped")
    near = f"{text(51)} again"
    after = learn_from(made(), said((text(50), "shipping"), (near, "shipping"), (text(72), "billing")), "grouped")
    assert after.corrections
    assert [*after.corrections.texts] == [text(72)]
    assert after.heard
    assert after.heard.tested == 2
    nearly_held_out = f"{held_out.texts[0]} again"
    assert learn_from(made(), said((nearly_held_out, "billing")), "grouped").corrections is None


def test_what_cannot_be_learned_is_counted() -> None:
    after = learn_from(made(), said((None, "billing"), ("...", "billing"), (text(70), "legal")), "grouped")
    assert after.corrections is None
    assert after.heard
    assert (after.heard.without_text, after.heard.strange, after.heard.added) == (1, 2, 0)
    assert after.heard.describe() == ("feedback: 3 answers; 1 without a text, 2 of no use (another label, or no word)")


def test_groups_and_labels_of_others_stay_as_they_are() -> None:
    train = replace(made().train, mislabelled=np.arange(50) < 5)
    after = learn_from(replace(made(), train=train), said((text(70), "shipping")), "tutorial")
    learned, _ = after.parts("tutorial")
    assert learned.groups is not None
    assert learned.mislabelled is not None
    assert learned.groups[-1] not in learned.groups[:-1]
    assert not learned.mislabelled[-1]


def test_feedback_is_read_from_where_a_service_keeps_it(tmp_path: Path) -> None:
    store = FeedbackStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    (one,) = said((text(70), "shipping"))
    store.put(one, Bounds(9))
    store.close()
    for place in (tmp_path, tmp_path / "jobs.db", f"sqlite:///{tmp_path / 'jobs.db'}"):
        assert read(str(place), "letters") == [one]
        assert read(str(place), "topic") == []


@pytest.mark.parametrize("place", ["none", "nonsense://x"])
def test_place_without_feedback_is_one_line(tmp_path: Path, place: str) -> None:
    with pytest.raises(DataError) as refused:
        read(place if "://" in place else str(tmp_path / place), "letters")
    assert "\n" not in str(refused.value)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "letters.csv"
    rows = [
        f"{text(number // 3)} {'money' if number % 2 else 'parcel'} {number},{NAMES[number % 2]}"
        for number in range(180)
    ]
    path.write_text("text,label\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_command_learns_from_feedback_with_its_words_and_says_so(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FeedbackStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    for one in said(
        ("zebra zebra giraffe money", "shipping"), ("zebra elephant parcel", "shipping"), (None, "billing")
    ):
        store.put(one, Bounds(9))
    store.close()
    out = tmp_path / "out"
    arguments = [
        "fit",
        "--table",
        str(table),
        "--feedback",
        str(tmp_path),
        "--epochs",
        "1",
        "--out",
        str(out),
        "--seed",
        "2",
    ]
    assert main(arguments) == 0
    assert "feedback: 3 answers; 2 texts more to learn from, 1 without a text" in capsys.readouterr().out
    (bundle,) = out.glob("letters/*")
    manifest: dict[str, Any] = json.loads((bundle / "bundle.json").read_text())
    assert manifest["data"]["feedback_added"] == 2
    assert "zebra" in (bundle / "words.txt").read_text().splitlines()
    assert "giraffe" not in (bundle / "bundle.json").read_text()
    assert "What people said of answers" in (bundle / "CARD.md").read_text()


def test_command_without_any_feedback_on_the_task_is_told(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FeedbackStore(f"sqlite:///{tmp_path / 'jobs.db'}").close()
    assert main(["fit", "--table", str(table), "--feedback", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "sentopic-train: nobody has said anything of answers of letters\n"
