"""What is asked of the service and what becomes of its answers, with both clients against a service of a few lines."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentopic.client import (
    Answer,
    DeadlineError,
    Failure,
    JobFailedError,
    NotFoundError,
    OverloadedError,
    ServiceFailedError,
    TimedOutError,
    UnavailableError,
    UnexpectedAnswerError,
)
from tests.client.conftest import ANSWER, Make, Time, problem

LIMITS = {"max_text_chars": 100, "max_batch_texts": 10, "max_body_bytes": 1_000, "deadline_s": 10}
TASK = {"name": "topic", "labels": [], "models": [], "limits": LIMITS}
JOB = {
    "id": "j 1",
    "task": "topic",
    "model": "gru",
    "format": "csv",
    "status": "running",
    "created": "2026-11-21T10:00Z",
}


class Service:
    """Answers each text with itself as the label. `fail`: what it answers to a batch instead, if anything."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=TASK)
        self.bodies.append(json.loads(request.content))
        texts = self.bodies[-1].get("texts") or [self.bodies[-1]["text"]]
        failure = self.fail(texts)
        if failure is not None:
            return failure
        results = [ANSWER | {"label": text} for text in texts]
        return httpx.Response(200, json={"results": results} if "texts" in self.bodies[-1] else results[0])

    def fail(self, texts: list[str]) -> httpx.Response | None:
        return None


def labels(results: Any) -> list[str]:
    return [result.label if isinstance(result, Answer) else result.code for result in results]


def test_only_what_is_given_is_sent(make: Make) -> None:
    service = Service()
    client = make(handler=service)
    client.classify("a", "topic")
    client.classify("b", "topic", "lstm", 3, True)
    list(client.classify_many(["c"], "topic"))
    list(client.classify_many(["d"], "topic", model="lstm", top_k=2))
    assert service.bodies == [
        {"text": "a"},
        {"text": "b", "model": "lstm", "top_k": 3, "explain": True},
        {"texts": ["c"]},
        {"texts": ["d"], "model": "lstm", "top_k": 2},
    ]


def test_key_and_names_travel_as_they_are(make: Make) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER)

    make("http://service/behind/a/proxy/", "snt_key", handler=answer).classify("a", "../a b/c?d")
    assert seen[0].url.raw_path == b"/behind/a/proxy/predict/..%2Fa%20b%2Fc%3Fd"
    assert seen[0].headers["x-api-key"] == "snt_key"
    assert seen[0].headers["user-agent"].startswith("sentopic-python/")


def test_redirect_is_not_followed_with_the_key(make: Make) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(307, headers={"location": "http://elsewhere/"})

    with pytest.raises(UnexpectedAnswerError):
        make(key="snt_key", handler=answer).classify("a", "topic")
    assert len(seen) == 1


@pytest.mark.parametrize("url", ["", "service", "ftp://service", "http://", "http://:8000", "http://[::1"])
def test_what_is_no_url_is_refused_at_once(make: Make, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        make(url)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX-Evil: 1", "schlüssel"])
def test_what_is_no_key_is_refused_at_once(make: Make, key: str) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        make(key=key)
    assert not key or key not in str(caught.value)


def test_order_is_kept_however_long_batches_take(make: Make) -> None:
    service = Service()
    texts = [str(number) for number in range(95)]
    assert labels(make(handler=service).classify_many(texts, "topic", concurrency=4)) == texts
    assert sorted(len(body["texts"]) for body in service.bodies) == [5, *[10] * 9]


def test_results_come_before_the_texts_end_and_few_texts_are_held(make: Make) -> None:
    taken = []

    def endless() -> Any:
        while True:
            taken.append(len(taken))
            yield str(taken[-1])

    results = make(handler=Service()).classify_many(endless(), "topic", batch_size=5, concurrency=2)
    for number in range(200):
        assert next(results).label == str(number)
        assert len(taken) <= number + 5 * (2 + 3)
    results.close()
    assert len(taken) < 230


def test_each_bad_text_fails_in_its_place(make: Make) -> None:
    texts: list[Any] = ["a", None, "x" * 101, "b", "\ud800", "😀" * 99 + "c"]
    found = labels(make(handler=Service()).classify_many(texts, "topic"))
    assert found == ["a", "invalid_request", "text_too_long", "b", "invalid_request", texts[-1]]


def test_failures_of_the_service_are_told_of_their_texts_alone(make: Make) -> None:
    error = {"status": 422, "code": "invalid_request", "detail": "Blank.", "title": "", "type": ""}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=TASK)
        return httpx.Response(200, json={"results": [ANSWER, {"error": error}]})

    results = list(make(handler=answer).classify_many(["a", " "], "topic"))
    assert labels(results) == ["earn", "invalid_request"]
    assert results[1] == Failure(422, "invalid_request", "Blank.")


