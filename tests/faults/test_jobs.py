"""Jobs outlive whatever happens to their service, keep to their room, and stay out of others' way."""

import csv
import io
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.store import JobStore
from app.keys import create, open_store
from app.synthetic import make_texts
from tests.jobs import scenes
from tests.jobs.scenes import opened

BUNDLE = ("--bundle", "artifacts/topic/gru")


def table(rows: int) -> bytes:
    page = io.StringIO()
    csv.writer(page).writerows([("id", "text"), *enumerate(make_texts(opened()[0].words, rows, 15))])
    return page.getvalue().encode()


def hand_in(url: str, data: Any, **options: Any) -> str:
    response = httpx.post(f"{url}/jobs?task=topic&format=csv", content=data, timeout=60, **options)
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


def ask(url: str, job_id: str) -> dict[str, Any]:
    """As soon as there is an answer: a worker that is killed takes some with it."""
    end = time.monotonic() + 20
    while True:
        with suppress(httpx.TransportError):
            response = httpx.get(f"{url}/jobs/{job_id}", timeout=10)
            if response.status_code != 503:  # the database is away
                job: dict[str, Any] = response.json()
                return job
        assert time.monotonic() < end
        time.sleep(0.05)


def until(url: str, job_id: str, condition: Callable[[dict[str, Any]], object], seconds: float = 120) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while not condition(job := ask(url, job_id)):
        assert job["status"] in {"waiting", "running", "done"}, job
        assert time.monotonic() < end, job
        time.sleep(0.01)
    return job


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def check(url: str, job_id: str, rows: int) -> None:
    """Each row once, in its order, none failed."""
    until(url, job_id, lambda job: job["status"] == "done")
    found = list(csv.DictReader(io.StringIO(httpx.get(f"{url}/jobs/{job_id}/result", timeout=60).text)))
    assert [row["id"] for row in found] == [str(number) for number in range(rows)]
    assert all(row["label"] and not row["error"] for row in found)


