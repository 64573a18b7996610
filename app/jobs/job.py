"""What is known of a job. Knows neither where that stands nor who asks."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.files.journal import Progress
from app.files.lines import Position
from app.files.open import Shape
from app.files.rows import Format

Status = Literal["uploading", "waiting", "running", "done", "failed"]
MAX_ROW_BYTES: Final = 1_000_000
"""Of a job's file: more than any text that is answered, and little enough that nobody has to wait for it."""

ACTIVE: Final[tuple[Status, ...]] = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the table. Times are seconds since 1970; `labels`, `shape` and `error` are JSON.

    `owner`: a key's id, or nobody's. `size`: bytes of the file. `bundle`: the seal of the one that began. `rows`: if
    they are known. `lease`: a secret of whoever works at it, until `lease_until`; `attempt` counts them, `tries` those
    since it got further. `result`: the file's name among the job's, `written` how much of it counts.
    """

    id: str
    owner: str
    task: str
    model: str
    format: Format
    text: str | None
    status: Status
    created: float
    size: int
    finished: float | None = None
    bundle: str | None = None
    shape: str | None = None
    read_offset: int = 0
    read_line: int = 0
    result: str | None = None
    written: int = 0
    rows: int | None = None
    done: int = 0
    failed: int = 0
    labels: str = "{}"
    rows_per_s: float | None = None
    seconds_left: float | None = None
    error: str | None = None
    lease: str | None = None
    lease_until: float = 0.0
    host: str | None = None
    attempt: int = 0
    tries: int = 0

    @property
    def progress(self) -> Progress:
        read = Position(self.read_offset, self.read_line)
        return Progress(read, "", self.written, self.done, self.failed, json.loads(self.labels))

    @property
    def written_as(self) -> Shape | None:
        return Shape(**json.loads(self.shape)) if self.shape else None

    @property
    def has_part(self) -> bool:
        """Whether it has failed, and rows before that were answered."""
        return self.status == "failed" and self.written > 0

    @property
    def problem(self) -> dict[str, Any] | None:
        return json.loads(self.error) if self.error else None
