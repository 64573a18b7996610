"""An answer is made of a text and of what an engine says of it, without either engine or queue."""

import numpy as np
import pytest

from app.answers import AnswerWarning, Interpreter
from app.bundle import Calibration, Golden, Label, Manifest, Seal, TextSpec
from app.errors import TextTooLongError
from app.text import TextEncoder

WORDS = ["bad", "good", "rare"]


@pytest.fixture
def interpreter() -> Interpreter:
    seal = Seal(sha256="0" * 64, size=1)
    manifest = Manifest(
        task="mood",
        model="m",
        labels=[
            Label(name="sad", display_name="Sad", share=0.7),
            Label(name="glad", display_name="Glad", share=0.3),
        ],
        text=TextSpec(num_words=6, maxlen=4, windows="first"),
        recipe={},
        data={},
        metrics={},
        parameters=1,
        calibration=Calibration(temperature=1, uncertain_below=0.7),
        versions={},
        files={"model.keras": seal, "words.txt": seal},
        golden=[Golden(text="x", scores=[0.5, 0.5])] * 3,
    )
    return Interpreter(manifest, TextEncoder(WORDS, 6, 4, "first"), max_text_chars=30)


def test_answer_ranks_the_engines_probabilities(interpreter: Interpreter) -> None:
    found = interpreter.answer(interpreter.encode("good good"), np.array([[0.25, 0.75]], np.float32))
    assert found.ranking == [1, 0]
    assert found.scores == pytest.approx([0.25, 0.75])
    assert (found.uncertain, found.warnings) == (False, [])


def test_what_is_odd_is_said(interpreter: Interpreter) -> None:
    sure = np.array([[0.1, 0.9]], np.float32)
    cut = interpreter.answer(interpreter.encode("good good good good bad"), sure)
    unknown = interpreter.answer(interpreter.encode("good xx yy"), sure)
    assert (cut.warnings, cut.uncertain) == ([AnswerWarning.TEXT_CUT], False)
    assert (unknown.warnings, unknown.uncertain) == ([AnswerWarning.MOSTLY_UNKNOWN_WORDS], True)


def test_text_without_a_known_word_has_the_labels_shares(interpreter: Interpreter) -> None:
    found = interpreter.answer(interpreter.encode("xx"))
    assert (found.scores, found.uncertain) == ([0.7, 0.3], True)
    assert found.warnings == [AnswerWarning.NO_KNOWN_WORDS]


def test_part_on_which_the_model_overflowed_counts_for_nothing_and_that_is_said(interpreter: Interpreter) -> None:
    text = interpreter.encode("good good")
    whole = interpreter.answer(text, np.zeros((2, 2), np.float32))
    part = interpreter.answer(text, np.array([[0, 0], [0.1, 0.9]], np.float32))
    assert (whole.scores, part.ranking) == ([0.7, 0.3], [1, 0])
    assert whole.warnings == part.warnings == [AnswerWarning.NUMERIC_OVERFLOW]
    assert whole.uncertain
    assert part.uncertain


def test_text_that_is_too_long_is_not_read(interpreter: Interpreter) -> None:
    assert interpreter.encode("good " * 6).known == 3
    with pytest.raises(TextTooLongError, match="30"):
        interpreter.encode("good " * 6 + "x")


def test_every_warning_has_a_sentence() -> None:
    assert all(warning.detail.endswith(".") for warning in AnswerWarning)
