"""Where a request's time goes: seconds by stage, added up as they pass; for traces, when each was too."""

from time import perf_counter


class Stages:
    """`read` the body, `encode` texts, wait in the `queue`, run the `engine`, `answer`: what those that happened took.

    A batch's texts are encoded while others are in the queue or the engine, so that its stages overlap. The engine's
    is no longer than what has passed: parts of one request that ran together count once.
    """

    __slots__ = ("_last", "_ran", "model", "seconds", "windows")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.model, self.windows = "", 0
        """Which model was asked, and about how many windows so far."""
        self._last = self._ran = perf_counter()

    def begin(self) -> None:
        """What comes now belongs to the stage that ends next."""
        self._last = perf_counter()

    def end(self, stage: str) -> None:
        """Adds the time since the last beginning or end."""
        now = perf_counter()
        self.add(stage, now - self._last)
        self._last = now

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_run(self, queue_s: float, engine_s: float) -> None:
        """The engine has just run, after a wait. Begins what comes now."""
        self.begin()
        self.add("queue", queue_s)
        self.add("engine", min(engine_s, self._last - self._ran))
        self._ran = self._last

    def server_timing(self) -> str:
        """The value of a `Server-Timing` header (https://www.w3.org/TR/server-timing/), in milliseconds."""
        return ", ".join([f"{stage};dur={seconds * 1e3:.3f}" for stage, seconds in self.seconds.items()])


class TimedStages(Stages):
    """Stages that know when they began first and ended last."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        super().__init__()
        self.spans: dict[str, tuple[float, float]] = {}
        """By stage, on the clock of `time.perf_counter`."""

    def end(self, stage: str) -> None:
        begin = self._last
        super().end(stage)
        self._note(stage, begin, self._last)

    def add_run(self, queue_s: float, engine_s: float) -> None:
        super().add_run(queue_s, engine_s)
        taken = self._last - engine_s
        self._note("queue", taken - queue_s, taken)
        self._note("engine", taken, self._last)

    def _note(self, stage: str, begin: float, end: float) -> None:
        first, last = self.spans.get(stage, (begin, end))
        self.spans[stage] = min(first, begin), max(last, end)
