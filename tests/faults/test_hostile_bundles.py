"""Hostile bundles are refused before anything of them is used, by both engines: nothing runs, nothing else is read."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from app.settings import SHIPPED
from tests.faults.hostile import CASES, Case, Draft

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).with_name("guard.py")
MOST_MB = 100
"""The most that memory may grow by, of whatever size a bundle says it is."""


@dataclass(frozen=True)
class Hostile:
    root: Path
    canaries: Path
    control: Path
    ran: Path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """All of them on disk, beside one that is only sealed anew."""
    root = tmp_path_factory.mktemp("hostile")
    canaries = root / "canaries"
    canaries.mkdir()
    (canaries / "canary.txt").write_text("secret\n")
    (canaries / "canary.bin").write_bytes(bytes(20_000 * 64 * 4))
    with h5py.File(canaries / "canary.h5", "w") as file:
        file["secret"] = np.zeros((20_000, 64), np.float32)
    original = SHIPPED / "sentiment" / "gru"
    control = Draft(original, root / "control", canaries)
    control.seal()
    for case in CASES:
        draft = Draft(original, root / case.name, canaries)
        if case.sealed_first:
            draft.seal()
        case.spoil(draft)
        if not case.sealed_first:
            draft.seal()
    yield Hostile(root, canaries, control.directory, control.ran)
    shutil.rmtree(root)


def look(bundles: Hostile, engine: str) -> dict[str, dict[str, Any]]:
    asked = {
        "engine": engine,
        "control": str(bundles.control),
        "canaries": str(bundles.canaries),
        "early": [str(bundles.root / case.name) for case in CASES if not case.late],
        "late": [str(bundles.root / case.name) for case in CASES if case.late],
    }
    ran = subprocess.run(
        [sys.executable, GUARD],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    seen = [json.loads(line) for line in ran.stdout.splitlines()]
    return {Path(one["bundle"]).name: one for one in seen}


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)


@pytest.fixture(scope="module", params=["onnx", "keras"])
def seen(request: pytest.FixtureRequest, bundles: Hostile) -> dict[str, dict[str, Any]]:
    """What became of each, in one process an engine."""
    return look(bundles, request.param)


ids = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_bundle_is_refused_in_one_line_that_names_the_file(
    case: Case, seen: dict[str, dict[str, Any]], bundles: Hostile
) -> None:
    one = seen[case.name]
    assert one["kind"] in ("BundleError", "UnsupportedLayerError"), one["error"]
    assert one["error"].startswith(f"{bundles.root / case.name / case.file}: ")
    assert case.why in one["error"]
    assert one["error"].isprintable()
    assert len(one["error"]) < 600


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_refused_bundle_did_nothing_and_took_no_memory(
    case: Case, seen: dict[str, dict[str, Any]], bundles: Hostile
) -> None:
    one = seen[case.name]
    assert one["events"] == []
    assert one["grown_mb"] < MOST_MB
    assert not bundles.ran.exists()
    assert case.late or not one["keras"]


@pytest.mark.parametrize("engine", ["onnx", "keras"])
@pytest.mark.parametrize("name", ["lambda_layer", "name_of_several_lines", "zip_bomb"])
def test_service_with_such_a_bundle_is_never_ready(bundles: Hostile, name: str, engine: str) -> None:
    case = next(case for case in CASES if case.name == name)
    ran = serve("--bundle", str(bundles.root / name), "--engine", engine)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith(f"sentopic: {bundles.root / name / case.file}: ")
    assert ran.stderr.count("\n") == 1


def test_service_whose_engine_cannot_run_a_bundle_is_never_ready(bundles: Hostile) -> None:
    """The runtime has a log of its own, which is off: its error is told once."""
    ran = serve("--bundle", str(bundles.root / "layers_that_do_not_fit_together"), "--engine", "onnx")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "the onnx engine cannot run it (InvalidArgument: " in ran.stderr


def test_bundle_that_was_only_sealed_anew_is_served(seen: dict[str, dict[str, Any]]) -> None:
    assert seen["control"]["kind"] == "none"
    assert seen["control"]["events"] == []


def test_guard_notices_what_it_should(seen: dict[str, dict[str, Any]]) -> None:
    told = " ".join(seen["proof"]["events"])
    for event in ("socket.getaddrinfo", "socket.bind", "os.system", "import", "exec", f"open {GUARD}"):
        assert event in told
    assert "canary touched: canary.h5" in told or sys.platform != "linux"
