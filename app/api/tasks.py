"""Each task's schemas under its own name, with its own labels and models: for the OpenAPI document, nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model
from typing_extensions import TypeAliasType

from app.api.schemas import (
    WHICH_MODEL,
    AnswerOut,
    BatchOut,
    BatchRequest,
    FailureOut,
    PredictRequest,
    ScoreOut,
)


@dataclass(frozen=True, slots=True)
class TaskSchemas:
    request: type[PredictRequest]
    batch_request: type[BatchRequest]
    answer: type[AnswerOut]
    batch: type[BatchOut]


def make(task: str, stem: str, labels: Iterable[str], models: Iterable[str]) -> TaskSchemas:
    """`stem` begins each schema's name: `TopicAnswer`, say."""
    label = _enumerate(f"{stem}Label", f"The labels of {task}.", labels)
    models_of_task = _enumerate(f"{stem}Model", f"The models of {task}.", models)
    model: Any = (Annotated[models_of_task | None, WHICH_MODEL], None)
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
