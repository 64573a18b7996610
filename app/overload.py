"""When a load is too much, until when, and who is refused meanwhile. Knows windows, and no queue.

A burst may fill the queue, but a load that is too much cannot keep it full: everybody would wait for long, and as many
be refused. While it lasts, hardly anything may wait, and who is answered is answered as if it did not.
"""

import math
from typing import Final

_HELD_SHARE: Final = 0.0125
"""Of the longest wait, what may still wait while too much arrives; half a batch at least, or the engine would idle."""

_CALM_S: Final = 1.0
_CALM_SHARE: Final = 0.05
_CALM_LOAD: Final = 0.85
"""For so long, no more than this share of those who asked must have been refused for a load to be no longer too much,
or all of them together must have asked for no more than this share of what the engine does. With so little that may
wait, whoever comes at the same moment as others is refused, however seldom they come."""

_PASSING_S: Final = 0.25
"""How long a load may be too much before it is taken to last."""

_SMOOTHING: Final = 0.2


class Overload:
    """Told of everybody who is admitted, and asked about everybody who comes. Not safe to use from several threads."""

    def __init__(self, max_batch_windows: int, max_wait_s: float) -> None:
        self._max_batch, self._max_wait_s = max_batch_windows, max_wait_s
        self._empty_at = -math.inf
        """When nobody waited last."""
        self._refused_since = self._refused_at = -math.inf
        """When somebody was refused: first, and last until now."""
        self._counted_since = -math.inf
        self._admitted = self._refused = 0
        """Since then."""
        self._usual_windows = 1.0
        """Of one who is admitted."""

    def admit(self, windows: int) -> None:
        """Counts one with so many windows."""
        self._admitted += 1
        self._usual_windows += _SMOOTHING * (windows - self._usual_windows)

    def refuses(self, now: float, waiting: int, windows_per_s: float) -> bool:
        """Whether more windows wait than the engine does in the time allowed, and did for as long; counts a refusal."""
        if not waiting:
            self._empty_at = now
        is_over = self._is_over(now, windows_per_s)
        held = not is_over and now - self._refused_since > _PASSING_S
        wait_s = self._max_wait_s * (_HELD_SHARE if held else 1)
        least = self._max_batch // 2 if held else self._max_batch
        too_many = waiting > max(least, windows_per_s * wait_s)
        crowded = too_many and (held or now - self._empty_at > self._max_wait_s)
        if crowded:
            if is_over:
                self._refused_since = self._counted_since = now
                self._admitted = self._refused = 0
            self._refused += 1
            self._refused_at = now
        return crowded

    def _is_over(self, now: float, windows_per_s: float) -> bool:
        """Whether nobody has been refused of late, or few of many, or all who asked could have been answered."""
        seconds = now - self._counted_since
        if seconds > _CALM_S:
            asked = self._refused + self._admitted
            fits = asked * self._usual_windows <= _CALM_LOAD * windows_per_s * seconds
            if fits or self._refused <= _CALM_SHARE * asked:
                self._refused_at = -math.inf
            self._counted_since, self._admitted, self._refused = now, 0, 0
        return now - self._refused_at > _CALM_S
