"""One task's model at work: admit -> encode -> batch -> calibrate -> answer. Knows no HTTP."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from app.batcher import Batcher
from app.bundle import Manifest
from app.engines.base import Engine, Probabilities
from app.errors import RequestError, TextTooLongError, UnknownModelError, UnknownTaskError
from app.metrics import ModelMetrics
from app.stages import Stages
from app.text import PAD, Encoded, Ids, TextEncoder


class AnswerWarning(StrEnum):
    """The closed list of what may be odd about an answer."""

    NO_KNOWN_WORDS = "no_known_words"
    MOSTLY_UNKNOWN_WORDS = "mostly_unknown_words"
    TEXT_CUT = "text_cut"

    @property
    def detail(self) -> str:
        return _DETAILS[self]


_DETAILS: Final = {
    AnswerWarning.NO_KNOWN_WORDS: "The model knows no word of the text; the scores are the labels' shares in training.",
    AnswerWarning.MOSTLY_UNKNOWN_WORDS: "The model knows less than half of the words that it read.",
    AnswerWarning.TEXT_CUT: "The text is longer than what the model reads; the rest was left out.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Calibrated `scores` in label order; `ranking`: the labels' places, the best first."""

    scores: list[float]
    ranking: list[int]
    uncertain: bool
    total_words: int
    known_words: int
    windows: int
    warnings: list[AnswerWarning]

    @property
    def confidence(self) -> float:
        return self.scores[self.ranking[0]]


class Classifier:
    """A bundle with its engine, encoder and queue."""

    def __init__(
        self,
        manifest: Manifest,
        encoder: TextEncoder,
        engine: Engine,
        batcher: Batcher,
        metrics: ModelMetrics,
        *,
        max_text_chars: int,
        papers: Mapping[str, bytes] | None = None,
    ) -> None:
        self.manifest = manifest
        self.papers = papers or {}
        self._metrics = metrics
        self.engine = engine
        self.batcher = batcher
        self._encoder = encoder
        self._max_text_chars = max_text_chars
        self._shares = [label.share for label in manifest.labels]

    async def classify(self, text: str, timeout_s: float, stages: Stages) -> Answer:
        """Raises TextTooLongError, OverloadedError or DeadlineError."""
        self.batcher.refuse_if_crowded()
        encoded = self._admit(text, stages)
        if not encoded.known:
            return self._answer(encoded, self._shares)
        probabilities = await self._predict(encoded.windows, timeout_s, stages)
        return self._answer(encoded, self.manifest.scores(probabilities))

    async def classify_many(
        self, texts: Sequence[str], timeout_s: float, stages: Stages
    ) -> list[Answer | RequestError]:
        """One result a text, in order; a text that cannot be answered fails alone. Raises as `classify` for the rest.

        Texts go to the queue in groups, so that a large batch leaves room for others and need not fit the queue; the
        next group is encoded while the engine has one.
        """
        results: list[Answer | RequestError | None] = [None] * len(texts)
        deadline = time.monotonic() + timeout_s
        running = list[asyncio.Task[None]]()
        try:
            for group in self._groups(texts, results, stages):
                left = max(0.0, deadline - time.monotonic())
                running.append(asyncio.create_task(self._answer_group(group, results, left, stages)))
                await asyncio.sleep(0)  # it goes to the queue, and the next is encoded meanwhile
                if len(running) > 1:
                    await running.pop(0)
                stages.begin()
            while running:
                await running.pop(0)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return [result for result in results if result is not None]

    def _groups(
        self, texts: Sequence[str], results: list[Answer | RequestError | None], stages: Stages
    ) -> Iterator[list[tuple[int, Encoded]]]:
        """Texts for the engine, encoded as they are needed; the others get their result at once."""
        group: list[tuple[int, Encoded]] = []
        windows = 0
        for place, text in enumerate(texts):
            try:
                encoded = self._admit(text, stages)
            except RequestError as error:
                results[place] = error
                continue
            if not encoded.known:
                results[place] = self._answer(encoded, self._shares)
                continue
            group.append((place, encoded))
            windows += len(encoded.windows)
            if windows >= self.batcher.group_windows:
                yield group
                group, windows = [], 0
        if group:
            yield group

    async def _answer_group(
        self,
        group: list[tuple[int, Encoded]],
        results: list[Answer | RequestError | None],
        timeout_s: float,
        stages: Stages,
    ) -> None:
        ids = np.concatenate([encoded.windows for _, encoded in group])
        order = np.count_nonzero(ids == PAD, axis=1).argsort(kind="stable")  # a batch of one length costs least
        probabilities = np.empty((len(ids), len(self.manifest.labels)), np.float32)
        probabilities[order] = await self._predict(ids[order], timeout_s, stages, patient=True)
        start = 0
        for place, encoded in group:
            end = start + len(encoded.windows)
            results[place] = self._answer(encoded, self.manifest.scores(probabilities[start:end]))
            start = end

    async def _predict(self, ids: Ids, timeout_s: float, stages: Stages, *, patient: bool = False) -> Probabilities:
        predicted = await self.batcher.predict(ids, timeout_s, patient=patient)
        self._metrics.add_wait(predicted.queue_s)
        stages.add("queue", predicted.queue_s)
        stages.add("engine", predicted.engine_s)
        stages.begin()
        return predicted.probabilities

    def _admit(self, text: str, stages: Stages) -> Encoded:
        if len(text) > self._max_text_chars:
            raise TextTooLongError(self._max_text_chars)
        encoded = self._encoder.encode(text)
        stages.end("encode")
        return encoded

    def _answer(self, encoded: Encoded, scores: list[float]) -> Answer:
        warnings = []
        if not encoded.known:
            warnings.append(AnswerWarning.NO_KNOWN_WORDS)
        elif encoded.mostly_unknown:
            warnings.append(AnswerWarning.MOSTLY_UNKNOWN_WORDS)
        if encoded.cut:
            warnings.append(AnswerWarning.TEXT_CUT)
        ranking = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        unsure = scores[ranking[0]] < self.manifest.calibration.uncertain_below
        uncertain = encoded.mostly_unknown or unsure
        self._metrics.add_answer(
            ranking[0], scores[ranking[0]], uncertain=uncertain, words=encoded.total, known=encoded.known
        )
        return Answer(scores, ranking, uncertain, encoded.total, encoded.known, len(encoded.windows), warnings)


