"""What is measured are the service's own answers."""

import asyncio
from typing import Any

import numpy as np
import pytest

from app.answers import Answer
from app.batcher import Batcher
from app.classifier import Classifier
from app.metrics import ModelMetrics
from app.stages import Stages
from app.text import TextEncoder
from training.answers import KNOWN, answer
from training.evaluate import measure_slices

TEXTS = [
    "good good good",
    "bad",
    "good xx xx",
    "good good xx xx",
    "xx yy",
    "",
    "rare",
    "bad good bad good good bad bad",
]


def test_answers_are_those_of_the_service(mood: Any) -> None:
    """Texts too long for a window, without a known word, and mostly unknown among them."""
    manifest, engine = mood.manifest(), mood.engine()
    encoder = TextEncoder(mood.words, 6, 4, "cover")

    async def serve() -> list[Any]:
        batcher = Batcher(engine, max_batch_windows=8, max_queue_windows=100)
        service = Classifier(
            manifest,
            encoder,
            engine,
            batcher,
            ModelMetrics.alone(manifest),
            max_text_chars=200,
            max_explain_windows=100,
        )
        async with service.batcher:
            return list(await service.classify_many(TEXTS, 5, Stages()))

    served = asyncio.run(serve())
    examples = mood.examples(TEXTS, [1, 0, 1, 1, 0, 0, 0, 0])
    found = answer(engine, manifest, mood.words, examples)
    assert all(isinstance(one, Answer) for one in served)
    assert found.scores == pytest.approx(np.stack([one.scores for one in served]))
    assert found.sure.tolist() == [not one.uncertain for one in served]
    assert found.doubtful.tolist() == [False, False, True, False, True, True, True, False]


def test_text_that_is_mostly_unknown_is_not_counted_as_answered(mood: Any) -> None:
    examples = mood.examples(["good good good", "good good good xx xx xx xx"], [1, 1])
    found = answer(mood.engine(), mood.manifest(), mood.words, examples)
    assert found.confidence.tolist() == [pytest.approx(0.8)] * 2
    assert found.evaluate().answered == found.as_slice().answered == 0.5


def test_texts_are_read_as_the_bundle_reads_them_unless_told_otherwise(mood: Any) -> None:
    examples = mood.examples(["good good good bad bad bad bad bad"], [0])
    manifest = mood.manifest()
    assert answer(mood.engine(), manifest, mood.words, examples).guesses.tolist() == [0]
    assert answer(mood.engine(), manifest, mood.words, examples, "first").guesses.tolist() == [1]


@pytest.mark.parametrize(
    ("share", "name"),
    [(0, "less than 50%"), (0.4999, "less than 50%"), (1 / 2, "50% to 80%"), (4 / 5, "80% to 90%"),
     (9 / 10, "90% to 95%"), (19 / 20, "95% to 98%"), (49 / 50, "98% and more"), (1, "all")],
)  # fmt: skip
def test_slice_of_known_words_begins_with_its_lower_end(share: float, name: str) -> None:
    yes = np.array([True])
    assert list(measure_slices(np.array([share]), KNOWN, yes, yes)) == [name]


def test_mistakes_are_found_the_most_confident_first(mood: Any) -> None:
    examples = mood.examples(["good", "bad bad", "good good good", "bad"], [0, 1, 0, 0])
    found = answer(mood.engine(), mood.manifest(), mood.words, examples)
    assert (found.find_mistakes(9), found.find_mistakes(1)) == ([2, 1, 0], [2])