def test_batch_that_takes_the_service_too_long_is_cut_in_half(make: Make) -> None:
    class Slow(Service):
        def fail(self, texts: list[str]) -> httpx.Response | None:
            return problem(504, "deadline_exceeded") if len(texts) > 3 else None

    service, time = Slow(), Time()
    texts = [str(number) for number in range(10)]
    assert labels(make(handler=service, time=time).classify_many(texts, "topic")) == texts
    assert [len(body["texts"]) for body in service.bodies] == [10, 5, 2, 3, 5, 2, 3]
    assert time.slept == []


def test_service_that_takes_less_than_it_says_is_given_less(make: Make) -> None:
    class Small(Service):
        def fail(self, texts: list[str]) -> httpx.Response | None:
            return problem(413, "body_too_large") if "".join(texts) != texts[0] or "x" in texts[0] else None

    assert labels(make(handler=Small()).classify_many(["a", "x", "b"], "topic")) == ["a", "body_too_large", "b"]


def test_text_that_alone_takes_too_long_is_asked_again_and_then_an_error(make: Make) -> None:
    class Never(Service):
        def fail(self, texts: list[str]) -> httpx.Response | None:
            return problem(504, "deadline_exceeded")

    service = Never()
    with pytest.raises(DeadlineError):
        list(make(handler=service, time=Time(), retries=2).classify_many(["a"], "topic"))
    assert len(service.bodies) == 3


def test_what_came_before_an_error_is_not_lost(make: Make) -> None:
    class Dying(Service):
        def fail(self, texts: list[str]) -> httpx.Response | None:
            return problem(500, "internal") if "25" in texts else None

    results = make(handler=Dying()).classify_many(map(str, range(50)), "topic")
    assert [next(results).label for _ in range(20)] == [str(number) for number in range(20)]
    with pytest.raises(ServiceFailedError, match="500 internal"):
        next(results)


@pytest.mark.parametrize("results", [[], [ANSWER], [ANSWER] * 3, None, {"0": ANSWER}])
def test_answer_with_another_number_of_results_is_not_believed(make: Make, results: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=TASK if request.method == "GET" else {"results": results})

    with pytest.raises(UnexpectedAnswerError):
        list(make(handler=answer).classify_many(["a", "b"], "topic"))


def test_one_string_is_not_taken_for_many_texts(make: Make) -> None:
    with pytest.raises(TypeError, match="many"):
        list(make(handler=Service()).classify_many("abc", "topic"))


@pytest.mark.parametrize("plan", [{"batch_size": 0}, {"concurrency": 0}, {"batch_size": -1}])
def test_plan_that_would_never_end_is_refused(make: Make, plan: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        list(make(handler=Service()).classify_many(["a"], "topic", **plan))


@pytest.mark.parametrize("patience", [{"timeout": 0}, {"retries": -1}])
def test_client_without_time_or_tries_is_refused(make: Make, patience: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="timeout"):
        make(**patience)


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError("refused"), 2),
        (httpx.ConnectTimeout(""), 2),
        (httpx.PoolTimeout(""), 2),
        (httpx.ReadError("broke"), 1),
        (httpx.WriteError("broke"), 1),
        (httpx.RemoteProtocolError("broke"), 1),
    ],
)
def test_feedback_is_sent_again_only_if_it_cannot_have_arrived(make: Make, error: Exception, sent: int) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            raise error
        return httpx.Response(202)

    try:
        make(handler=answer, time=Time()).feedback("a1", "sentiment", "positive")
    except UnavailableError:
        assert sent == 1
    assert len(seen) == sent


