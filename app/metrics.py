"""What Prometheus sees: requests, the engine, refusals, and what answers look like (drift), but never a text.

Numbers lie in memory that all workers of one service share, a row each, so that whoever is asked tells the sum of
all. To count is to add to a few numbers there: a library's locks and labels would cost a tenth of a request.
`prometheus_client` writes them out, and is imported when it is first asked to: it takes two megabytes.
"""

import hashlib
import mmap
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.bundle import Manifest

if TYPE_CHECKING:
    from prometheus_client import Metric

OTHER: Final = "other"
STATUSES: Final = (
    200, 202, 204, 206, 304, 307, 400, 401, 403, 404, 405, 408, 409, 413, 415, 416, 422, 429, 431, 499, 500, 503, 504,
    507, OTHER,
)  # fmt: skip
ROUTES: Final = ("single", "batch", "stream", "jobs", "feedback", OTHER)
NO_TASK: Final = ""
ENDS: Final = ("done", "failed")
"""Of jobs."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHARES: Final = tuple(tenth / 10 for tenth in range(1, 11))
_WINDOWS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_WORDS: Final = (5, 10, 20, 50, 100, 200, 500, 1_000, 5_000)


class _Family:
    """Numbers of one name, one for each of the `children`, its labels' values; `bounds` make each a histogram."""

    def __init__(
        self,
        kind: Literal["counter", "gauge", "histogram"],
        name: str,
        help_: str,
        labels: Sequence[str] = (),
        children: Iterable[tuple[Any, ...]] = ((),),
        bounds: Sequence[float] = (),
    ) -> None:
        self.kind, self.name, self.help, self.labels, self.bounds = kind, f"sentopic_{name}", help_, labels, bounds
        self.width = len(bounds) + 2 if bounds else 1
        """Of a histogram: one number a bucket, those beyond the last one, their sum."""
        self.places = {values: place * self.width for place, values in enumerate(children)}

    @property
    def size(self) -> int:
        return len(self.places) * self.width

    def move(self, start: int) -> None:
        self.places = {values: start + place for values, place in self.places.items()}

    def tell(self, numbers: Sequence[float]) -> "Metric":
        """What has been counted; of children that have counted nothing, nothing."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        kinds: Any = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
        family = kinds[self.kind](self.name, self.help, labels=self.labels)
        for values, place in self.places.items():
            shown, found = [str(value) for value in values], numbers[place : place + self.width]
            if self.bounds:
                below = list(accumulate(found[:-1]))
                bounds = [*map(str, map(float, self.bounds)), "+Inf"]
                if below[-1]:
                    family.add_metric(shown, list(zip(bounds, below, strict=True)), sum_value=found[-1])
            elif found[0] or self.kind == "gauge":
                family.add_metric(shown, found[0])
        return family  # type: ignore[no-any-return]


class ModelMetrics:
    """One model's."""

    def __init__(self, metrics: "Metrics", manifest: Manifest) -> None:
        self._metrics = metrics
        key = manifest.task, manifest.model
        self._queue = metrics.queue_windows.places[key]
        self._waits = metrics.queue_seconds.places[key]
        self._runs = metrics.engine_seconds.places[key]
        self._sizes = metrics.engine_windows.places[key]
        self._confidence = metrics.confidence.places[key]
        self._unknown = metrics.unknown_share.places[key]
        self._words = metrics.text_words.places[key]
        self._uncertain = metrics.uncertain.places[key]
        names = [label.name for label in manifest.labels]
        self._labels = [metrics.answers.places[(*key, name)] for name in names]

    @classmethod
    def alone(cls, manifest: Manifest) -> "ModelMetrics":
        """Of a model that no service has."""
        return cls(Metrics([manifest], "", ""), manifest)

    def set_queue(self, windows: int) -> None:
        self._metrics.row[self._queue] = windows

    def add_wait(self, seconds: float) -> None:
        self._metrics.observe(self._waits, _SECONDS, seconds)

    def add_run(self, windows: int, seconds: float) -> None:
        self._metrics.observe(self._runs, _SECONDS, seconds)
        self._metrics.observe(self._sizes, _WINDOWS, windows)

    def add_answer(self, label: int, confidence: float, *, uncertain: bool, words: int, known: int) -> None:
        row, observe = self._metrics.row, self._metrics.observe
        row[self._labels[label]] += 1
        row[self._uncertain] += uncertain
        observe(self._confidence, _SHARES, confidence)
        observe(self._words, _WORDS, words)
        if words:
            observe(self._unknown, _SHARES, 1 - known / words)


