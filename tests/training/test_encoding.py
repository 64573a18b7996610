"""What training says of a text is what the service says of it."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.answers import Answer
from app.batcher import Batcher
from app.bundle import Bundle, read_bundle
from app.classifier import Classifier
from app.engines.base import Engine
from app.engines.open import open_engine
from app.metrics import ModelMetrics
from app.settings import SHIPPED
from app.stages import Stages
from training.datasets import Examples
from training.encoding import encode, score_texts
from training.evaluate import evaluate, find_sure

Opened = tuple[Bundle, Engine]


@pytest.fixture(scope="module", params=["sentiment/gru", "topic/lstm"])
def opened(request: pytest.FixtureRequest) -> Opened:
    bundle = read_bundle(Path(SHIPPED) / request.param)
    return bundle, open_engine(bundle, "onnx")


def serve(bundle: Bundle, engine: Engine, texts: list[str]) -> list[Answer]:
    async def scene() -> list[Answer]:
        batcher = Batcher(engine, max_batch_windows=8, max_queue_windows=1_000)
        one = Classifier(
            bundle.manifest,
            bundle.encoder(),
            engine,
            batcher,
            ModelMetrics.alone(bundle.manifest),
            max_text_chars=10**6,
            max_explain_windows=100,
        )
        async with batcher:
            return [found for found in await one.classify_many(texts, 60, Stages()) if isinstance(found, Answer)]

    return asyncio.run(scene())


WORDS = st.sampled_from(["great", "awful", "the", "oil", "dlrs", "film", "qqxz", "vvbn", "!", "not"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(WORDS, max_size=130).map(" ".join), min_size=1, max_size=8))
def test_scores_and_doubts_are_the_services(opened: Opened, texts: list[str]) -> None:
    bundle, engine = opened
    examples = encode(bundle.encoder(), Examples(texts, np.zeros(len(texts), np.int64)))
    scores = score_texts(engine, bundle.manifest, examples)
    served = serve(bundle, engine, texts)
    np.testing.assert_allclose(scores, [answer.scores for answer in served], atol=1e-6)
    sure = find_sure(scores, bundle.manifest.calibration.uncertain_below, examples.doubtful)
    assert sure.tolist() == [not answer.uncertain for answer in served]
    known = [answer.known_words / max(1, answer.total_words) for answer in served]
    assert examples.known.tolist() == known


def test_sure_answer_from_few_known_words_is_not_counted_as_answered(opened: Opened) -> None:
    """Half of the words known is enough, less is not, however sure the model is."""
    bundle, engine = opened
    texts = ["oil great", "oil great qqxz vvbn", "oil great qqxz vvbn mmpf", "", "qqxz"]
    examples = encode(bundle.encoder(), Examples(texts, np.zeros(5, np.int64)))
    assert examples.doubtful.tolist() == [False, False, True, True, True]
    assert examples.known.tolist() == [1, 0.5, 0.4, 0, 0]
    result = evaluate(score_texts(engine, bundle.manifest, examples), examples.labels, 0, examples.doubtful)
    assert result.answered == 0.4


def test_text_without_a_known_word_has_the_labels_shares(opened: Opened) -> None:
    bundle, engine = opened
    examples = encode(bundle.encoder(), Examples(["", "great"], np.zeros(2, np.int64)))
    scores = score_texts(engine, bundle.manifest, examples)
    shares = [label.share for label in bundle.manifest.labels]
    assert scores[0].tolist() == shares
    assert scores[1].tolist() != shares
