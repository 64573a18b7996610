"""docs/own-data.md is true: its commands run, in their order, and print what stands there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from training import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```sh\n(.*?)\n```(?:\n\n```text\n(.*?)\n```)?", PAGE, re.DOTALL)
"""Each command, and what it prints; nothing for what goes on running."""
PROGRAMS = {"sentopic-train": "training.cli", "sentopic": "app.cli"}


def shape(line: str) -> str:
    """What must not vary: of figures with a point, times and names of runs only that they are there."""
    line = re.sub(r"-[0-9a-f]{16}\b|\"id\":\"[0-9a-f]+\"", "#", line)
    line = re.sub(r"\d+\.\d+(e-\d+)?%?", "#", line)
    line = re.sub(r"^epoch .*", "epoch", line)
    line = re.sub(r"^The network is .*", "The network is #", line)
    return re.sub(r" +", " ", line).strip()


def walk(folder: Path, serve: Any) -> Iterator[tuple[str, list[str], list[str]]]:
    """(command, lines of the page, lines printed), step by step, as a user takes them."""
    steps = iter(STEPS)
    for command, shown in steps:
        if " serve " not in command:
            yield command, shown.splitlines(), run(command, folder)
            continue
        *_, bundle = shlex.split(command)
        with serve("--bundle", str(folder / bundle)) as url:
            for asked, expected in islice(steps, 2):
                yield asked, expected.splitlines(), run(asked.replace("http://127.0.0.1:8000", url), folder)


def run(command: str, folder: Path) -> list[str]:
    program, *words = shlex.split(command.replace("\\\n", ""))
    if program in {"curl", "mv"}:
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60, cwd=folder
        )
        return done.stdout.splitlines()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTOPIC_")}
    done = subprocess.run(
        [sys.executable, "-m", PROGRAMS[Path(program).name], *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        timeout=280,
    )
    assert done.returncode == (2 if "--min-examples" not in words and words[0] == "fit" else 0), done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def condense(lines: list[str]) -> list[str]:
    """Shapes; epochs, however many, and whatever the page leaves out between them, are one."""
    found = list[str]()
    for line in map(shape, lines):
        if line == "epoch" and found[-2:] == ["epoch", "..."]:
            found.pop()
        if line != "epoch" or found[-1:] != ["epoch"]:
            found.append(line)
    return found


def compare(shown: list[str], printed: list[str]) -> None:
    """Lines stand in the page as they were printed; "..." stands for others in between."""
    place, skipping, there = 0, False, condense(printed)
    for line in condense(shown):
        if line == "...":
            skipping = True
            continue
        assert line in there[place:], f"{line}\nis not in\n" + "\n".join(there[place:])
        found = there.index(line, place)
        assert skipping or found == place, f"the page lacks: {there[place:found]}"
        place, skipping = found + 1, False
    assert skipping or place == len(there), f"the page lacks: {there[place:]}"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory that has what the page's commands name, and nothing else."""
    shutil.copytree(ROOT / "docs" / "own-data", tmp_path / "docs" / "own-data")
    return tmp_path


def test_page_has_all_its_steps() -> None:
    assert len(STEPS) == 10
    assert [bool(shown) for _, shown in STEPS] == [True, True, True, False, True, True, True, False, True, False]


def test_everything_that_is_said_before_training_stands_in_the_page(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(here)
    for command, shown in STEPS[:3]:
        _, *words = shlex.split(command)
        status = cli.main([*words, *([] if "--check" in words else ["--check"])])
        printed = capsys.readouterr()
        assert status == (0 if "--min-examples" in words else 2)
        before, *_ = shown.partition("\nteacher: made anew")
        compare(before.splitlines(), [*printed.out.splitlines(), *printed.err.splitlines()])


@pytest.mark.slow
def test_walk_goes_as_the_page_says(here: Path, serve: Any) -> None:
    """On other machines figures may differ in their last digits; what they lead to does not."""
    pytest.importorskip("keras")
    answers = []
    for command, shown, printed in walk(here, serve):
        if "/predict/tickets -H" in command:
            answers = [json.loads(lines[0])["label"] for lines in (shown, printed)]
        elif "--compare" in command:
            assert [line for line in printed if line.startswith("runs/") and " and " in line] == shown[:1]
            assert shown[5].rpartition(" ")[0] in "\n".join(printed)
        elif "evaluate" in command:
            compare(shown[:8], printed[:8])
        else:
            compare(shown, printed)
    assert answers == ["billing"] * 2


@pytest.mark.parametrize(
    "line", re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", PAGE.split("## What it may say")[1], re.MULTILINE)
)
def test_line_that_it_may_say_is_said_somewhere(line: str) -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "training").rglob("*.py"))
    words = re.sub(r"'body'|\b10 ", "{", line).split("{")
    joined = re.sub(r'"\s*\n\s*f?"', "", sources)
    assert all(part.strip() in joined for part in words)


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#]+)", PAGE))
def test_link_leads_somewhere(name: str) -> None:
    assert (ROOT / "docs" / name).exists()


def test_table_is_what_its_script_writes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs" / "own-data" / "make_tickets.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "make_tickets.py")], check=True, timeout=60)
    assert (tmp_path / "tickets.csv").read_bytes() == (ROOT / "docs" / "own-data" / "tickets.csv").read_bytes()
