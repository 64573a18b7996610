"""What `/jobs` takes and answers, as the OpenAPI document has it."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from app.api import errors, schemas
from app.api.options import Options
from app.files.rows import FORMATS, Format
from app.jobs.job import Job

MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "lines": "text/plain",
}
FORMAT_SCHEMA: Final[dict[str, Any]] = {"type": "string", "enum": list(FORMATS)}
PLACE_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?-[0-9a-f]{32}$"}
MOST_LISTED: Final = 100
"""Jobs in one answer."""

COLUMN_SCHEMA: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 1_000, "pattern": "^[^\\x00]+$"}


class JobOptions(Options):
    task: Annotated[str, Field(max_length=64)]
    model: schemas.ModelName = None
    format: Format | None = None
    text: Annotated[str | None, Field(min_length=1, max_length=1_000, pattern=COLUMN_SCHEMA["pattern"])] = None


class ListOptions(Options):
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = MOST_LISTED
    before: Annotated[str | None, Field(pattern=PLACE_SCHEMA["pattern"])] = None

    @property
    def behind(self) -> tuple[float, str] | None:
        if self.before is None:
            return None
        created, _, job_id = self.before.partition("-")
        return float(created), job_id


class ResultOptions(Options):
    format: Format | None = None
    partial: bool = False
    named: bool = True


class JobOut(BaseModel):
    """A file being classified, and how far it is."""

    id: str = Field(description="Names the job.", examples=["4f1c5f3be0a84d0fb7cf5a4c34a3a4de"])
    task: str = Field(description="What is told of each text.", examples=["topic"])
    model: str = Field(description="The model that answers.", examples=["gru"])
    format: Format = Field(description="Of the file, and of its result unless another one is asked for.")
    status: Literal["waiting", "running", "done", "failed"] = Field(
        description="`waiting` and `running` jobs come to an end, `done` ones have a result."
    )
    rows: int | None = Field(description="In the file; null until that is known.", examples=[50_000])
    done: int = Field(ge=0, description="Rows that have been gone through, bad ones too.", examples=[20_480])
    failed: int = Field(ge=0, description="Bad rows among them, which have an `error` in the result.", examples=[3])
    rows_per_s: float | None = Field(description="How fast it goes; null until it has begun.", examples=[4_700.0])
    seconds_left: float | None = Field(description="At that speed; null where there is no telling.", examples=[6.3])
    created: datetime = Field(description="When the file was handed in.")
    error: errors.Problem | None = Field(description="Why it has failed, and of a bad file in which line; else null.")
    labels: dict[str, int] = Field(description="How often each label has been answered.", examples=[{"earn": 20_477}])


class JobListOut(BaseModel):
    """Whoever asks sees the jobs of his key, or where no keys are asked for, all."""

    jobs: list[JobOut] = Field(description="The newest first.")
    next: str | None = Field(description="Where there are more: `before`, to ask for them with. Else null.")


def tell_place(job: Job) -> str:
    """Where in the list of jobs it stands, whether it is there or not."""
    return f"{job.created!r}-{job.id}"


def tell(job: Job) -> dict[str, Any]:
    """A `JobOut`."""
    problem = job.problem
    return {
        "id": job.id,
        "task": job.task,
        "model": job.model,
        "format": job.format,
        "status": job.status,
        "rows": job.rows,
        "done": job.done,
        "failed": job.failed,
        "rows_per_s": job.rows_per_s,
        "seconds_left": job.seconds_left,
        "created": datetime.fromtimestamp(job.created, UTC).isoformat(timespec="milliseconds"),
        "error": errors.describe_code(**problem).model_dump(exclude_none=True) if problem else None,
        "labels": json.loads(job.labels),
    }
