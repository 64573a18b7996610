"""docs/feedback.md is true: its requests run as they stand, its commands have the options that it names."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.bounds import Bounds
from app.feedback import Feedback, FeedbackStore
from app.settings import Settings
from training import recipes
from training.cli import _parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_requests_run_as_they_stand(server: str) -> None:
    ask, say, withdraw = re.findall(r"^curl .*$", PAGE, re.MULTILINE)

    def run(line: str, answer: str = "") -> str:
        command = line.replace("localhost:8000", server).replace("curl ", "curl -sS --fail-with-body ")
        environment = {"ID": answer, "PATH": "/usr/bin:/bin"}
        ran = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, env=environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    (answer,) = re.findall(r'"id":"(\w+)"', run(ask))
    assert f'"id":"{answer}"' in run(say, answer)
    assert not run(withdraw, answer)


@pytest.mark.slow
def test_model_that_learned_is_compared_and_then_takes_the_others_place(tmp_path: Path) -> None:
    """The commands for a table, in their order, behind the walk of docs/own-data.md."""
    pytest.importorskip("keras")
    shutil.copytree(ROOT / "docs" / "own-data", tmp_path / "docs" / "own-data")
    jobs = tmp_path / ".local" / "state" / "sentopic" / "jobs"
    jobs.mkdir(parents=True)
    store = FeedbackStore(f"sqlite:///{jobs / 'jobs.db'}")
    letters = (ROOT / "docs" / "own-data" / "new-letters.csv").read_text(encoding="utf-8").splitlines()[1:]
    for number, (text, label) in enumerate(csv.reader(letters)):
        store.put(Feedback("", f"{number:016x}", "tickets", label, text, number), Bounds(99))
    store.close()

    def run(line: str) -> str:
        words = line.replace(".venv/bin/sentopic-train", f"{shlex.quote(sys.executable)} -m training.cli")
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            ["bash", "-c", words],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=280,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def seal(place: str) -> str:
        return str(json.loads((tmp_path / place / "bundle.json").read_text())["sha256"])

    learn, compare, move = re.findall(r"^(?:\.venv\S* .*--table|mv) .*$", PAGE, re.MULTILINE)
    run(learn.partition(" --feedback ")[0])
    before = seal("runs/tickets/gru")
    assert "feedback: 20 answers" in run(learn)
    assert seal("runs/tickets/gru") == before
    heard = seal("heard/tickets/gru")
    assert "texts flipped from runs/tickets/gru to heard/tickets/gru: " in run(compare)
    run(move)
    assert [seal("runs/tickets/gru"), seal("tickets-before")] == [heard, before]


def test_commands_have_these_options() -> None:
    commands = re.findall(r"^\.venv/bin/sentopic-train (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    assert all("--out" in command for command in commands if command.startswith("fit"))
    for command in commands:
        _parser().parse_args(shlex.split(command))
    assert "topic-gru.v7" in recipes.RECIPES
    assert f"({Settings.model_fields['max_feedback'].default:,})" in PAGE
