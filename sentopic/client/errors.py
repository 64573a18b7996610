"""Everything that can go wrong between a program and the service. No message holds a text that was sent.

SentopicError
├── RequestRefusedError       the service answered with an error: `status`, a stable `code`, `detail`, `request_id`
│   ├── InvalidRequestError       400, 415, 422: what was asked makes no sense; `errors` says where
│   ├── UnauthorizedError         401: no valid key
│   ├── ForbiddenError            403: the key has not the scope
│   ├── NotFoundError             404: no such task, model or job
│   ├── TooLargeError             413
│   ├── RateLimitedError          429: `retry_after_s`
│   ├── OverloadedError           503: `retry_after_s`
│   ├── DeadlineError             504: the service found no answer in its time
│   └── ServiceFailedError        any other 5xx: a defect, or something between here and the service
├── UnavailableError          no connection, or one that broke
├── TimedOutError             no answer within the client's own `timeout`; a TimeoutError too
├── UnexpectedAnswerError     an answer that is none of the service's: something else listens there
└── JobFailedError            a job that was waited for has failed: `job`
"""

from sentopic.client.results import Failure, Fault, Job


class SentopicError(Exception):
    """Base of them all: its text is one line."""


class RequestRefusedError(SentopicError):
    """`code` is the service's, or `http_<status>` where something else answered in its place."""

    def __init__(self, failure: Failure, request_id: str = "", retry_after_s: float | None = None) -> None:
        named = f" (request {request_id})" if request_id else ""
        places = "".join(f" {'.'.join(map(str, fault.loc))}: {fault.msg}." for fault in failure.errors)
        super().__init__(f"{failure.status} {failure.code}: {failure.detail}{places}{named}")
        self.failure, self.request_id, self.retry_after_s = failure, request_id, retry_after_s

    @property
    def status(self) -> int:
        return self.failure.status

    @property
    def code(self) -> str:
        return self.failure.code

    @property
    def detail(self) -> str:
        return self.failure.detail

    @property
    def errors(self) -> tuple[Fault, ...]:
        return self.failure.errors

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.failure, self.request_id, self.retry_after_s)


class InvalidRequestError(RequestRefusedError):
    pass


class UnauthorizedError(RequestRefusedError):
    pass


class ForbiddenError(RequestRefusedError):
    pass


class NotFoundError(RequestRefusedError):
    pass


class TooLargeError(RequestRefusedError):
    pass


class RateLimitedError(RequestRefusedError):
    pass


class OverloadedError(RequestRefusedError):
    pass


class DeadlineError(RequestRefusedError):
    pass


class ServiceFailedError(RequestRefusedError):
    pass


class UnavailableError(SentopicError):
    pass


class TimedOutError(SentopicError, TimeoutError):
    pass


class UnexpectedAnswerError(SentopicError):
    pass


class JobFailedError(SentopicError):
    def __init__(self, job: Job) -> None:
        why = f": {job.error.detail}" if job.error else ""
        super().__init__(f"Job {job.id} is {job.status}{why}")
        self.job = job

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.job,)


_KINDS = {
    400: InvalidRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    413: TooLargeError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
    503: OverloadedError,
    504: DeadlineError,
}


def refusal(failure: Failure, request_id: str = "", retry_after_s: float | None = None) -> RequestRefusedError:
    """The error that stands for `failure`."""
    other = ServiceFailedError if failure.status >= 500 else RequestRefusedError
    return _KINDS.get(failure.status, other)(failure, request_id, retry_after_s)
