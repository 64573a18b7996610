"""What many tests share: the real data, where it is there, and a real server started as a user starts it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SENTOPIC_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory with IMDB and Reuters; tests that ask for it are left out where it is not."""
    if not (DATA / "imdb.npz").exists():
        pytest.skip("needs the real data: set SENTOPIC_DATA to the directory that holds imdb.npz and reuters.npz")
    return DATA


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("SENTOPIC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SENTOPIC_JOBS", str(tmp_path / "jobs"))
    monkeypatch.chdir(tmp_path)


Serve = Callable[..., AbstractContextManager[str]]


@contextmanager
def run_server(*options: str) -> Iterator[str]:
    """The URL of `sentopic serve` with these options on a free port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTOPIC_")}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", *options]
    with (
        TemporaryDirectory() as jobs,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**environment, "SENTOPIC_JOBS": jobs}
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line
            yield found.group()
        finally:
            process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(scope="session")
def serve() -> Serve:
    return run_server


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """With the shipped bundles."""
    with run_server() as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=10) as client:
        yield client
