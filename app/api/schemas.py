"""What goes over the wire, and how it stands in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, create_model
from pydantic_core import PydanticCustomError

from app.answers import Answer, AnswerWarning
from app.api.errors import Problem
from app.bundle import Manifest
from app.engines.base import Precision
from app.explain import Explanation, WordStatus

DEFAULT_TOP_K = 5
NOT_BLANK = r"[^ \t\r\n]"


def _whole(value: Any) -> Any:
    """JSON has one kind of number, so 3.0 is whole; true and "3" are no numbers."""
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise PydanticCustomError("whole_number", "Input should be a whole number")
    return value


Text = Annotated[str, Field(pattern=NOT_BLANK, description="The text, at most `max_text_chars` characters.")]
TopK = Annotated[int, Field(ge=1, le=10_000, description="How many labels to rank."), BeforeValidator(_whole)]
ModelName = Annotated[
    str | None, Field(description="Which of the task's models; default: the best on its held-out texts.")
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: ModelName = None
    top_k: TopK = DEFAULT_TOP_K


class PredictRequest(_Request):
    text: Text
    explain: Annotated[StrictBool, Field(description="Also say which words made the answer; it takes longer.")] = False


class BatchRequest(_Request):
    texts: Annotated[list[Any], Field(min_length=1, description="Texts; anything else fails alone, in its place.")]


class ScoreOut(BaseModel):
    label: str
    score: float = Field(ge=0, le=1)


class TokensOut(BaseModel):
    total: int = Field(description="Words in the part of the text that the model read.")
    known: int = Field(description="Those of them that have a meaning of their own in the model.")
    windows: int = Field(description="Windows of `maxlen` words that were read.")


class WarningOut(BaseModel):
    code: AnswerWarning
    detail: str


class WordOut(BaseModel):
    """A word of the text, as it stands there from `start` to `end`, counted in characters (code points)."""

    start: int
    end: int
    status: WordStatus = Field(
        description="`rare` words are all one to the model, `unknown` ones it skips, `unused` ones it does not reach."
    )
    contribution: float | None = Field(
        description="By how much the label's log-odds fall without the word; null where this was not tried."
    )
    without: float | None = Field(description="The label's score without the word.")


class VerdictOut(BaseModel):
    end: int = Field(description="A word's end, in characters.")
    score: float = Field(ge=0, le=1, description="The label's score if the text ended there.")


class ExplanationOut(BaseModel):
    label: str = Field(description="The one that is explained: the answer's.")
    words: list[WordOut] = Field(description="Every word of the text, in order.")
    verdict: list[VerdictOut] = Field(description="How the model's mind changes as it reads.")


class AnswerOut(BaseModel):
    """`scores` are ranked and calibrated: of the answers with confidence 0.9, nine in ten are right."""

    task: str
    model: str
    label: str
    confidence: float = Field(ge=0, le=1)
    uncertain: bool = Field(
        description="True where the confidence is too low to rely on, or too little of the text is known."
    )
    scores: list[ScoreOut]
    tokens: TokensOut
    warnings: list[WarningOut]
    id: str = Field(description="Names this answer.")
    explanation: ExplanationOut | None = Field(default=None, description="If the request asked for it.")


class FailureOut(BaseModel):
    """Takes an answer's place in a batch."""

    error: Problem


class BatchOut(BaseModel):
    task: str
    model: str
    results: list[AnswerOut | FailureOut] = Field(description="One a text, in order.")
    id: str


class LabelOut(BaseModel):
    name: str
    display_name: str
    share: float = Field(description="Among the training texts.")


class ModelOut(BaseModel):
    name: str
    default: bool
    engine: str
    precision: Precision
    sha256: str = Field(description="The bundle's seal, for `trusted_bundles`.")
    recipe: str
    parameters: int
    num_words: int
    maxlen: int
    windows: str
    temperature: float
    uncertain_below: float
    metrics: dict[str, float]
    papers: list[str] = Field(description="What it tells of itself, at `/tasks/{task}/{model}/{paper}`.")


class LimitsOut(BaseModel):
    max_text_chars: int
    max_batch_texts: int
    max_body_bytes: int
    deadline_s: float


class TaskOut(BaseModel):
    name: str
    labels: list[LabelOut]
    models: list[ModelOut]
    limits: LimitsOut


class TasksOut(BaseModel):
    tasks: list[TaskOut]


class HealthOut(BaseModel):
    status: Literal["alive", "ready"]


def answer_out(manifest: Manifest, answer: Answer, top_k: int, request_id: str) -> dict[str, Any]:
    """What `AnswerOut` says, without its checks: they would cost more than all the rest of the way out."""
    labels, shares = manifest.labels, answer.scores
    scores = [{"label": labels[place].name, "score": round(shares[place], 6)} for place in answer.ranking[:top_k]]
    return {
        "task": manifest.task,
        "model": manifest.model,
        "label": scores[0]["label"],
        "confidence": scores[0]["score"],
        "uncertain": answer.uncertain,
        "scores": scores,
        "tokens": {"total": answer.total_words, "known": answer.known_words, "windows": answer.windows},
        "warnings": [{"code": code, "detail": code.detail} for code in answer.warnings],
        "id": request_id,
    }


def explanation_out(manifest: Manifest, explanation: Explanation) -> dict[str, Any]:
    """What `ExplanationOut` says."""
    return {
        "label": manifest.labels[explanation.label].name,
        "words": [
            {
                "start": word.start,
                "end": word.end,
                "status": word.status,
                "contribution": None if word.contribution is None else round(word.contribution, 6),
                "without": None if word.without is None else round(word.without, 6),
            }
            for word in explanation.words
        ],
        "verdict": [{"end": end, "score": round(score, 6)} for end, score in explanation.verdict],
    }


def for_task(task: str, labels: list[str]) -> tuple[type[AnswerOut], type[BatchOut]]:
    """The answer's schemas under the task's own name, with its own labels."""
    stem = "".join(part.capitalize() for part in task.replace(".", "-").replace("_", "-").split("-"))
    names: Any = Literal[tuple(labels)]
    score: Any = create_model(f"{stem}Score", __base__=ScoreOut, label=(names, ...))
    answer: Any = create_model(f"{stem}Answer", __base__=AnswerOut, label=(names, ...), scores=(list[score], ...))
    batch = create_model(f"{stem}Batch", __base__=BatchOut, results=(list[answer | FailureOut], ...))
    return answer, batch