class Catalog:
    """Every classifier by task and model; a task's default is the model best on its held-out texts."""

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        def order(classifier: Classifier) -> tuple[str, float, str]:
            manifest = classifier.manifest
            return manifest.task, -manifest.metrics.get("held_out_accuracy", 0.0), manifest.model

        self.tasks: dict[str, dict[str, Classifier]] = {}
        for classifier in sorted(classifiers, key=order):
            self.tasks.setdefault(classifier.manifest.task, {})[classifier.manifest.model] = classifier
        self._running = AsyncExitStack()

    @property
    def manifests(self) -> list[Manifest]:
        return [classifier.manifest for models in self.tasks.values() for classifier in models.values()]

    def find(self, task: str, model: str | None = None) -> Classifier:
        """Raises UnknownTaskError or UnknownModelError."""
        models = self.models(task)
        if model is None:
            return next(iter(models.values()))
        if model not in models:
            raise UnknownModelError(task, list(models))
        return models[model]

    def models(self, task: str) -> dict[str, Classifier]:
        """The task's models, its default first."""
        if task not in self.tasks:
            raise UnknownTaskError(list(self.tasks))
        return self.tasks[task]

    async def __aenter__(self) -> "Catalog":
        for models in self.tasks.values():
            for classifier in models.values():
                await self._running.enter_async_context(classifier.batcher)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._running.aclose()
        self.tasks.clear()  # or an engine would live as long as whoever still knows the catalog, as FastAPI's caches do
