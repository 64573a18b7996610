"""docs/jobs.md is true: its lines run as they stand, and what it names there is."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from app.api.errors import STATUSES
from app.jobs.job import MAX_ROW_BYTES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_lines_run_as_they_stand(server: str, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text('id,review\n1,"A fine film, I loved it."\n2,The worst film of the year.\n')
    first, *later = re.findall(r"^curl .*$", PAGE, re.MULTILINE)

    def run(line: str, job: str = "") -> str:
        command = line.replace("localhost:8000", server)
        ran = subprocess.run(
            ["bash", "-c", command],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"JOB": job, "PATH": "/usr/bin:/bin"},
            timeout=30,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    (job,) = re.findall(r'"id":"(\w+)"', run(first))
    end = time.monotonic() + 20
    while httpx.get(f"{server}/jobs/{job}").json()["status"] != "done":
        assert time.monotonic() < end
        time.sleep(0.05)
    said = [run(line, job) for line in later]
    assert '"status":"done"' in said[0]
    assert (tmp_path / "answers.csv").read_text().splitlines()[1].startswith('1,"A fine film, I loved it.",positive,0.')
    assert httpx.get(f"{server}/jobs/{job}").status_code == 404


def test_requests_and_errors_are_the_services(server: str) -> None:
    paths = httpx.get(f"{server}/openapi.json").json()["paths"]
    told = {tuple(found) for found in re.findall(r"^\| `(\w+) (/jobs[^`?]*)", PAGE, re.MULTILINE)}
    assert told == {
        (method.upper(), path) for path, methods in paths.items() if path.startswith("/jobs") for method in methods
    }
    codes = {kind.code for kind in STATUSES} | {"job_stuck"}
    for code in re.findall(r"`((?:job|no|file|body|unknown|jobs)_\w+)`", PAGE):
        assert code in codes, code


@pytest.mark.parametrize(
    ("form", "row"),
    [("csv", "{},1"), ("csv", '"{}\n",1'), ("jsonl", '{{"text": "{}"}}'), ("lines", "{}")],
)
def test_row_beyond_the_bound_ends_a_job(server: str, form: str, row: str) -> None:
    """Both pages say so, as the command line takes ten times that."""
    files = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    assert f"a line or row of a job has {MAX_ROW_BYTES:,} bytes at most, not 10,000,000" in PAGE
    assert f"in a [job](jobs.md), of more than {MAX_ROW_BYTES:,}" in files
    good, bad = row.format("A fine film."), row.format("x" * MAX_ROW_BYTES)
    head = "text,z\n" if form == "csv" else ""
    content = f"{head}{good}\n{bad}\n{good}\n"
    job = httpx.post(f"{server}/jobs", params={"task": "sentiment", "format": form}, content=content).json()["id"]
    end = time.monotonic() + 30
    while (found := httpx.get(f"{server}/jobs/{job}").json())["status"] in {"waiting", "running"}:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert found["status"] == "failed"
    assert found["error"]["code"] == "file_invalid"
    assert httpx.delete(f"{server}/jobs/{job}").status_code == 204
