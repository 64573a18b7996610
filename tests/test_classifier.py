"""A classifier answers texts honestly, one by one and in crowds; a catalog finds the right one."""

import asyncio
import time

import numpy as np
import pytest

from app.answers import Answer, AnswerWarning
from app.batcher import Batcher
from app.bundle import Calibration, Golden, Label, Manifest, Seal, TextSpec
from app.classifier import Catalog, Classifier
from app.engines.base import Precision, Probabilities
from app.errors import DeadlineError, RequestError, TextTooLongError, UnknownModelError, UnknownTaskError
from app.metrics import ModelMetrics
from app.stages import Stages
from app.text import Encoded, Ids, TextEncoder

WORDS = ["bad", "good", "rare"]


class CountingEngine:
    """The share of `good` (id 5) among good and bad (id 4), kept away from 0 and 1."""

    name = "counting"
    precision: Precision = "float32"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, ids: Ids) -> Probabilities:
        self.batches.append(len(ids))
        good, bad = (ids == 5).sum(axis=1) + 1, (ids == 4).sum(axis=1) + 1
        share = good / (good + bad)
        return np.stack([1 - share, share], axis=1).astype(np.float32)


def manifest(task: str = "mood", model: str = "m", accuracy: float = 0.5) -> Manifest:
    seal = Seal(sha256="0" * 64, size=1)
    return Manifest(
        task=task,
        model=model,
        labels=[
            Label(name="sad", display_name="Sad", share=0.7),
            Label(name="glad", display_name="Glad", share=0.3),
        ],
        text=TextSpec(num_words=6, maxlen=4, windows="cover"),
        recipe={},
        data={},
        metrics={"held_out_accuracy": accuracy},
        parameters=1,
        calibration=Calibration(temperature=1, uncertain_below=0.7),
        versions={},
        files={"model.keras": seal, "words.txt": seal},
        golden=[Golden(text="x", scores=[0.5, 0.5])] * 3,
    )


def classifier(engine: CountingEngine | None = None, about: Manifest | None = None) -> Classifier:
    engine = engine or CountingEngine()
    about = about or manifest()
    encoder = TextEncoder(WORDS, about.text.num_words, about.text.maxlen, about.text.windows)
    batcher = Batcher(engine, max_batch_windows=8, max_queue_windows=100)
    return Classifier(
        about, encoder, engine, batcher, ModelMetrics.alone(about), max_text_chars=200, max_explain_windows=100
    )


def classify(*texts: str) -> list[Answer | RequestError]:
    async def scene() -> list[Answer | RequestError]:
        one = classifier()
        async with one.batcher:
            return await one.classify_many(texts, 5, Stages())

    return asyncio.run(scene())


def answer(text: str) -> Answer:
    found = classify(text)[0]
    assert isinstance(found, Answer)
    return found


def test_ranking_has_the_best_label_first() -> None:
    assert answer("good good good").ranking == [1, 0]
    assert answer("bad bad bad").ranking == [0, 1]
    assert answer("good good good").confidence == pytest.approx(0.8)


def test_answer_under_the_threshold_is_uncertain() -> None:
    assert answer("good").uncertain is True
    assert answer("good good good").uncertain is False


@pytest.mark.parametrize("text", ["", "xyz", "rare rare", "!?"])
def test_text_without_a_known_word_gets_the_labels_shares_and_no_engine(text: str) -> None:
    async def scene() -> None:
        engine = CountingEngine()
        one = classifier(engine)
        async with one.batcher:
            found = await one.classify(text, 5, Stages())
        assert found.scores == [0.7, 0.3]
        assert found.uncertain is True
        assert found.warnings == [AnswerWarning.NO_KNOWN_WORDS]
        assert engine.batches == []

    asyncio.run(scene())


def test_mostly_unknown_text_is_uncertain_however_sure_the_model() -> None:
    found = answer("good good good xx xx xx xx")
    assert found.confidence == pytest.approx(0.8)
    assert found.uncertain is True
    assert found.warnings == [AnswerWarning.MOSTLY_UNKNOWN_WORDS]
    assert (found.total_words, found.known_words) == (7, 3)
    assert answer("good good good xx xx xx").warnings == []


