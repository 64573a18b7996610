"""What the service answers, as values. Fields that a later service adds are left out; nothing here knows HTTP."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Score:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """`total` words were read in `windows` windows, of which `known` have a meaning of their own in the model."""

    total: int
    known: int
    windows: int


@dataclass(frozen=True, slots=True)
class AnswerWarning:
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Word:
    """`text[start:end]`. `status`: known, rare (one to the model with all such words), unknown (skipped), unused.

    `contribution`: by how much the label's log-odds fall without the word; `without`: the label's score then.
    """

    start: int
    end: int
    status: str
    contribution: float | None = None
    without: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The label's `score` if the text ended at `end`."""

    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    label: str
    words: tuple[Word, ...]
    verdict: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`scores` are ranked and calibrated; `uncertain` says that they are not to be relied on."""

    task: str
    model: str
    label: str
    confidence: float
    uncertain: bool
    scores: tuple[Score, ...]
    tokens: Tokens
    warnings: tuple[AnswerWarning, ...]
    id: str
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Where in a request something is wrong, and what; never what was sent."""

    loc: tuple[str | int, ...]
    type: str
    msg: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Takes an answer's place where one text could not be answered. `code` is stable."""

    status: int
    code: str
    detail: str
    errors: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """`share`: of the training texts."""

    name: str
    display_name: str
    share: float


@dataclass(frozen=True, slots=True)
class Model:
    """`sha256` is the bundle's seal; under a confidence of `uncertain_below` an answer is uncertain."""

    name: str
    default: bool
    engine: str
    precision: str
    sha256: str
    recipe: str
    parameters: int
    num_words: int
    maxlen: int
    windows: str
    temperature: float
    uncertain_below: float
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request; `deadline_s`: the longest that the service looks for an answer."""

    max_text_chars: int
    max_batch_texts: int
    max_body_bytes: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    labels: tuple[Label, ...]
    models: tuple[Model, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Job:
    """A file being classified. `status`: waiting, running, done or failed.

    Of `rows` (None: not counted yet) `done` are answered and `failed` could not be; `labels` counts the answers.
    """

    id: str
    task: str
    model: str | None
    format: str
    status: str
    created: datetime
    done: int = 0
    failed: int = 0
    rows: int | None = None
    rows_per_s: float | None = None
    seconds_left: float | None = None
    error: Failure | None = None
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status not in {"waiting", "running"}
