"""What goes over the wire, and how it stands in the OpenAPI document."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from app.api.errors import Problem
from app.bundle import Manifest
from app.classifier import Answer, AnswerWarning
from app.engines.base import Precision

DEFAULT_TOP_K = 5
NOT_BLANK = r"[^ \t\r\n]"


def _whole(value: Any) -> Any:
    """JSON has one kind of number, so 3.0 is whole; true and "3" are no numbers."""
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise PydanticCustomError("whole_number", "Input should be a whole number")
    return value


Text = Annotated[str, Field(pattern=NOT_BLANK, description="The text, at most `max_text_chars` characters.")]
TopK = Annotated[int, Field(ge=1, le=10_000, description="How many labels to rank."), BeforeValidator(_whole)]
_WHICH_MODEL = Field(description="Which of the task's models; default: the best on its held-out texts.")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, _WHICH_MODEL] = None
    top_k: TopK = DEFAULT_TOP_K


class PredictRequest(_Request):
    """One text."""

    text: Text


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


@dataclass(frozen=True, slots=True)
class TaskSchemas:
    """A task's schemas under its own name, with its own labels and models; only the OpenAPI document uses them."""

    request: type[PredictRequest]
    batch_request: type[BatchRequest]
    answer: type[AnswerOut]
    batch: type[BatchOut]


def for_task(task: str, stem: str, labels: Iterable[str], models: Iterable[str]) -> TaskSchemas:
    """`stem` begins each schema's name: `TopicAnswer`, say."""
    label = _enumerate(f"{stem}Label", f"The labels of {task}.", labels)
    models_of_task = _enumerate(f"{stem}Model", f"The models of {task}.", models)
    model: Any = (Annotated[models_of_task | None, _WHICH_MODEL], None)
    score: Any = create_model(
        f"{stem}Score", __base__=ScoreOut, __doc__=ScoreOut.__doc__, label=_retyped(ScoreOut, "label", label)
    )
    answer: Any = create_model(
        f"{stem}Answer",
        __base__=AnswerOut,
        __doc__=AnswerOut.__doc__,
        label=_retyped(AnswerOut, "label", label),
        scores=_retyped(AnswerOut, "scores", list[score]),
    )
    about = Field(description="An answer, or what is wrong with the text.")
    result: Any = TypeAliasType(f"{stem}Result", Annotated[answer | FailureOut, about])
    results = _retyped(BatchOut, "results", list[result])
    return TaskSchemas(
        create_model(f"{stem}Request", __base__=PredictRequest, __doc__=f"One text for {task}.", model=model),
        create_model(f"{stem}BatchRequest", __base__=BatchRequest, __doc__=f"Many texts for {task}.", model=model),
        answer,
        create_model(f"{stem}Batch", __base__=BatchOut, __doc__=BatchOut.__doc__, results=results),
    )


def name_stems(tasks: Iterable[str]) -> dict[str, str]:
    """Each task's name in CamelCase, with a number where another task's would be the same."""
    stems = dict[str, str]()
    for task in tasks:
        stem = "".join(part.capitalize() for part in re.split("[._-]", task))
        again = sum(re.sub(r"_\d+$", "", other) == stem for other in stems.values())
        stems[task] = f"{stem}_{again + 1}" if again else stem
    return stems


def _enumerate(name: str, about: str, values: Iterable[str]) -> Any:
    """A named schema of its own, so that clients have one type for all places where it stands."""
    made: Any = StrEnum(name, {f"_{place}": value for place, value in enumerate(values)})  # type: ignore[misc]
    made.__doc__ = about
    return made


def _retyped(model: type[BaseModel], name: str, kind: Any) -> tuple[Any, Any]:
    """A field as it is in `model`, but of another type."""
    field = model.model_fields[name]
    return kind, Field(description=field.description, examples=field.examples)
