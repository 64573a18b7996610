"""Stages add up and are written as the header wants them."""

import re

from app.stages import Stages


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


def test_header_has_milliseconds() -> None:
    stages = Stages()
    stages.add("queue", 0.0012345)
    stages.add("engine", 2)
    assert stages.server_timing() == "queue;dur=1.234, engine;dur=2000.000"
    assert re.fullmatch(r"(\w+;dur=[\d.]+(, )?)+", stages.server_timing())
