"""Every error that the domain raises. Knows no HTTP: `app.api.errors` maps these to statuses.

SentopicError
├── UsageError                wrong use: a command ends with 2, not 1
│   ├── SettingsError             a setting that cannot be used
│   └── UnknownRecipeError        a recipe that there is not
├── StartError                the service cannot start here
├── KeyStoreError             the keys cannot be read or written
├── BundleError               a bundle that cannot be trusted or read
│   └── UnsupportedLayerError     a layer that this engine does not compile
├── TokenizerError            a tokenizer that is not installed, or not as a bundle was made with
├── OutputError               results cannot be written
├── JobStoreError             the jobs cannot be read or written
├── JobsFullError             there is no room for more jobs
├── JobFilesError             a job's files cannot be read or written now
├── FeedbackStoreError        feedback cannot be read or written
├── FeedbackFullError         there is no room for more feedback
├── StuckJobError             a job during which the service has ended again and again
├── LeaseLostError            somebody else works at the job, or it is gone
├── ClusterError              a cluster that cannot be reached or used, or that is lost
├── DataError                 a data set that is missing, broken or does not fit
├── RequestError              the client's fault; `code` is stable
│   ├── UnknownTaskError
│   ├── UnknownModelError
│   ├── UnknownPaperError
│   ├── NoJobsError               a service without a place for jobs
│   ├── UnknownJobError
│   ├── UnknownFeedbackError
│   ├── JobNotDoneError           a result that is not there, or not yet
│   ├── RangeError                a part of a file behind its end
│   ├── FileError                 a file of texts that cannot be read, from some line on
│   │   ├── LongLineError
│   │   └── EndedInputError       standard input, of which no more is to be read
│   ├── InvalidRowError           a row that has no text that could be read
│   ├── NoParquetError            Parquet, where what reads it is not installed
│   ├── NotJsonError
│   ├── UnsupportedMediaTypeError
│   ├── InvalidRequestError
│   ├── TextTooLongError
│   ├── BatchTooLargeError
│   ├── BodyTooLargeError
│   ├── UnauthorizedError
│   ├── ForbiddenError
│   ├── StrangeOriginError        a browser that asks for another site's page
│   ├── StrangeHostError
│   └── RateLimitedError
├── OverloadedError           the queue is full; try again later
├── DeadlineError             no answer within the time allowed
├── LeavingError              the service ends, or takes up new models, before all has been answered
└── ClientLeftError           nobody waits for the answer any more
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

_LONGEST_WHY: Final = 400
"""Characters."""


def hide_password(text: str) -> str:
    """URLs in it without their passwords."""
    return re.sub(r"(://[^\s/@:]*):[^\s@]*@", r"\1:***@", text)


class SentopicError(Exception):
    """Base of them all: its text is one line, fit to be shown to a person."""

    code: ClassVar[str] = "internal"


class UsageError(SentopicError):
    code = "usage"


class SettingsError(UsageError):
    code = "settings_invalid"


class UnknownRecipeError(UsageError):
    code = "unknown_recipe"


class StartError(SentopicError):
    code = "start_failed"


class KeyStoreError(SentopicError):
    code = "key_store"


class BundleError(SentopicError):
    """`path` is the file at fault. `why` may quote it: it stays one line, so that no file speaks for the service."""

    code = "bundle_invalid"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{_in_one_line(str(path))}: {_in_one_line(why[:_LONGEST_WHY])}")
        self.path = path


class UnsupportedLayerError(BundleError):
    code = "layer_unsupported"


class TokenizerError(SentopicError):
    code = "tokenizer_unavailable"


class OutputError(SentopicError):
    code = "output_failed"


class JobStoreError(SentopicError):
    """`reason` may tell of the database what is no client's business."""

    code = "job_store"

    def __init__(self, reason: str) -> None:
        super().__init__("The list of jobs cannot be reached. Try again later.")
        self.reason = reason


class JobsFullError(SentopicError):
    code = "jobs_full"

    def __init__(self) -> None:
        super().__init__("There is no room for the file or its result. Delete finished jobs, or try again later.")


class JobFilesError(SentopicError):
    code = "job_files"

    def __init__(self) -> None:
        super().__init__("The job's files cannot be read or written now. Try again later.")


class FeedbackStoreError(SentopicError):
    """`reason` may tell of the database what is no client's business."""

    code = "feedback_store"

    def __init__(self, reason: str) -> None:
        super().__init__("Feedback cannot be kept now. Try again later.")
        self.reason = reason


class FeedbackFullError(SentopicError):
    code = "feedback_full"

    def __init__(self) -> None:
        super().__init__("There is no room for more feedback.")


class StuckJobError(SentopicError):
    code = "job_stuck"

    def __init__(self) -> None:
        super().__init__("The service has ended again and again at this place of the file.")


class LeaseLostError(SentopicError):
    code = "lease_lost"