def test_no_text_needs_no_answer(make: Make) -> None:
    service = Service()
    assert list(make(handler=service).classify_many([], "topic")) == []
    assert service.bodies == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_answer_of_something_else_is_refused(make: Make, body: bytes) -> None:
    client = make(handler=lambda request: httpx.Response(200, content=body))
    for ask in (client.tasks, client.jobs, lambda: client.task("topic"), lambda: client.classify("a", "topic")):
        with pytest.raises(UnexpectedAnswerError):
            ask()


def test_ready_says_no_without_asking_again(make: Make) -> None:
    answers = iter(
        [problem(503, "overloaded"), httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.Response(200)]
    )

    def answer(request: httpx.Request) -> httpx.Response:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    time = Time()
    client = make(handler=answer, time=time)
    assert [client.ready() for _ in range(4)] == [False, False, False, True]
    assert time.slept == []
    with pytest.raises(NotFoundError):  # it is there, and no service of ours
        make(handler=lambda request: httpx.Response(404)).ready()


@pytest.mark.parametrize(
    ("name", "file_format", "media_type"),
    [
        ("a.csv", None, "text/csv"),
        ("a.JSONL", None, "application/x-ndjson"),
        ("a.parquet", None, "application/vnd.apache.parquet"),
        ("a.txt", None, "text/plain"),
        ("a.txt", "csv", "text/csv"),
    ],
)
def test_job_is_submitted_with_the_file_as_its_body(
    make: Make, tmp_path: Path, name: str, file_format: str | None, media_type: str
) -> None:
    content = bytes(range(256)) * 1_000
    (tmp_path / name).write_bytes(content)

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/jobs")
        assert request.content == content
        assert request.headers["content-length"] == str(len(content))
        assert request.headers["content-type"] == media_type
        asked.update(request.url.params)
        return httpx.Response(202, json=JOB | {"status": "waiting"})

    asked: dict[str, str] = {}
    job = make(handler=answer).submit_job(str(tmp_path / name), "topic", "gru", file_format, "a column & more")
    assert (job.id, job.status, job.ended) == ("j 1", "waiting", False)
    wanted = (
        file_format
        or {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "lines"}[Path(name).suffix.lower()]
    )
    assert asked == {"task": "topic", "model": "gru", "format": wanted, "text": "a column & more"}


def test_file_is_sent_from_its_beginning_when_it_is_sent_again(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"line\n" * 40_000)
    sizes = []

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.append(len(request.content))
        return problem(503, "overloaded", retry_after="1") if len(sizes) == 1 else httpx.Response(202, json=JOB)

    time = Time()
    make(handler=answer, time=time).submit_job(tmp_path / "a.txt", "topic")
    assert sizes == [200_000, 200_000]
    assert time.slept == [1]


def test_format_that_nobody_can_guess_is_asked_for(make: Make, tmp_path: Path) -> None:
    for name, file_format in (("texts.xlsx", None), ("texts.csv", "xlsx")):
        with pytest.raises(ValueError, match="csv, jsonl, parquet, lines"):
            make().submit_job(tmp_path / name, "topic", format=file_format)
    with pytest.raises(FileNotFoundError):
        make().submit_job(tmp_path / "texts.csv", "topic")


def test_job_is_waited_for_ever_more_seldom(make: Make) -> None:
    states = iter(
        [JOB | {"status": "waiting"}, *[JOB] * 20, JOB | {"seconds_left": 0.01}, JOB | {"status": "done", "done": 9}]
    )
    time = Time()
    client = make(handler=lambda request: httpx.Response(200, json=next(states)), time=time)
    assert client.wait("j 1").done == 9
    assert time.slept[0] == 0.2
    assert time.slept[:-1] == sorted(time.slept[:-1])
    assert time.slept[-2:] == [5, 0.2]