class Metrics:
    """All numbers of a service that serves these bundles, in at most so many processes."""

    def __init__(self, manifests: Iterable[Manifest], engine: str, version: str, rows: int = 1) -> None:
        self._manifests, self._engine, self._version = list(manifests), engine, version
        models = [(manifest.task, manifest.model) for manifest in self._manifests]
        labels = [
            (*model, label.name) for model, one in zip(models, self._manifests, strict=True) for label in one.labels
        ]
        asked = product([NO_TASK, *dict.fromkeys(task for task, _ in models)], ROUTES, STATUSES)
        model = (("task", "model"), models)
        self.requests = _Family(
            "histogram",
            "request_seconds",
            "From a request's header to its answer",
            ("task", "route", "status"),
            asked,
            _SECONDS,
        )
        self.in_progress = _Family("gauge", "requests_in_progress", "Requests not yet answered")
        self.queue_windows = _Family("gauge", "queue_windows", "Windows that wait for the engine", *model)
        self.queue_seconds = _Family("histogram", "queue_seconds", "Wait for the engine", *model, _SECONDS)
        self.engine_seconds = _Family("histogram", "engine_seconds", "A run of the engine", *model, _SECONDS)
        self.engine_windows = _Family("histogram", "engine_windows", "Windows in a run", *model, _WINDOWS)
        self.confidence = _Family("histogram", "confidence", "Of answers", *model, _SHARES)
        self.unknown_share = _Family(
            "histogram", "unknown_words_share", "Of a text's words, those that the model does not know", *model, _SHARES
        )
        self.text_words = _Family("histogram", "text_words", "Words of a text that were read", *model, _WORDS)
        self.uncertain = _Family("counter", "uncertain_answers", "Answers marked uncertain", *model)
        self.answers = _Family("counter", "answers", "Answers by label", ("task", "model", "label"), labels)
        ends = product(tasks := dict.fromkeys(task for task, _ in models), ENDS)
        self.jobs = _Family("counter", "jobs", "Jobs that have ended", ("task", "status"), ends)
        self.job_rows = _Family("counter", "job_rows", "Rows of jobs", ("task",), [(task,) for task in tasks])
        self.jobs_running = _Family("gauge", "jobs_running", "Jobs being done")
        workers = [(number,) for number in range(rows)]
        self.worker_memory = _Family(
            "gauge", "worker_memory_bytes", "Resident memory of each worker; 0: it is gone", ("worker",), workers
        )
        self._families = [value for value in vars(self).values() if isinstance(value, _Family)]
        self._width = 0
        for family in self._families:
            family.move(self._width)
            self._width += family.size
        self._memory = mmap.mmap(-1, 8 * self._width * rows)  # zeros, and a child's are its parent's
        self._numbers = memoryview(self._memory).cast("d")
        self.row = self._numbers[: self._width]
        self._others = np.zeros(self._width)
        """What has been counted where this memory is not shared."""
        self._processes = memoryview(mmap.mmap(-1, 8 * rows)).cast("q")
        """Whose rows they are."""

    def take_row(self, number: int) -> None:
        """Counts in the row of this process, from where one before it has left off."""
        self.row = self._numbers[number * self._width : (number + 1) * self._width]
        self._processes[number] = os.getpid()
        for family in self._families:
            if family.kind == "gauge":
                for place in family.places.values():
                    self.row[place] = 0

    def observe(self, place: int, bounds: Sequence[float], value: float) -> None:
        self.row[place + bisect_left(bounds, value)] += 1
        self.row[place + len(bounds) + 1] += value

    def begin_request(self) -> None:
        self.row[self.in_progress.places[()]] += 1

    def end_request(self, task: str, route: str, status: int, seconds: float) -> None:
        self.row[self.in_progress.places[()]] -= 1
        place = self.requests.places.get((task, route, status))
        if place is None:
            place = self.requests.places[task, route, OTHER]
        self.observe(place, _SECONDS, seconds)

    def add_running_jobs(self, number: int) -> None:
        self.row[self.jobs_running.places[()]] += number

    def add_job_rows(self, task: str, rows: int) -> None:
        self.row[self.job_rows.places[task,]] += rows

    def end_job(self, task: str, how: Literal["done", "failed"]) -> None:
        self.row[self.jobs.places[task, how]] += 1

    @property
    def layout(self) -> str:
        """The same for services whose numbers mean the same, each at its place."""
        places = repr([(family.name, list(family.places)) for family in self._families])
        return hashlib.sha256(places.encode()).hexdigest()

    @property
    def gauges(self) -> list[int]:
        """Their places."""
        return [place for one in self._families if one.kind == "gauge" for place in one.places.values()]

    def tell_own(self) -> bytes:
        """The sum of all processes that share this memory, as float64."""
        return bytes(self._sum().tobytes())

    def hear_others(self, numbers: bytes) -> None:
        """What `tell_own` tells elsewhere, summed up: it is told beside one's own from now on."""
        self._others = np.frombuffer(numbers)

    def _sum(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.frombuffer(self._memory).reshape(-1, self._width).sum(axis=0)
        return found

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import InfoMetricFamily

        yield InfoMetricFamily("sentopic", "The service", {"version": self._version, "engine": self._engine})
        bundles = InfoMetricFamily("sentopic_bundle", "What is served", labels=("task", "model"))
        for manifest in self._manifests:
            told = {"recipe": str(manifest.recipe.get("name", "")), "sha256": manifest.sha256}
            bundles.add_metric((manifest.task, manifest.model), told)
        yield bundles
        numbers = (self._sum() + self._others).tolist()
        for place, process in zip(self.worker_memory.places.values(), self._processes, strict=True):
            numbers[place] = _measure_memory(process)
        for family in self._families:
            yield family.tell(numbers)

    def write(self) -> tuple[bytes, str]:
        """In Prometheus' text format, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def _measure_memory(process: int) -> int:
    """Bytes; 0 where it is gone, and on systems other than Linux."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0