def kill_again_and_again(start: Any, tmp_path: Path, rows: int, kills: int, seed: int, **settings: Any) -> None:
    rng, jobs = random.Random(seed), tmp_path / "jobs"
    service = start(*BUNDLE, jobs=jobs, **settings)
    job_id, done = hand_in(service.url, table(rows)), 0
    for _ in range(kills):
        wanted = min(rows - 1, done + rng.randrange(1, 2 * rows // (kills + 1)))
        done = until(service.url, job_id, lambda job, wanted=wanted: job["done"] >= wanted)["done"]  # type: ignore[misc]
        time.sleep(rng.random() * 0.05)
        service.process.kill()
        service.process.wait()
        service = start(*BUNDLE, jobs=jobs, **settings)
        assert ask(service.url, job_id)["done"] >= done
    check(service.url, job_id, rows)


def test_killed_service_goes_on_with_its_job_and_does_each_row_once(start: Any, tmp_path: Path) -> None:
    kill_again_and_again(start, tmp_path, rows=8_000, kills=1, seed=int(time.time()))


@pytest.mark.faults
@pytest.mark.timeout(1_800)
def test_service_that_is_killed_25_times_does_each_row_once(start: Any, tmp_path: Path) -> None:
    kill_again_and_again(start, tmp_path, rows=120_000, kills=25, seed=int(time.time()))


@pytest.mark.faults
def test_stopped_service_leaves_its_job_to_the_next_at_once(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path)
    job_id = hand_in(service.url, table(12_000))
    until(service.url, job_id, lambda job: job["done"])
    started = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(15) == 0
    assert time.monotonic() - started < 8
    service = start(*BUNDLE, jobs=tmp_path)
    check(service.url, job_id, 12_000)


@pytest.mark.faults
def test_database_that_is_away_stops_neither_the_service_nor_for_ever_the_job(start: Any, tmp_path: Path) -> None:
    service, database, aside = start(*BUNDLE, jobs=tmp_path), tmp_path / "jobs.db", tmp_path / "aside.db"
    job_id = hand_in(service.url, table(30_000))
    for _ in range(2):
        done = until(service.url, job_id, lambda job: job["done"])["done"]
        database.rename(aside)
        database.mkdir()
        assert httpx.get(f"{service.url}/jobs/{job_id}").json()["code"] == "job_store"
        time.sleep(2)
        database.rmdir()
        aside.rename(database)
        until(service.url, job_id, lambda job, done=done: job["done"] > done)  # type: ignore[misc]
    database.rename(aside)
    database.mkdir()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(15) == 0
    database.rmdir()
    aside.rename(database)
    check(start(*BUNDLE, jobs=tmp_path).url, job_id, 30_000)


@pytest.mark.faults
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc, which only Linux has")
def test_killed_worker_leaves_its_job_to_another(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, "--workers", "2", jobs=tmp_path)
    job_id = hand_in(service.url, table(15_000))
    pid, done = service.process.pid, 0
    for _ in range(2):
        done = until(service.url, job_id, lambda job, done=done: job["done"] > done)["done"]  # type: ignore[misc]
        for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if any(link.exists() and link.readlink().name == "lock" for link in Path(f"/proc/{worker}/fd").iterdir()):
                os.kill(int(worker), signal.SIGKILL)
                break
    check(service.url, job_id, 15_000)


@pytest.mark.faults
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc, which only Linux has")
def test_killed_and_reloaded_workers_are_replaced_although_all_stores_are_away(start: Any, tmp_path: Path) -> None:
    for name in ("keys", "database"):
        (tmp_path / name).mkdir()
    place = str(tmp_path / "keys" / "keys")
    headers, revoked = ({"X-API-Key": create(open_store(place), name, ["predict"])} for name in ("kept", "revoked"))
    url = f"sqlite:///{tmp_path / 'database' / 'jobs.db'}"
    service = start(*BUNDLE, "--workers", "2", jobs=tmp_path / "jobs", database=url, keys=place)
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")

    def ask(key: dict[str, str]) -> int:
        """Whoever is there by now, in a few seconds."""
        end = time.monotonic() + 10
        while True:
            try:
                text = {"text": "oil prices rose"}
                return httpx.post(f"{service.url}/predict/topic", json=text, headers=key, timeout=10).status_code
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.05)

    assert ask(revoked) == 200
    open_store(place).remove(revoked["X-API-Key"].split("_")[1])
    time.sleep(5)  # both workers know
    for name in ("jobs", "database", "keys"):
        (tmp_path / name).rename(tmp_path / f"{name} aside")
    before = children.read_text().split()
    for worker in before:
        os.kill(int(worker), signal.SIGKILL)
    wait_for(lambda: len(children.read_text().split()) == 2 and not set(before) & set(children.read_text().split()))
    assert [ask(key) for key in (headers, revoked, {})] == [200, 401, 401]
    assert httpx.get(f"{service.url}/jobs", headers=headers).json()["code"] == "job_store"
    before = children.read_text().split()
    service.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(children.read_text().split()) == 2 and not set(before) & set(children.read_text().split()))
    assert [ask(key) for key in (headers, revoked, {})] == [200, 401, 401]
    for name in ("jobs", "database", "keys"):
        (tmp_path / f"{name} aside").rename(tmp_path / name)
    job_id = hand_in(service.url, table(10), headers=headers)
    assert httpx.get(f"{service.url}/jobs/{job_id}", headers=headers).status_code == 200


@pytest.mark.faults
def test_reload_leaves_a_job_where_it_is(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path)
    job_id = hand_in(service.url, table(12_000))
    for _ in range(2):
        done = ask(service.url, job_id)["done"]
        until(service.url, job_id, lambda job, done=done: job["done"] > done)  # type: ignore[misc]
        service.process.send_signal(signal.SIGHUP)
    check(service.url, job_id, 12_000)


def test_job_of_a_key_is_that_keys_alone(start: Any, tmp_path: Path) -> None:
    place = str(tmp_path / "keys")
    mine, other = ({"X-API-Key": create(open_store(place), name, ["predict"])} for name in ("mine", "other"))
    service = start(*BUNDLE, keys=place)
    job_id = hand_in(service.url, b"text\noil\n", headers=mine)
    one = f"{service.url}/jobs/{job_id}"
    for path in (one, f"{one}/result"):
        assert httpx.get(path, headers=other).json()["code"] == "unknown_job"
        assert httpx.get(path).status_code == 401
    assert httpx.delete(one, headers=other).json()["code"] == "unknown_job"
    assert httpx.get(f"{service.url}/jobs", headers=other).json() == {"jobs": [], "next": None}
    assert [job["id"] for job in httpx.get(f"{service.url}/jobs", headers=mine).json()["jobs"]] == [job_id]
    assert httpx.delete(one, headers=mine).status_code == 204


