"""How much of something is kept: of all owners together, and of one. Knows no table."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """What is there already. `size` in bytes."""

    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most `rows` and bytes (`size`) of all, and the `share` of both that one owner may have."""

    rows: int
    size: float = math.inf
    share: float = 1.0

    def leave_rows(self, everybody: Held, owner: Held | None) -> bool:
        """Whether one more has room. No `owner`: what is nobody's has no share of its own."""
        return everybody.rows < self.rows and (owner is None or owner.rows < max(1, self.rows * self.share))

    def leave_size(self, everybody: Held, owner: Held | None, more: int) -> bool:
        """Whether so many bytes more have room."""
        if everybody.size + more > self.size:
            return False
        return owner is None or owner.size + more <= self.size * self.share
