"""Where a request's time goes: seconds by stage, added up as they pass."""

from time import perf_counter


class Stages:
    """`read` the body, `encode` texts, wait in the `queue`, run the `engine`, `answer`: what those that happened took.

    A batch's texts are encoded while others are in the queue or the engine, so that its stages overlap.
    """

    __slots__ = ("_last", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

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

    def server_timing(self) -> str:
        """The value of a `Server-Timing` header (https://www.w3.org/TR/server-timing/), in milliseconds."""
        return ", ".join([f"{stage};dur={seconds * 1e3:.3f}" for stage, seconds in self.seconds.items()])