def test_no_more_jobs_than_there_is_room_for(start: Any, tmp_path: Path) -> None:
    limits = {"max_job_bytes": 1_000, "max_jobs": 2, "max_jobs_bytes": 20_000}
    service = start(*BUNDLE, jobs=tmp_path, **limits)

    def post(data: Any) -> tuple[int, str]:
        response = httpx.post(f"{service.url}/jobs?task=topic&format=lines", content=data)
        return response.status_code, response.json().get("code", response.json().get("id"))

    assert post(b"x" * 1_001) == (413, "body_too_large")
    assert post(iter([b"x" * 600, b"x" * 401])) == (413, "body_too_large")
    (status, first), (second, _) = post(b"oil\n" * 200), post(b"oil\n")
    assert (status, second) == (202, 202)
    assert post(b"oil\n") == (507, "jobs_full")
    assert httpx.delete(f"{service.url}/jobs/{first}").status_code == 204
    assert post(b"oil\n")[0] == 202
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2  # nothing is left of what was refused


def test_upload_that_is_left_leaves_nothing(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path, client_timeout_s=1)
    head = b"POST /jobs?task=topic&format=lines HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\noil\n"
    leaves, is_silent = service.connect(), service.connect()
    for line in (leaves, is_silent):
        line.sendall(head)
    time.sleep(0.5)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2
    leaves.close()
    is_silent.settimeout(10)
    assert b" 408 " in is_silent.recv(1_000)
    is_silent.close()
    wait_for(lambda: not [path for path in tmp_path.iterdir() if path.is_dir()])
    assert httpx.get(f"{service.url}/jobs").json() == {"jobs": [], "next": None}


@pytest.mark.faults
def test_upload_that_ended_with_its_service_leaves_nothing(start: Any, tmp_path: Path) -> None:
    services = [start(*BUNDLE, jobs=tmp_path, client_timeout_s=60) for _ in range(2)]
    head = b"POST /jobs?task=topic&format=lines HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\noil\n"
    with services[0].connect() as dies, services[1].connect() as lives:
        dies.sendall(head)
        lives.sendall(head)
        wait_for(lambda: len(list(tmp_path.glob("*/lock"))) == 2)
        store = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        for job in store.list_uploads(time.time()):
            store.set(job.id, created=time.time() - 100)
        services[0].process.kill()
        services[0].process.wait()
        start(*BUNDLE, jobs=tmp_path)
        wait_for(lambda: len(store.list_uploads(time.time())) == 1)
        assert len(list(tmp_path.glob("*/lock"))) == 1  # which still comes
        lives.sendall(b"x" * 95)
        assert b" 202 " in lives.recv(1_000)


@pytest.mark.faults
def test_upload_lasts_as_long_as_it_moves(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path, client_timeout_s=1)

    def speak() -> Iterator[bytes]:
        for _ in range(6):
            yield b"oil prices\n"
            time.sleep(0.5)

    response = httpx.post(f"{service.url}/jobs?task=topic&format=lines", content=speak(), timeout=30)
    assert response.status_code == 202
    assert until(service.url, response.json()["id"], lambda job: job["status"] == "done")["rows"] == 6


@pytest.mark.faults
def test_old_jobs_are_removed(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path)
    job_id = hand_in(service.url, b"text\noil\n")
    until(service.url, job_id, lambda job: job["status"] == "done")
    service.process.send_signal(signal.SIGINT)
    service.process.wait(15)
    service = start(*BUNDLE, jobs=tmp_path, keep_jobs_h=1e-6)
    wait_for(lambda: not (tmp_path / job_id).exists())
    assert ask(service.url, job_id)["code"] == "unknown_job"


