"""What goes over the wire, and how it stands in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from app.answers import Answer, AnswerWarning
from app.api.body import NOT_BLANK
from app.api.errors import Problem, leave_out_default
from app.bundle import Manifest
from app.engines.base import Precision
from app.explain import Explanation, WordStatus

DEFAULT_TOP_K = 5


def _whole(value: Any) -> Any:
    """JSON has one kind of number, so 3.0 is whole; true and "3" are no numbers."""
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise PydanticCustomError("whole_number", "Input should be a whole number")
    return value


Text = Annotated[str, Field(pattern=NOT_BLANK, description="The text, at most `max_text_chars` characters.")]
TopK = Annotated[int, Field(ge=1, le=10_000, description="How many labels to rank."), BeforeValidator(_whole)]
WHICH_MODEL = Field(description="Which of the task's models; default: the best on its held-out texts.")
ModelName = Annotated[str | None, WHICH_MODEL]


class _Request(BaseModel):
    # Kept apart instead of forbidden: a fault for each of 100,000 unknown fields would take half a second to tell.
    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    model: ModelName = None
    top_k: TopK = DEFAULT_TOP_K


class PredictRequest(_Request):
    """One text."""

    text: Text
    explain: Annotated[StrictBool, Field(description="Also say which words made the answer; it takes longer.")] = False


class BatchRequest(_Request):
    """Many texts."""

    texts: Annotated[list[Any], Field(min_length=1, description="Texts; anything else fails alone, in its place.")]


class ScoreOut(BaseModel):
    """A label and how probable it is."""

    label: str = Field(description="One of the task's labels.")
    score: float = Field(ge=0, le=1, description="Calibrated probability.", examples=[0.98])


class TokensOut(BaseModel):
    """How much of the text was read and known."""

    total: int = Field(description="Words in the part of the text that the model read.")
    known: int = Field(description="Those of them that have a meaning of their own in the model.")
    windows: int = Field(description="Windows of `maxlen` words that were read.")


class WarningOut(BaseModel):
    """Something odd about an answer."""

    code: AnswerWarning = Field(description="Stable: what programs go by.")
    detail: str = Field(description="The same for people.")


class WordOut(BaseModel):
    """A word of the text, as it stands there from `start` to `end`, counted in characters (code points)."""

    start: int = Field(description="Its first character's place.")
    end: int = Field(description="The place after its last character.")
    status: WordStatus = Field(
        description="`rare` words are all one to the model, `unknown` ones it skips, `unused` ones it does not reach."
    )
    contribution: float | None = Field(
        description="By how much the label's log-odds fall without the word; null where this was not tried."
    )
    without: float | None = Field(description="The label's score without the word.")


class VerdictOut(BaseModel):
    """What the model thinks so far."""

    end: int = Field(description="A word's end, in characters.")
    score: float = Field(ge=0, le=1, description="The label's score if the text ended there.")


class ExplanationOut(BaseModel):
    """Which words made the answer."""

    label: str = Field(description="The one that is explained: the answer's.")
    words: list[WordOut] = Field(description="Every word of the text, in order.")
    verdict: list[VerdictOut] = Field(description="How the model's mind changes as it reads.")


class AnswerOut(BaseModel):
    """`scores` are ranked and calibrated: of the answers with confidence 0.9, nine in ten are right."""

    task: str = Field(description="The task.")
    model: str = Field(description="The model that answered.", examples=["gru"])
    label: str = Field(description="The most probable label.")
    confidence: float = Field(ge=0, le=1, description="That label's score.", examples=[0.98])
    uncertain: bool = Field(
        description="True where the confidence is too low to rely on, or too little of the text is known.",
        examples=[False],
    )
    scores: list[ScoreOut] = Field(description="The `top_k` most probable labels, the best first.")
    tokens: TokensOut = Field(description="How much of the text was read and known.")
    warnings: list[WarningOut] = Field(description="What is odd about this answer; mostly nothing.")
    id: str = Field(description="Names this answer.", examples=["8a487d1a49989cc3"])
    explanation: ExplanationOut | SkipJsonSchema[None] = Field(
        default=None, description="If the request asked for it.", json_schema_extra=leave_out_default
    )


class FailureOut(BaseModel):
    """Takes an answer's place in a batch."""

    error: Problem = Field(description="What is wrong with this text.")


class BatchOut(BaseModel):
    """Answers to many texts."""

    task: str = Field(description="The task.")
    model: str = Field(description="The model that answered.", examples=["gru"])
    results: list[AnswerOut | FailureOut] = Field(description="One a text, in order.")
    id: str = Field(description="Names this batch.", examples=["8a487d1a49989cc3"])


class LabelOut(BaseModel):
    """What a text may be classified as."""

    name: str = Field(description="What answers call it.", examples=["earn"])
    display_name: str = Field(description="What to call it before people.", examples=["Earnings"])
    share: float = Field(description="Among the training texts.", examples=[0.42])


class ModelOut(BaseModel):
    """A trained classifier, as it is served."""

    name: str = Field(description="What requests call it.", examples=["gru"])
    default: bool = Field(description="Whether it answers where a request names no model.")
    engine: str = Field(description="What runs it.", examples=["onnx"])
    precision: Precision = Field(description="Of its arithmetic.")
    sha256: str = Field(description="The bundle's seal, for `trusted_bundles`.")
    recipe: str = Field(description="What it was trained by.", examples=["topic-gru.v6"])
    parameters: int = Field(description="How many weights it has.")
    num_words: int = Field(description="Ids that it knows: words, and four that are none.")
    maxlen: int = Field(description="Words in a window.", examples=[100])
    windows: str = Field(description="Which part of a text it reads: `first`, `last` or `cover`, the whole.")
    temperature: float = Field(description="What its log-odds are divided by, so that scores are probabilities.")
    uncertain_below: float = Field(description="The confidence below which an answer is uncertain.")
    metrics: dict[str, float] = Field(description="What was measured of it, by name.")
    papers: list[str] = Field(description="What it tells of itself, at `/tasks/{task}/{model}/{paper}`.")


class LimitsOut(BaseModel):
    """What one request may have."""

    max_text_chars: int = Field(description="Characters (Unicode code points) in a text.", examples=[100_000])
    max_batch_texts: int = Field(description="Texts in a batch.", examples=[1_000])
    max_body_bytes: int = Field(description="Bytes of the body.", examples=[1_000_000])
    deadline_s: float = Field(description="Seconds until an answer; then 504.", examples=[10.0])


class TaskOut(BaseModel):
    """What texts can be classified by."""

    name: str = Field(description="It stands in the routes' paths.", examples=["topic"])
    labels: list[LabelOut] = Field(description="All that can be answered.")
    models: list[ModelOut] = Field(description="Those that can answer, the default first.")
    limits: LimitsOut = Field(description="What one request may have.")


class TaskListOut(BaseModel):
    """All tasks."""

    tasks: list[TaskOut] = Field(description="In the order of their names.")


class HealthOut(BaseModel):
    """The answer to a probe."""

    status: Literal["alive", "ready"] = Field(description="`alive`: the process answers. `ready`: so do its models.")


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
