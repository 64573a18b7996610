"""One task's model at work: admit -> encode -> batch -> calibrate -> answer. Knows no HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.answers import Answer, Interpreter
from app.batcher import Batcher
from app.bundle import Manifest
from app.engines.base import Engine, Probabilities
from app.errors import DeadlineError, OverloadedError, RequestError, UnknownModelError, UnknownTaskError
from app.explain import Explanation, Steps, explain
from app.metrics import ModelMetrics
from app.stages import Stages
from app.text import PAD, Encoded, Ids, TextEncoder

_NO_HURRY_S: Final = 3_600.0
_AGAIN_S: Final = 0.05
"""How long whoever can wait for room in the queue waits before he looks again."""


class _Deadline:
    """Of one request, whose parts share what is left of it."""

    __slots__ = ("_at", "allowed_s")

    def __init__(self, allowed_s: float) -> None:
        self.allowed_s, self._at = allowed_s, time.monotonic() + allowed_s

    @property
    def left_s(self) -> float:
        return self._at - time.monotonic()


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
        max_explain_windows: int,
        papers: Mapping[str, bytes] | None = None,
    ) -> None:
        self.manifest = manifest
        self.papers = papers or {}
        self._metrics = metrics
        self.engine = engine
        self.batcher = batcher
        self.interpreter = Interpreter(manifest, encoder, max_text_chars=max_text_chars)
        self._encoder, self._max_explain_windows = encoder, max_explain_windows

    async def classify(self, text: str, timeout_s: float, stages: Stages) -> Answer:
        """Raises TextTooLongError, OverloadedError or DeadlineError."""
        deadline = _Deadline(timeout_s)
        self.batcher.refuse_if_crowded()
        if len(text) <= self._encoder.chars_at_once:
            encoded = self._admit(text, stages)
        else:
            encoded = await self._admit_aside(text, deadline, stages)
        if not encoded.known:
            return self._answer(encoded, None)
        probabilities = await self._predict(encoded.windows, deadline, stages)
        return self._answer(encoded, probabilities)

    async def explain(self, text: str, timeout_s: float, stages: Stages) -> tuple[Answer, Explanation]:
        """The answer and its reasons, for which others do not wait. Raises as `classify`."""
        deadline = _Deadline(timeout_s)
        answer = await self.classify(text, timeout_s, stages)
        steps, found = explain(self._encoder, self.manifest, text, self._max_explain_windows), None
        while True:
            windows = await asyncio.to_thread(_advance, steps, found)
            stages.end("explain")
            if isinstance(windows, Explanation):
                return answer, windows
            found = np.empty((len(windows), len(self.manifest.labels)), np.float32)
            order = _shortest_last(windows)
            for start in range(0, len(windows), self.batcher.group_windows):
                group = order[start : start + self.batcher.group_windows]
                found[group] = await self._predict(windows[group], deadline, stages, patient=True)

    async def classify_many(
        self, texts: Sequence[str], timeout_s: float, stages: Stages
    ) -> list[Answer | RequestError]:
        """One result a text, in order; a text that cannot be answered fails alone. Raises as `classify` for the rest.

        Texts go to the queue in groups, so that a large batch leaves room for others and need not fit the queue; the
        next group is encoded while the engine has one.
        """
        results: list[Answer | RequestError | None] = [None] * len(texts)
        deadline = _Deadline(timeout_s)
        running = list[asyncio.Task[None]]()
        try:
            async for group in self._groups(texts, results, deadline, stages):
                running.append(asyncio.create_task(self._answer_group(group, results, deadline, stages)))
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

    async def _groups(
        self,
        texts: Sequence[str],
        results: list[Answer | RequestError | None],
        deadline: "_Deadline",
        stages: Stages,
    ) -> AsyncIterator[list[tuple[int, Encoded]]]:
        """Texts for the engine, encoded as they are needed; the others get their result at once."""
        group: list[tuple[int, Encoded]] = []
        windows = 0
        for place, text in enumerate(texts):
            try:
                if len(text) <= self._encoder.chars_at_once:
                    encoded = self._admit(text, stages)
                else:
                    encoded = await self._admit_aside(text, deadline, stages)
            except RequestError as error:
                results[place] = error
                continue
            if not encoded.known:
                results[place] = self._answer(encoded, None)
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
        deadline: "_Deadline",
        stages: Stages,
    ) -> None:
        ids = np.concatenate([encoded.windows for _, encoded in group])
        order = _shortest_last(ids)
        probabilities = np.empty((len(ids), len(self.manifest.labels)), np.float32)
        probabilities[order] = await self._predict(ids[order], deadline, stages, patient=True)
        start = 0
        for place, encoded in group:
            end = start + len(encoded.windows)
            results[place] = self._answer(encoded, probabilities[start:end])
            start = end

    async def predict_bulk(self, ids: Ids, *, background: bool) -> Probabilities:
        """What the engine makes of windows (n, maxlen), in their order, for whoever has much more and no deadline.

        Where the queue has no room it is waited for. `background`: behind everybody else.
        """
        order = _shortest_last(ids)
        probabilities = np.empty((len(ids), len(self.manifest.labels)), np.float32)
        while len(ids):
            try:
                found = await self.batcher.predict(ids[order], _NO_HURRY_S, patient=True, background=background)
            except OverloadedError:
                await asyncio.sleep(_AGAIN_S)
            else:
                self._metrics.add_wait(found.queue_s)
                probabilities[order] = found.probabilities
                break
        return probabilities

    def count(self, answers: Iterable[Answer | RequestError]) -> None:
        """Of answers that others have made from what `predict_bulk` gave."""
        for answer in answers:
            if isinstance(answer, Answer):
                self._count(answer)

    async def _predict(
        self, ids: Ids, deadline: "_Deadline", stages: Stages, *, patient: bool = False
    ) -> Probabilities:
        stages.windows += len(ids)
        left = deadline.left_s
        if left <= 0:
            raise DeadlineError(deadline.allowed_s)
        try:
            predicted = await self.batcher.predict(ids, left, patient=patient)
        except DeadlineError:
            raise DeadlineError(deadline.allowed_s) from None
        self._metrics.add_wait(predicted.queue_s)
        stages.add_run(predicted.queue_s, predicted.engine_s)
        return predicted.probabilities

    def _admit(self, text: str, stages: Stages) -> Encoded:
        encoded = self.interpreter.encode(text)
        stages.end("encode")
        return encoded

    async def _admit_aside(self, text: str, deadline: "_Deadline", stages: Stages) -> Encoded:
        """In a thread, for a tokenizer that takes its time: others are answered meanwhile. Raises DeadlineError too."""
        try:
            async with asyncio.timeout(max(0.0, deadline.left_s)):
                return await asyncio.to_thread(self._admit, text, stages)
        except TimeoutError:
            raise DeadlineError(deadline.allowed_s) from None

    def _answer(self, encoded: Encoded, probabilities: Probabilities | None) -> Answer:
        answer = self.interpreter.answer(encoded, probabilities)
        self._count(answer)
        return answer

    def _count(self, answer: Answer) -> None:
        self._metrics.add_answer(
            answer.ranking[0],
            answer.confidence,
            uncertain=answer.uncertain,
            words=answer.total_words,
            known=answer.known_words,
        )


def _advance(steps: Steps, found: Probabilities | None) -> Ids | Explanation:
    """Its next windows, or what it has found."""
    try:
        return next(steps) if found is None else steps.send(found)
    except StopIteration as end:
        explanation: Explanation = end.value
        return explanation


def _shortest_last(windows: Ids) -> NDArray[np.intp]:
    """Their order by length: a batch of one length costs least."""
    order: NDArray[np.intp] = np.count_nonzero(windows == PAD, axis=1).argsort(kind="stable")
    return order


def preference(manifest: Manifest) -> tuple[str, float, str]:
    """Sorts by tasks, and a task's models by how well they do on its held-out texts."""
    return manifest.task, -manifest.metrics.get("held_out_accuracy", 0.0), manifest.model


class Catalog:
    """Every classifier by task and model; a task's default is the model best on its held-out texts."""

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        self.tasks: dict[str, dict[str, Classifier]] = {}
        for classifier in sorted(classifiers, key=lambda one: preference(one.manifest)):
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
