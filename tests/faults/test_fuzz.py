"""Whatever schemathesis makes up, the service answers as its OpenAPI document says."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.keys import create, open_store

HERE = Path(__file__).resolve().parent
CASES = int(os.environ.get("SENTOPIC_TEST_CASES", "20000"))


def fuzz(url: str, directory: Path, *options: str, timeout_s: float = 280) -> int:
    """How many cases schemathesis made up; fails the test if one of its checks does not hold."""
    command = [
        Path(sys.executable).with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml",
        "run", f"{url}/openapi.json", "--generation-database", "none", "--no-color", *options,
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        cwd=directory,
        env=os.environ | hooks,
    )
    if ran.returncode:
        pytest.fail(ran.stdout[-6_000:])
    made = re.search(r"(\d[\d,]*) generated", ran.stdout)
    assert made, ran.stdout
    return int(made.group(1).replace(",", ""))


def test_every_check_holds(start: Callable[..., Any], tmp_path: Path) -> None:
    assert fuzz(start().url, tmp_path, "--max-examples", "150") > 500


def test_every_check_holds_where_keys_are_asked_for(start: Callable[..., Any], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    key = create(open_store(str(keys)), "fuzz", ["predict", "admin"])
    service = start("--bundle", "artifacts/topic/gru", keys=keys)
    assert fuzz(service.url, tmp_path, "--max-examples", "25", "--header", f"X-API-Key: {key}") > 50


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_every_check_holds_in_20000_cases(start: Callable[..., Any], tmp_path: Path) -> None:
    service, made, seed = start(), 0, 0
    while made < CASES:
        seed += 1
        made += fuzz(service.url, tmp_path, "--max-examples", "1000", "--seed", str(seed), timeout_s=1_800)
        print(f"\n{made} cases")
    assert service.process.poll() is None