def test_file_that_ends_its_service_again_and_again_is_given_up(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path)
    stuck = scenes.hand_in(JobStore(f"sqlite:///{tmp_path / 'jobs.db'}"), tmp_path, b"text\noil\n", tries=5)
    job_id = hand_in(service.url, b"text\noil\n")
    assert until(service.url, job_id, lambda job: job["status"] == "done")["rows"] == 1
    job = ask(service.url, stuck.id)
    assert (job["status"], job["error"]["code"], job["error"]["status"]) == ("failed", "job_stuck", 500)
    metrics = httpx.get(f"{service.url}/metrics").text
    for line in ('jobs_total{status="done",task="topic"} 1.0', 'jobs_total{status="failed",task="topic"} 1.0'):
        assert f"sentopic_{line}\n" in metrics
    assert 'sentopic_job_rows_total{task="topic"} 1.0\n' in metrics
    assert "sentopic_jobs_running 0.0\n" in metrics


@pytest.mark.faults
def test_deleted_job_leaves_nothing_however_it_stands(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path)
    data = table(20_000)
    for _ in range(3):
        job_id = hand_in(service.url, data)
        until(service.url, job_id, lambda job: job["done"])
        assert httpx.delete(f"{service.url}/jobs/{job_id}").status_code == 204
    wait_for(lambda: not [path for path in tmp_path.iterdir() if path.is_dir()])


@pytest.fixture
def postgresql() -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a cluster of its own, and how it is restarted."""
    pytest.importorskip("pg8000")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binaries = found[-1].parent if found else None
    if binaries is None:
        pytest.skip("needs PostgreSQL")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        owner: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL does not run as
            shutil.chown(folder, "postgres")
            owner = {"user": "postgres"}
        data = Path(folder) / "data"

        def run(*command: str | Path) -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **owner)

        run(binaries / "initdb", "-D", data, "-A", "trust", "-U", "sentopic")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        control = [binaries / "pg_ctl", "-D", data, "-w", "-o", options, "-l", Path(folder) / "log"]
        run(*control, "start")
        try:
            url = f"postgresql+pg8000://sentopic@127.0.0.1:{port}/postgres"
            yield url, lambda: run(*control, "-m", "immediate", "restart")
        finally:
            run(*control, "-m", "immediate", "stop")


@pytest.mark.faults
def test_two_services_share_a_postgresql(
    postgresql: tuple[str, Callable[[], None]], start: Any, tmp_path: Path
) -> None:
    """Two jobs, two services: one is killed, the database is restarted, and the other service does both."""
    url, restart = postgresql
    services = [start(*BUNDLE, jobs=tmp_path, database=url) for _ in range(2)]
    jobs = [hand_in(services[0].url, table(20_000)) for _ in range(2)]
    for job_id in jobs:
        until(services[1].url, job_id, lambda job: job["done"])  # one each
    services[0].process.kill()
    services[0].process.wait()
    restart()
    for job_id in jobs:
        check(services[1].url, job_id, 20_000)
    kill_again_and_again(start, tmp_path, 20_000, 3, seed=int(time.time()), database=url)


@pytest.mark.faults
def test_single_texts_hardly_notice_a_job(start: Any, tmp_path: Path) -> None:
    service = start(*BUNDLE, jobs=tmp_path)
    body = {"text": make_texts(opened()[0].words, 1, 80)[0]}

    def measure(seconds: float) -> list[float]:
        waits, end = [], time.monotonic() + seconds
        with httpx.Client(base_url=service.url) as client:
            while time.monotonic() < end:
                started = time.perf_counter()
                assert client.post("/predict/topic", json=body).status_code == 200
                waits.append(time.perf_counter() - started)
                time.sleep(0.005)
        return sorted(waits)

    measure(1)
    alone = measure(10)
    job_id = hand_in(service.url, table(1_000_000))
    until(service.url, job_id, lambda job: job["done"])
    beside = measure(10)
    assert ask(service.url, job_id)["status"] == "running"
    told = " and ".join(
        f"{find[len(find) // 2] * 1e3:.1f} ms, p99 {find[len(find) * 99 // 100] * 1e3:.1f} ms"
        for find in (alone, beside)
    )
    print(f"\na single text: {told} beside a job of {ask(service.url, job_id)['rows_per_s']:,.0f} rows/s")
    assert beside[len(beside) * 99 // 100] < alone[len(alone) * 99 // 100] + 0.05
