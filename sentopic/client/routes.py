"""The service's routes: each a flow of calls, from Python's values to Python's values. Sends nothing itself."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from sentopic.client.batches import Item, encode_options, encode_text, write_body
from sentopic.client.errors import (
    DeadlineError,
    JobFailedError,
    OverloadedError,
    TimedOutError,
    TooLargeError,
    UnavailableError,
    UnexpectedAnswerError,
    refusal,
)
from sentopic.client.exchange import Call, Flow, Reply, Wait, exchange, read_json
from sentopic.client.reading import read
from sentopic.client.results import Answer, Failure, Job, Task
from sentopic.client.retry import TRY_AGAIN, Patience

Format = Literal["csv", "jsonl", "parquet", "lines"]

FORMATS: Final[dict[str, str]] = {
    ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".txt": "lines",
}  # fmt: skip
MEDIA_TYPES: Final[dict[str, str]] = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "lines": "text/plain",
}
BATCH_SIZE: Final = 100
CONCURRENCY: Final = 2
"""Batches on their way at once, so that the service has the next one when it is done with the last."""

READY_S: Final = 5.0
"""One that takes longer to say that it is ready is not."""

SHORTEST_LOOK_S: Final = 0.2
LONGEST_LOOK_S: Final = 5.0
"""Between two looks at a job."""


def classify(task: str, text: str, options: Mapping[str, Any], patience: Patience) -> Flow[Answer]:
    item = encode_text(text)
    if isinstance(item, Failure):
        raise refusal(item)
    call = Call("POST", _path("predict", task), body=b'{"text":' + item + encode_options(options) + b"}")
    return read(Answer, read_json((yield from exchange(call, patience))), "answer")


def classify_batch(task: str, items: list[Item], options: bytes, patience: Patience) -> Flow[list[Answer | Failure]]:
    """One result an item, in order. A batch that is too much for the service is cut in half, and so on."""
    good = [item for item in items if isinstance(item, bytes)]
    answers = iter((yield from _ask(_path("predict", task, "batch"), good, options, patience)) if good else [])
    return [item if isinstance(item, Failure) else next(answers) for item in items]


def _ask(path: str, items: list[bytes], options: bytes, patience: Patience) -> Flow[list[Answer | Failure]]:
    again = TRY_AGAIN - {504} if len(items) > 1 else TRY_AGAIN  # half of it has a better chance than all of it
    call = Call("POST", path, body=write_body(items, options), again=again)
    try:
        reply = yield from exchange(call, patience)
    except (DeadlineError, TooLargeError) as error:
        if len(items) > 1:
            middle = len(items) // 2
            first = yield from _ask(path, items[:middle], options, patience)
            return first + (yield from _ask(path, items[middle:], options, patience))
        if isinstance(error, TooLargeError):
            return [error.failure]
        raise
    results = _part(reply, "results")
    if not isinstance(results, list) or len(results) != len(items):
        raise UnexpectedAnswerError(f"the service did not give {len(items)} results for as many texts")
    return [_read_result(result) for result in results]


def check_plan(texts: object, batch_size: int, concurrency: int) -> None:
    """Raises TypeError for one string, which has items too, or ValueError for a plan that would never end."""
    if isinstance(texts, str | bytes):
        raise TypeError("texts: many of them, not one")
    if batch_size < 1 or concurrency < 1:
        raise ValueError("batch_size and concurrency: 1 or more")


def tasks(patience: Patience) -> Flow[tuple[Task, ...]]:
    reply = yield from exchange(Call("GET", "/tasks"), patience)
    return read(tuple[Task, ...], _part(reply, "tasks"), "tasks")


def task(name: str, patience: Patience) -> Flow[Task]:
    reply = yield from exchange(Call("GET", _path("tasks", name)), patience)
    return read(Task, read_json(reply), "task")


def ready(patience: Patience) -> Flow[bool]:
    """One look: a service that is not there, or has too much to do, is not ready."""
    try:
        once = replace(patience, retries=0, timeout_s=min(patience.timeout_s, READY_S))
        yield from exchange(Call("GET", "/health/ready"), once)
    except (UnavailableError, TimedOutError, OverloadedError):
        return False
    return True


def submit_job(
    path: Path, task: str, model: str | None, file_format: str | None, text: str | None, patience: Patience
) -> Flow[Job]:
    """Sent again only where it cannot have arrived, or the service has refused it: a second time is a second job."""
    file_format = file_format or FORMATS.get(path.suffix.lower())
    if file_format not in MEDIA_TYPES:
        raise ValueError(f"format: one of {', '.join(MEDIA_TYPES)}; the file's name does not tell which")
    params = _given(task=task, model=model, format=file_format, text=text)
    call = Call("POST", "/jobs", params, path, MEDIA_TYPES[file_format], repeatable=False)
    return _read_job((yield from exchange(call, patience)))


def jobs(patience: Patience) -> Flow[tuple[Job, ...]]:
    """All of them, page by page."""
    found: list[Job] = []
    before: str | None = None
    while True:
        reply = yield from exchange(Call("GET", "/jobs", _given(before=before)), patience)
        found += read(tuple[Job, ...], _part(reply, "jobs"), "jobs")
        following = _part(reply, "next")
        if following is None:
            return tuple(found)
        before = read(str, following, "next")


def job(name: str, patience: Patience) -> Flow[Job]:
    return _read_job((yield from exchange(Call("GET", _path("jobs", name)), patience)))


def wait(name: str, timeout_s: float | None, patience: Patience) -> Flow[Job]:
    """The job once it is done; looked at more seldom the longer it takes."""
    now = patience.clock.monotonic
    deadline = math.inf if timeout_s is None else now() + timeout_s
    pause = SHORTEST_LOOK_S
    while True:
        found = yield from job(name, patience)
        if found.status == "done":
            return found
        if found.ended:
            raise JobFailedError(found)
        left = deadline - now()
        if left <= 0:
            raise TimedOutError(f"job {found.id} is {found.status} after {timeout_s:g} s")
        expected = LONGEST_LOOK_S if found.seconds_left is None else max(SHORTEST_LOOK_S, found.seconds_left)
        yield Wait(min(pause, expected, left))
        pause = min(pause * 1.5, LONGEST_LOOK_S)


def download(name: str, into: Path, partial: bool, patience: Patience) -> Flow[Path]:
    """`into` is there once it is whole: until then the answer goes to another file beside it."""
    part = into.with_name(f"{into.name}.part")
    try:
        params = {"partial": "true"} if partial else {}
        yield from exchange(Call("GET", _path("jobs", name, "result"), params, into=part), patience)
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)
    return into


def delete(name: str, patience: Patience) -> Flow[None]:
    """Not sent again once it may have arrived: of a job that is gone the service would say that there never was one."""
    yield from exchange(Call("DELETE", _path("jobs", name), repeatable=False), patience)


def feedback(answer_id: str, task: str, label: str, text: str | None, patience: Patience) -> Flow[None]:
    """Not sent again once it may have arrived: a second time would count twice."""
    body = json.dumps(_given(id=answer_id, task=task, label=label, text=text)).encode()
    yield from exchange(Call("POST", "/feedback", body=body, repeatable=False), patience)


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _part(reply: Reply, name: str) -> object:
    document = read_json(reply)
    if not isinstance(document, dict) or name not in document:
        raise UnexpectedAnswerError(f"the service's answer has no {name}")
    return document[name]


def _read_result(result: object) -> Answer | Failure:
    if isinstance(result, dict) and "error" in result:
        return read(Failure, result["error"], "error")
    return read(Answer, result, "answer")


def _read_job(reply: Reply) -> Job:
    return read(Job, read_json(reply), "job")
