"""What is tried again and when: the flow of a call, without a service, a socket or a clock."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentopic.client.errors import (
    ForbiddenError,
    InvalidRequestError,
    OverloadedError,
    RequestRefusedError,
    SentopicError,
    ServiceFailedError,
    TimedOutError,
    UnavailableError,
    UnexpectedAnswerError,
)
from sentopic.client.exchange import Call, Lost, Outcome, Reply, Send, Wait, exchange
from sentopic.client.retry import LONGEST_WAIT_S, Patience
from tests.client.conftest import Time

SECRET = "my private diary"
GOOD = Reply(200, {}, b"{}")
UNSENT = Lost("refused", unsent=True)
BROKEN = Lost("broke")
QUESTION = Call("POST", "/predict/topic", body=SECRET.encode())
SUBMISSION = Call("POST", "/jobs", body=Path("texts.csv"), repeatable=False)


def refusal(status: int, code: str = "", **headers: str) -> Reply:
    if not code:
        return Reply(status, headers, f"<html>{SECRET}</html>".encode())
    content = {"status": status, "code": code, "detail": "So it is.", "new": SECRET}
    headers = {"content-type": "application/problem+json", "x-request-id": "r7"} | headers
    return Reply(status, headers, json.dumps(content).encode())


def play(
    call: Call,
    *outcomes: Outcome,
    retries: int = 4,
    timeout_s: float = 30,
    takes_s: float = 0,
    time: Time | None = None,
) -> tuple[int, list[float], Reply | SentopicError]:
    """How often it was sent, what was waited, and what came of it. The last outcome comes again and again."""
    time = time or Time()
    flow = exchange(call, Patience(timeout_s, retries, time.clock))
    sent, waited, outcome = 0, [], None
    try:
        while True:
            step = flow.send(outcome)
            if isinstance(step, Wait):
                waited.append(step.seconds)
                time.now += step.seconds
                outcome = None
            else:
                assert step.call is call
                outcome = outcomes[min(sent, len(outcomes) - 1)]
                sent += 1
                time.now += takes_s
    except StopIteration as end:
        return sent, waited, end.value
    except SentopicError as error:
        return sent, waited, error


def test_good_answer_is_asked_for_once() -> None:
    assert play(QUESTION, GOOD) == (1, [], GOOD)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_to_the_second(status: int) -> None:
    busy = refusal(status, "overloaded", **{"retry-after": "7"})
    assert play(QUESTION, busy, busy, GOOD) == (3, [7, 7], GOOD)


def test_without_retry_after_waits_double_up_to_the_cap() -> None:
    sent, waited, outcome = play(QUESTION, refusal(503), retries=9, timeout_s=1_000)
    assert (sent, waited) == (10, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S])
    assert isinstance(outcome, OverloadedError)


@pytest.mark.parametrize("outcome", [refusal(429), refusal(502), refusal(503), refusal(504), UNSENT, BROKEN])
def test_question_is_asked_again(outcome: Outcome) -> None:
    assert play(QUESTION, outcome, GOOD)[0] == 2
    assert play(QUESTION, outcome, GOOD, retries=0)[0] == 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 409, 413, 415, 422, 499, 500, 501])
def test_what_asking_again_cannot_mend_is_told_at_once(status: int) -> None:
    sent, waited, outcome = play(QUESTION, refusal(status), GOOD)
    assert (sent, waited) == (1, [])
    assert isinstance(outcome, UnexpectedAnswerError if status == 302 else RequestRefusedError)


@pytest.mark.parametrize(
    ("outcome", "sent"),
    [
        (UNSENT, 2),
        (BROKEN, 1),
        (refusal(503, "overloaded"), 2),
        (refusal(429, "rate_limited"), 2),
        (refusal(503), 1),
        (refusal(503, "other"), 1),
        (refusal(502), 1),
        (refusal(504, "deadline_exceeded"), 1),
    ],
)
def test_job_is_submitted_again_only_where_there_can_be_none_yet(outcome: Outcome, sent: int) -> None:
    assert play(SUBMISSION, outcome, GOOD)[0] == sent


def test_nobody_sleeps_past_the_deadline() -> None:
    busy = refusal(503, "overloaded", **{"retry-after": "8"})
    sent, waited, outcome = play(QUESTION, busy, timeout_s=20, takes_s=1)
    assert (sent, waited) == (3, [8, 8])
    assert isinstance(outcome, OverloadedError)
    assert outcome.retry_after_s == 8
    assert play(QUESTION, refusal(429, "x", **{"retry-after": "20"}), timeout_s=20)[:2] == (1, [])
    assert play(QUESTION, refusal(429, "x", **{"retry-after": "19"}), GOOD, timeout_s=20)[:2] == (2, [19])


@given(
    st.lists(st.sampled_from([BROKEN, UNSENT, refusal(503), refusal(429, "x", **{"retry-after": "3"})]), min_size=1),
    st.floats(0.1, 60),
    st.floats(0, 5),
    st.integers(0, 9),
    st.floats(0, 1),
)
def test_whatever_happens_no_wait_ends_past_the_deadline(
    outcomes: list[Outcome], timeout_s: float, takes_s: float, retries: int, chance: float
) -> None:
    time = Time(chance)
    sent, waited, _ = play(QUESTION, *outcomes, retries=retries, timeout_s=timeout_s, takes_s=takes_s, time=time)
    assert sent <= retries + 1
    assert len(waited) == sent - 1
    assert sum(waited) + (sent - 1) * takes_s <= timeout_s + 1e-6


def test_each_try_may_take_what_is_left() -> None:
    time = Time()
    flow = exchange(QUESTION, Patience(10, 4, time.clock))
    step = next(flow)
    assert isinstance(step, Send)
    assert step.timeout_s == 10
    time.now += 3
    assert flow.send(refusal(503, "overloaded", **{"retry-after": "2"})) == Wait(2)
    time.now += 2
    step = flow.send(None)
    assert isinstance(step, Send)
    assert step.timeout_s == pytest.approx(5)


def test_time_that_a_file_takes_is_not_counted() -> None:
    upload = Call("GET", "/jobs/1/result", into=Path("result.csv"))
    assert play(upload, BROKEN, GOOD, timeout_s=10, takes_s=3_600)[0] == 2
    assert play(QUESTION, BROKEN, GOOD, timeout_s=10, takes_s=3_600)[0] == 1


def test_no_answer_in_time_and_no_connection_are_two_errors() -> None:
    assert isinstance(play(QUESTION, Lost("late", timed_out=True), timeout_s=5, takes_s=5)[2], TimedOutError)
    assert isinstance(play(QUESTION, UNSENT)[2], UnavailableError)
    assert issubclass(TimedOutError, TimeoutError)


def test_refusal_has_what_the_service_says() -> None:
    error = play(QUESTION, refusal(403, "forbidden"))[2]
    assert isinstance(error, ForbiddenError)
    assert (error.status, error.code, error.detail, error.request_id) == (403, "forbidden", "So it is.", "r7")
    assert str(error) == "403 forbidden: So it is. (request r7)"


def test_refusal_says_where_the_fault_is() -> None:
    content = {
        "status": 422, "code": "invalid_request", "detail": "It does not fit.",
        "errors": [{"loc": ["texts", 3], "type": "string_type", "msg": "Should be a string"}],
    }  # fmt: skip
    reply = Reply(422, {"content-type": "application/problem+json; charset=utf-8"}, json.dumps(content).encode())
    error = play(QUESTION, reply)[2]
    assert isinstance(error, InvalidRequestError)
    assert error.errors[0].loc == ("texts", 3)
    assert str(error) == "422 invalid_request: It does not fit. texts.3: Should be a string."


ALIEN = json.dumps({"status": 500, "code": SECRET, "detail": SECRET}).encode()


@pytest.mark.parametrize(
    "reply",
    [
        refusal(500),
        Reply(500, {"content-type": "application/problem+json"}, SECRET.encode()),
        Reply(500, {"content-type": "application/problem+json"}, json.dumps({"detail": SECRET}).encode()),
        Reply(500, {"content-type": "application/json"}, ALIEN),
        Reply(500, {"content-type": "application/problem+json"}, b"\xff["),
        Reply(500, {"content-type": "application/problem+json"}, b"[" * 100_000),
    ],
)  # fmt: skip
def test_what_is_no_problem_of_the_service_is_not_repeated(reply: Reply) -> None:
    error = play(QUESTION, reply)[2]
    assert isinstance(error, ServiceFailedError)
    assert str(error) == "500 http_500: no problem details"


def test_message_is_one_line_of_bounded_length() -> None:
    content = {"status": 500, "code": "internal", "detail": "a\nb\x1b[31m" + "c" * 10_000}
    reply = Reply(500, {"content-type": "application/problem+json"}, json.dumps(content).encode())
    text = str(play(QUESTION, reply)[2])
    assert text.startswith("500 internal: ab[31mccc")
    assert len(text) < 450