def test_wait_ends_with_its_timeout(make: Make) -> None:
    time = Time()
    client = make(handler=lambda request: httpx.Response(200, json=JOB), time=time)
    with pytest.raises(TimedOutError, match="job j 1 is running after 12 s"):
        client.wait("j 1", timeout=12)
    assert sum(time.slept) == pytest.approx(12)


@pytest.mark.parametrize("status", ["failed", "cancelled", "of a later service"])
def test_job_that_ends_otherwise_is_an_error(make: Make, status: str) -> None:
    error = {"status": 422, "code": "unreadable_file", "detail": "Line 3 is no JSON."}
    client = make(handler=lambda request: httpx.Response(200, json=JOB | {"status": status, "error": error}))
    with pytest.raises(JobFailedError, match=rf"Job j 1 is {status}: Line 3") as caught:
        client.wait("j 1")
    assert caught.value.job.status == status


def test_result_is_there_only_once_it_is_whole(make: Make, tmp_path: Path) -> None:
    into = tmp_path / "result.csv"
    into.write_text("old")
    tries = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/jobs/j%201/result"
        tries.append(request)
        if len(tries) == 1:
            raise httpx.ReadError("broke")
        return problem(404, "unknown_job") if len(tries) == 3 else httpx.Response(200, content=b"new" * 100_000)

    client = make(handler=answer, time=Time())
    assert client.download("j 1", into) == into
    assert into.read_bytes() == b"new" * 100_000
    with pytest.raises(NotFoundError):
        client.download("j 1", into)
    assert into.read_bytes() == b"new" * 100_000
    assert list(tmp_path.iterdir()) == [into]


def test_rows_of_a_failed_job_can_be_had(make: Make, tmp_path: Path) -> None:
    client = make(handler=lambda request: httpx.Response(200, content=request.url.query))
    assert client.download("j", tmp_path / "rows", partial=True).read_bytes() == b"partial=true"
    assert client.download("j", tmp_path / "rows").read_bytes() == b""


def test_jobs_are_listed_and_deleted(make: Make) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            assert request.url.raw_path == b"/jobs/j%201"
            return httpx.Response(204)
        page = {"jobs": [JOB], "next": "7-a"} if not request.url.params else {"jobs": [JOB | {"id": "2"}], "next": None}
        assert dict(request.url.params) in ({}, {"before": "7-a"})
        return httpx.Response(200, json=page)

    client = make(handler=answer)
    assert [job.id for job in client.jobs()] == ["j 1", "2"]
    assert client.delete("j 1") is None


@pytest.mark.parametrize("text", [None, "A fine film."])
def test_feedback_is_told_once(make: Make, text: str | None) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, json.loads(request.content)))
        if len(seen) > 1:
            raise httpx.ReadError("broke")
        return httpx.Response(202)

    client = make(handler=answer, time=Time())
    client.feedback("a1", "sentiment", "positive", text)
    said = {"id": "a1", "task": "sentiment", "label": "positive"} | ({"text": text} if text else {})
    assert seen == [("POST", "/feedback", said)]
    with pytest.raises(UnavailableError):
        client.feedback("a1", "sentiment", "positive", text)
    assert len(seen) == 2


def test_overload_is_waited_out_by_the_clients_own_clock(make: Make) -> None:
    answers = iter([problem(503, "overloaded", retry_after="3"), problem(429, "rate_limited", retry_after="2")])
    time = Time()
    client = make(handler=lambda request: next(answers, httpx.Response(200, json=ANSWER)), time=time)
    assert client.classify("a", "topic").label == "earn"
    assert time.slept == [3, 2]
    client = make(handler=lambda request: problem(503, "overloaded", retry_after="40"), time=time)
    with pytest.raises(OverloadedError) as caught:
        client.classify("a", "topic")
    assert caught.value.retry_after_s == 40
    assert time.slept == [3, 2]
