"""docs/client.md is true: its code runs against the service and has the types that it says; its table is the tree."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sentopic.client import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_code_runs(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reviews.csv").write_text('id,review\n1,"A fine film, I loved it."\n2,The worst film of the year.\n')
    routes = httpx.get(f"{server}/openapi.json").json()["paths"]
    names: dict[str, object] = {}
    for block in BLOCKS:
        needed = re.match(r"# needs: (\S+)\n", block)
        if needed is None or needed.group(1) in routes:
            exec(compile(block.replace("http://127.0.0.1:8000", server), "docs/client.md", "exec"), names)
    names["client"].close()  # type: ignore[attr-defined]
    printed = capsys.readouterr().out
    for expected in ("positive 0.9", "negative 0.", "not answered: invalid_request", "404 unknown_task"):
        assert expected in printed


def test_readme_example_runs(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block.replace("http://127.0.0.1:8000", server), "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[0].startswith("positive 0.")


def test_code_has_the_types_that_it_says(tmp_path: Path) -> None:
    """Strictly, as a user's own mypy sees it; the last lines hold the types themselves."""
    types = """
from typing import assert_type
from collections.abc import Iterator
from sentopic.client import Failure, Job, Task
assert_type(answer, Answer)
assert_type(client.classify_many(iter(texts), "topic"), Iterator[Answer | Failure])
assert_type(client.tasks(), tuple[Task, ...])
assert_type(done, Job)
assert_type(done.rows, int | None)
assert_type([word.contribution for word in answer.explanation.words] if answer.explanation else [], list[float | None])
client.classify(7, "topic")  # type: ignore[arg-type]
answer.label = "other"  # type: ignore[misc]
"""
    example = tmp_path / "example.py"
    example.write_text("\n".join(BLOCKS) + types, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), str(example)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_table_of_errors_is_the_tree() -> None:
    rows = set(re.findall(r"`(\w+Error)`", PAGE.split("| Error |")[1].split("\n\n")[0]))
    own = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert rows - {"TimeoutError"} == own - {"SentopicError", "RequestRefusedError"}
    assert errors.__doc__ is not None
    assert own == set(re.findall(r"\w+Error", errors.__doc__)) - {"TimeoutError"}
