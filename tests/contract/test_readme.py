"""The README is true: its commands run, its figures are the bundles'."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.settings import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows() -> list[str]:
    """The lines of the table of models that the shipped bundles make."""
    lines = []
    for path in sorted(SHIPPED.glob("*/*/bundle.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        metrics = manifest["metrics"]
        low, high = metrics["test_accuracy_low"], metrics["test_accuracy_high"]
        cells = [
            f"[{manifest['task']}/{manifest['model']}]({path.parent.relative_to(ROOT)}/CARD.md)",
            manifest["text"]["windows"],
            f"**{metrics['test_accuracy']:.4f}** ({low:.4f} to {high:.4f})",
            *(f"{metrics[f'test_accuracy_{reading}']:.4f}" for reading in ("first", "last", "cover")),
            f"{manifest['parameters']:,}",
            f"{manifest['files']['model.keras']['size'] / 1e6:.1f} MB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def test_table_of_models_is_what_the_bundles_say() -> None:
    table = README.split("<!-- models:")[1].split("<!-- /models -->")[0]
    assert [line for line in table.splitlines() if line.startswith("| [")] == rows()


def test_curl_commands_answer(server: str) -> None:
    commands = [block.replace("\\\n", " ") for block in re.findall(r"```sh\n(curl .*?)```", README, re.DOTALL)]
    assert len(commands) == 3
    answers = []
    for command in commands:
        words = shlex.split(command.replace("http://127.0.0.1:8000", server))
        answers.append(json.loads(subprocess.run(words, capture_output=True, check=True).stdout))
    assert [answer.get("label") for answer in answers] == ["positive", "earn", None]
    assert [result["label"] for result in answers[2]["results"]] == ["negative", "positive"]


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#]+)\)", README))
def test_link_leads_somewhere(name: str) -> None:
    assert (ROOT / name).exists()


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
