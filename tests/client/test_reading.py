"""JSON into values: later services may say more, and what does not fit is told without what was found there."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sentopic.client.errors import UnexpectedAnswerError
from sentopic.client.reading import read
from sentopic.client.results import Answer, Job, Score, Task
from tests.client.conftest import ANSWER

JOB = {"id": "j", "task": "topic", "model": "gru", "format": "csv", "status": "done", "created": "2026-11-21T10:00:00Z"}


def test_fields_that_a_later_service_adds_are_left_out() -> None:
    later = ANSWER | {"new": [1], "scores": [{"label": "earn", "score": 1, "rank": 1}]}
    answer = read(Answer, later, "answer")
    assert answer.scores == (Score("earn", 1.0),)
    assert answer.explanation is None


def test_explanation_is_read() -> None:
    explanation = {
        "label": "earn",
        "words": [
            {"start": 0, "end": 3, "status": "known", "contribution": 0.5, "without": 0.4},
            {"start": 4, "end": 6, "status": "unknown", "contribution": None, "without": None},
        ],
        "verdict": [{"end": 3, "score": 0.8}],
    }
    found = read(Answer, ANSWER | {"explanation": explanation}, "answer").explanation
    assert found is not None
    assert [(word.start, word.end, word.contribution) for word in found.words] == [
        (0, 3, 0.5), (4, 6, None),
    ]  # fmt: skip
    assert found.verdict[0].score == 0.8


def test_job_is_read_with_and_without_what_is_not_known_yet() -> None:
    assert read(Job, JOB, "job").created == datetime(2026, 11, 21, 10, tzinfo=UTC)
    error = {"status": 413, "code": "too_long", "detail": "It is."}
    more = {
        "rows": 5,
        "done": 3,
        "failed": 1,
        "rows_per_s": 2,
        "seconds_left": 0.5,
        "error": error,
        "labels": {"earn": 2},
    }
    job = read(Job, JOB | more, "job")
    assert (job.rows, job.rows_per_s, job.labels, job.ended) == (5, 2.0, {"earn": 2}, True)
    assert job.error is not None
    assert job.error.code == "too_long"
    assert read(Job, JOB | {"rows": None, "error": None, "status": "running"}, "job").ended is False


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"label": 7}, r"\.label"),
        ({"label": None}, r"\.label"),
        ({"confidence": "0.9"}, r"\.confidence"),
        ({"confidence": True}, r"\.confidence"),
        ({"scores": {}}, r"\.scores"),
        ({"scores": [{"label": "earn"}]}, r"\.scores\.score"),
        ({"tokens": {"total": 1.5, "known": 1, "windows": 1}}, r"\.tokens\.total"),
        ({"explanation": []}, r"\.explanation"),
    ],
)
def test_what_does_not_fit_is_named_and_not_repeated(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=f"^answer{place} is not what this client understands$"):
        read(Answer, ANSWER | changes, "answer")


@pytest.mark.parametrize("missing", ["label", "scores", "id"])
def test_missing_field_is_named(missing: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=rf"^answer\.{missing} is"):
        read(Answer, {name: value for name, value in ANSWER.items() if name != missing}, "answer")


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_answer_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(UnexpectedAnswerError):
        read(Task, data, "task")


@pytest.mark.parametrize("created", ["yesterday", 7, None])
def test_moment_is_an_iso_date(created: object) -> None:
    with pytest.raises(UnexpectedAnswerError, match=r"job\.created"):
        read(Job, JOB | {"created": created}, "job")