class ClusterError(SentopicError):
    code = "cluster"

    def __init__(self, why: str) -> None:
        super().__init__(_in_one_line(why[:_LONGEST_WHY]))


class DataError(SentopicError):
    code = "data_invalid"


class RequestError(SentopicError):
    """What the client can mend. The text never holds anything that the client sent."""


class UnknownTaskError(RequestError):
    code = "unknown_task"

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(f"There is no such task. Tasks: {', '.join(tasks)}.")


class UnknownModelError(RequestError):
    code = "unknown_model"

    def __init__(self, task: str, models: Sequence[str]) -> None:
        super().__init__(f"Task {task} has no such model. Models: {', '.join(models)}.")


class UnknownPaperError(RequestError):
    code = "unknown_paper"

    def __init__(self, papers: Sequence[str]) -> None:
        super().__init__(f"The model has no such paper. Papers: {', '.join(papers)}.")


class UnknownJobError(RequestError):
    code = "unknown_job"

    def __init__(self) -> None:
        super().__init__("There is no such job.")


class UnknownFeedbackError(RequestError):
    code = "unknown_feedback"

    def __init__(self) -> None:
        super().__init__("There is no such feedback.")


class NoJobsError(RequestError):
    code = "no_jobs"

    def __init__(self) -> None:
        super().__init__("This service takes no jobs.")


class JobNotDoneError(RequestError):
    code = "job_not_done"

    def __init__(self, status: str, *, has_part: bool) -> None:
        hint = " partial=true gives the rows that were answered before." if has_part else ""
        super().__init__(f"There is no result: the job is {status}.{hint}")


class RangeError(RequestError):
    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file ends before that: it has {size} bytes.")


class FileError(RequestError):
    """`line`: where it cannot be read any more, from 1 (in Parquet, a row); None: as a whole.

    `hint` may quote the file, and is for whoever it belongs to: it is not part of the text.
    """

    code = "file_invalid"

    def __init__(self, why: str, line: int | None = None, *, unit: str = "line", hint: str = "") -> None:
        super().__init__(f"{unit} {line}: {why}" if line else why)
        self.why, self.line, self.hint = why, line, _in_one_line(hint[:_LONGEST_WHY])


class LongLineError(FileError):
    """A line that is longer than allowed: some readers can go on behind it."""


class EndedInputError(FileError):
    def __init__(self) -> None:
        super().__init__("somebody has asked to read no more of it")


class InvalidRowError(RequestError):
    code = "invalid_row"


class NoParquetError(RequestError):
    code = "no_parquet"

    def __init__(self) -> None:
        super().__init__("Parquet needs pyarrow: pip install 'sentopic[parquet]'.")


class NotJsonError(RequestError):
    code = "not_json"


class UnsupportedMediaTypeError(RequestError):
    code = "unsupported_media_type"


class InvalidRequestError(RequestError):
    """`faults`: where in the body, and what is wrong there."""

    code = "invalid_request"

    def __init__(self, faults: Sequence[dict[str, object]]) -> None:
        super().__init__("The request does not fit the schema.")
        self.faults = faults


class TextTooLongError(RequestError):
    code = "text_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A text may have {limit} characters at most.")


class BatchTooLargeError(RequestError):
    code = "batch_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A batch may have {limit} texts at most.")


class BodyTooLargeError(RequestError):
    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A request body may have {limit} bytes at most.")


class UnauthorizedError(RequestError):
    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("A valid key is needed, as X-API-Key or as Authorization: Bearer.")


class ForbiddenError(RequestError):
    code = "forbidden"

    def __init__(self, scope: str) -> None:
        super().__init__(f"The key has not the scope {scope}.")


class StrangeOriginError(RequestError):
    code = "strange_origin"

    def __init__(self) -> None:
        super().__init__("Pages of other sites may send no files here, unless SENTOPIC_CORS_ORIGINS names them.")


class StrangeHostError(RequestError):
    code = "strange_host"

    def __init__(self) -> None:
        super().__init__("This service is asked by another name than its own: SENTOPIC_ALLOWED_HOSTS may have it.")


class RateLimitedError(RequestError):
    code = "rate_limited"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many requests. Try again later.")
        self.retry_after_s = retry_after_s


class OverloadedError(SentopicError):
    code = "overloaded"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too much work is waiting already. Try again later.")
        self.retry_after_s = retry_after_s


class DeadlineError(SentopicError):
    code = "deadline_exceeded"

    def __init__(self, deadline_s: float) -> None:
        super().__init__(f"No answer within {deadline_s:g} s.")


class LeavingError(SentopicError):
    code = "service_leaving"

    def __init__(self) -> None:
        super().__init__("The service ends or reloads. What has not been answered must be sent again.")


class ClientLeftError(SentopicError):
    code = "client_left"

    def __init__(self) -> None:
        super().__init__("The client closed the connection.")


def _in_one_line(text: str) -> str:
    """Nothing in it ends a line or steers a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
