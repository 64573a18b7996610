"""Stages add up and are written as the header wants them."""

import re
from time import perf_counter, sleep

import pytest

from app.stages import Stages, TimedStages


def test_a_stage_lasts_from_the_last_end_or_beginning() -> None:
    stages = Stages()
    stages.end("read")
    stages.add("queue", 0.25)
    stages.add("queue", 0.5)
    stages.begin()
    stages.end("answer")
    assert list(stages.seconds) == ["read", "queue", "answer"]
    assert stages.seconds["queue"] == 0.75
    assert 0 <= stages.seconds["answer"] <= stages.seconds["read"] + 0.1


def test_parts_of_a_request_that_ran_together_count_once() -> None:
    begin, stages = perf_counter(), Stages()
    for _ in range(3):
        sleep(0.003)
        stages.add_run(0.001, 0.1)
    assert 0.009 <= stages.seconds["engine"] <= perf_counter() - begin
    assert stages.seconds["queue"] == pytest.approx(0.003)


def test_header_has_milliseconds() -> None:
    stages = Stages()
    stages.add("queue", 0.0012345)
    stages.add("engine", 2)
    assert stages.server_timing() == "queue;dur=1.234, engine;dur=2000.000"
    assert re.fullmatch(r"(\w+;dur=[\d.]+(, )?)+", stages.server_timing())


def test_timed_stages_know_when_they_began_first_and_ended_last() -> None:
    begin = perf_counter()
    stages = TimedStages()
    stages.end("read")
    for _ in range(2):
        sleep(0.003)
        stages.add_run(0.001, 0.002)
        stages.end("answer")
    assert list(stages.spans) == list(stages.seconds) == ["read", "queue", "engine", "answer"]
    queue, engine = stages.spans["queue"], stages.spans["engine"]
    assert begin <= stages.spans["read"][0] <= stages.spans["read"][1] <= queue[0]
    assert queue[1] - queue[0] >= 0.004
    assert engine[0] - queue[0] >= 0.0009
    assert engine[1] - queue[1] >= 0.0019
    assert stages.spans["answer"][1] <= perf_counter()
