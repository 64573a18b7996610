"""docs/feedback.md is true: its requests run as they stand, its commands have the options that it names."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

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


def test_commands_have_these_options() -> None:
    commands = re.findall(r"^\.venv/bin/sentopic-train (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        _parser().parse_args(shlex.split(command))
    assert "topic-gru.v7" in recipes.RECIPES
    assert f"({Settings.model_fields['max_feedback'].default:,})" in PAGE