def test_crowd_is_answered_in_order_and_each_bad_text_alone() -> None:
    results = classify("good good good", "x" * 201, "", "bad bad bad", *["good"] * 300)
    assert isinstance(results[1], TextTooLongError)
    ranks = [result.ranking[0] for result in results if isinstance(result, Answer)]
    assert ranks[:3] == [1, 0, 0]
    assert len(results) == 304


def test_stages_of_a_crowd_are_added_up() -> None:
    async def scene() -> None:
        one, stages = classifier(), Stages()
        async with one.batcher:
            await one.classify_many(["good"] * 100, 5, stages)
        assert set(stages.seconds) == {"encode", "queue", "engine"}
        assert all(seconds >= 0 for seconds in stages.seconds.values())

    asyncio.run(scene())


def test_crowd_that_runs_out_of_time_is_told_and_leaves_nothing_behind() -> None:
    class Slow(CountingEngine):
        def predict(self, ids: Ids) -> Probabilities:
            time.sleep(0.02)
            return super().predict(ids)

    async def scene() -> None:
        one = classifier(Slow())
        async with one.batcher:
            with pytest.raises(DeadlineError):
                await one.classify_many(["good"] * 300, 0.05, Stages())
            assert one.batcher.waiting_windows == 0
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())


def test_default_is_the_model_best_on_its_held_out_texts() -> None:
    catalog = Catalog(
        [
            classifier(about=manifest(model=name, accuracy=accuracy))
            for name, accuracy in (("a", 0.6), ("b", 0.8), ("c", 0.7))
        ]
    )
    assert catalog.find("mood").manifest.model == "b"
    assert catalog.find("mood", "a").manifest.model == "a"
    assert list(catalog.models("mood")) == ["b", "c", "a"]
    with pytest.raises(UnknownModelError, match="b, c, a"):
        catalog.find("mood", "d")
    with pytest.raises(UnknownTaskError, match="mood"):
        catalog.find("weather")


# Tokenizers that take their time


class SlowEncoder(TextEncoder):
    """Takes 0.2 s for a text of more than three letters."""

    chars_at_once = 3

    def encode(self, text: str) -> Encoded:
        if len(text) > self.chars_at_once:
            time.sleep(0.2)
        return super().encode(text)


def slow() -> Classifier:
    about, engine = manifest(), CountingEngine()
    batcher = Batcher(engine, max_batch_windows=8, max_queue_windows=100)
    encoder = SlowEncoder(WORDS, 6, 4, "cover")
    return Classifier(
        about, encoder, engine, batcher, ModelMetrics.alone(about), max_text_chars=200, max_explain_windows=100
    )


@pytest.mark.parametrize("many", [False, True])
def test_others_are_answered_while_a_text_is_read(many: bool) -> None:
    async def scene() -> tuple[float, list[float]]:
        one = slow()
        async with one.batcher:
            work = one.classify_many(["good good"], 5, Stages()) if many else one.classify("good good", 5, Stages())
            task, started = asyncio.create_task(work), time.perf_counter()
            pauses = list[float]()
            while not task.done():
                before = time.perf_counter()
                await asyncio.sleep(0.005)
                pauses.append(time.perf_counter() - before)
            found = task.result()
            assert (found[0] if isinstance(found, list) else found).known_words == 2
            return time.perf_counter() - started, pauses

    whole, pauses = asyncio.run(scene())
    assert whole >= 0.2
    assert max(pauses) < 0.15


@pytest.mark.parametrize("many", [False, True])
def test_reading_has_the_deadline_of_the_whole(many: bool) -> None:
    async def scene() -> None:
        one = slow()
        async with one.batcher:
            with pytest.raises(DeadlineError, match=r"^No answer within 0\.05 s"):
                await (one.classify_many(["good"], 0.05, Stages()) if many else one.classify("good", 0.05, Stages()))

    started = time.perf_counter()
    asyncio.run(scene())
    assert time.perf_counter() - started < 2
