"""One call to the service, from the first try to the last: a generator that says what to do and is told what came.

It sends nothing and sleeps nowhere, so that `Client` and `AsyncClient` share it, and tests need neither.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sentopic.client.errors import (
    RequestRefusedError,
    SentopicError,
    TimedOutError,
    UnavailableError,
    UnexpectedAnswerError,
    refusal,
)
from sentopic.client.reading import read
from sentopic.client.results import Failure
from sentopic.client.retry import REFUSED_UNREAD, TRY_AGAIN, Patience, read_retry_after

_LONGEST_DETAIL: Final = 400
"""Characters."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `path` stands after the service's URL; a `body` that is a path is a file to send.

    `into`: a file for the answer's body. `repeatable`: twice does no more than once. `again`: statuses to try again on.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Path | None = field(default=None, repr=False)
    media_type: str = "application/json"
    into: Path | None = None
    repeatable: bool = True
    again: frozenset[int] = TRY_AGAIN

    @property
    def moves_a_file(self) -> bool:
        """It takes as long as the file is large: its timeout is for each piece."""
        return self.into is not None or isinstance(self.body, Path)


@dataclass(frozen=True, slots=True)
class Send:
    """To be answered with a Reply or with Lost."""

    call: Call
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """To be answered with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer. `unsent`: nothing of the request can have reached the service."""

    why: str
    unsent: bool = False
    timed_out: bool = False


Result = TypeVar("Result")
Step = Send | Wait
Outcome = Reply | Lost
Flow = Generator[Step, Outcome | None, Result]


def exchange(call: Call, patience: Patience) -> Flow[Reply]:
    """The first good reply. Raises what the last try came to, at once where no other may follow in time."""
    now = patience.clock.monotonic
    deadline = now() + patience.timeout_s
    tries = 0
    while True:
        started = now()
        outcome = yield Send(call, deadline - started)
        if outcome is None:
            raise TypeError("a Send is answered with a Reply or with Lost")
        tries += 1
        if call.moves_a_file:
            deadline += now() - started  # what the file took is not counted
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            return outcome
        error = _understand(outcome, patience)
        wait_s = patience.wait_s(tries, getattr(error, "retry_after_s", None))
        if tries > patience.retries or not _may_repeat(call, outcome, error) or now() + wait_s >= deadline:
            raise error
        yield Wait(wait_s)


def read_json(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswerError("the service's answer is not JSON") from None


def _understand(outcome: Outcome, patience: Patience) -> SentopicError:
    if isinstance(outcome, Reply):
        if outcome.status < 400:
            return UnexpectedAnswerError(f"HTTP {outcome.status} is no answer of the service's")
        retry_after_s = read_retry_after(outcome.headers, patience.clock.wall)
        return refusal(_read_problem(outcome), outcome.headers.get("x-request-id", ""), retry_after_s)
    return TimedOutError(outcome.why) if outcome.timed_out else UnavailableError(outcome.why)


def _read_problem(reply: Reply) -> Failure:
    """What the service says of the error. What anything else says is left out: it may repeat what was sent."""
    if reply.headers.get("content-type", "").partition(";")[0] == "application/problem+json":
        try:
            problem = read(Failure, read_json(reply), "problem")
        except UnexpectedAnswerError:
            pass
        else:
            detail = "".join(char for char in problem.detail[:_LONGEST_DETAIL] if char.isprintable())
            return Failure(reply.status, problem.code, detail, problem.errors)
    return Failure(reply.status, f"http_{reply.status}", "no problem details")


def _may_repeat(call: Call, outcome: Outcome, error: SentopicError) -> bool:
    if isinstance(outcome, Lost):
        return call.repeatable or outcome.unsent
    if not isinstance(error, RequestRefusedError) or error.status not in call.again:
        return False
    return call.repeatable or error.code in REFUSED_UNREAD
