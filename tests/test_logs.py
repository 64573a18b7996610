"""The log as a running service writes it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
SECRET = "wheat secret7f3a"


def serve_and_ask(**settings: object) -> str:
    """What a service with these settings says when asked for a text, a batch, a bad body and a strange path."""
    environment = {f"SENTOPIC_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--bundle", str(SHIPPED / "topic" / "gru")]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=ROOT, env={**os.environ, **environment}, **pipes) as process:
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert found
        with httpx.Client(base_url=found.group()) as client:
            client.post("/predict/topic", json={"text": SECRET})
            client.post("/predict/topic/batch", json={"texts": [SECRET, 5]})
            client.post("/predict/topic", json={"text": [SECRET]})
            client.get("/a%0Asentopic: forged")
        process.send_signal(signal.SIGINT)
        return str(process.communicate()[1])


def test_nothing_is_said_unless_asked_for() -> None:
    assert serve_and_ask() == ""


def test_requests_are_a_line_each_without_their_texts() -> None:
    lines = serve_and_ask(log_requests=True).splitlines()
    ending = r"\d+\.\d+ ms [0-9a-f]{16}"
    assert re.fullmatch(rf"sentopic: POST /predict/topic 200 {ending}", lines[0])
    assert re.fullmatch(rf"sentopic: POST /predict/topic/batch 200 {ending}", lines[1])
    assert re.fullmatch(rf"sentopic: POST /predict/topic 422 {ending}", lines[2])
    assert re.fullmatch(rf"sentopic: GET /a%0Asentopic:%20forged 404 {ending}", lines[3])
    assert len(lines) == 4


def test_programs_get_an_object_a_line() -> None:
    said = serve_and_ask(log_requests=True, log_format="json")
    assert SECRET not in said
    first, *_, last = [json.loads(line) for line in said.splitlines()]
    assert first["level"] == "INFO"
    assert first["logger"] == "sentopic.requests"
    assert (first["method"], first["path"], first["status"], first["task"]) == ("POST", "/predict/topic", 200, "topic")
    assert re.fullmatch("[0-9a-f]{16}", first["request"])
    assert first["ms"] > 0
    assert re.match(r"20\d\d-\d\d-\d\dT", first["time"])
    assert last["status"] == 404


@pytest.mark.parametrize("form", ["text", "json"])
def test_texts_are_logged_only_when_a_setting_says_so(form: str) -> None:
    said = serve_and_ask(log_texts=True, log_format=form).splitlines()
    assert len(said) == 2
    assert all(SECRET in line for line in said)
    if form == "json":
        one = json.loads(said[0])
        assert one["text"] == SECRET
        assert {"task", "model", "label", "confidence", "request"} <= one.keys()
