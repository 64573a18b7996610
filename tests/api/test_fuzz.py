"""Whatever schemathesis makes up, the service answers as its OpenAPI document says."""

import subprocess
import sys
from pathlib import Path

import pytest

CASES_PER_OPERATION = 150


def test_every_check_holds(server: str, tmp_path: Path) -> None:
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", f"{server}/openapi.json", "--checks", "all",
        "--max-examples", str(CASES_PER_OPERATION), "--generation-database", "none", "--no-color",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, cwd=tmp_path)
    if ran.returncode:
        pytest.fail(ran.stdout[-6_000:])
