"""Files go in by POST, are answered in the background, and come out again; nobody sees another's."""

import asyncio
import csv
import io
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import StartError
from app.main import create_app
from app.settings import SHIPPED, Settings
from sentopic.client import Client

TEXTS = ["oil prices rose again", "wheat and corn", "", "bank of england rates"] * 200
HEAD = "n,body\n"


def table() -> bytes:
    page = io.StringIO()
    csv.writer(page).writerows([("n", "body"), *enumerate(TEXTS)])
    return page.getvalue().encode()


def arrow() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": list(range(len(TEXTS))), "body": TEXTS}), sink)
    return bytes(sink.getvalue())


def arrow_without_rows() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "x": pa.array([], pa.int32())}), sink)
    return bytes(sink.getvalue())


FILES = {
    "csv": table(),
    "jsonl": "".join(f"{json.dumps({'n': n, 'body': text})}\n" for n, text in enumerate(TEXTS)).encode(),
    "parquet": arrow(),
    "lines": "".join(f"{text}\n" for text in TEXTS).encode(),
}


def hand_in(client: httpx.Client, data: Any, headers: dict[str, str] | None = None, **params: str) -> dict[str, Any]:
    response = client.post("/jobs", content=data, headers=headers, params={"task": "topic", "model": "gru", **params})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/jobs/{job['id']}"
    return job


def until_done(client: httpx.Client, job: dict[str, Any], seconds: float = 30) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while job["status"] in {"waiting", "running"}:
        assert time.monotonic() < end
        time.sleep(0.05)
        job = client.get(f"/jobs/{job['id']}").json()
    return job


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("form", FILES)
def test_every_format_is_answered_as_a_batch_is_and_given_back(client: httpx.Client, form: str) -> None:
    job = hand_in(client, FILES[form], format=form, **({} if form == "lines" else {"text": "body"}))
    assert (job["status"], job["done"], job["format"], job["model"]) == ("waiting", 0, form, "gru")
    job = until_done(client, job)
    assert (job["status"], job["rows"], job["done"], job["failed"]) == ("done", 800, 800, 200)
    assert job["error"] is None
    assert job["seconds_left"] is None
    batch = client.post("/predict/topic/batch", json={"texts": [text or "x" for text in TEXTS], "model": "gru"}).json()
    wanted = [one["label"] if text else None for one, text in zip(batch["results"], TEXTS, strict=True)]
    assert job["labels"] == {label: wanted.count(label) for label in dict.fromkeys(wanted) if label}
    response = client.get(f"/jobs/{job['id']}/result")
    ending = {"lines": "txt"}.get(form, form)
    assert response.headers["content-disposition"] == f'attachment; filename="topic-{job["id"][:8]}.{ending}"'
    assert [row["label"] for row in read(response.content, form)] == wanted
    for other in FILES:
        content = client.get(f"/jobs/{job['id']}/result", params={"format": other}).content
        assert [row["label"] for row in read(content, other)] == wanted
    assert client.delete(f"/jobs/{job['id']}").status_code == 204


def read(data: bytes, form: str) -> list[dict[str, Any]]:
    if form == "parquet":
        return pq.read_table(pa.BufferReader(data)).to_pylist()
    if form == "jsonl":
        return [json.loads(line) for line in data.splitlines()]
    if form == "csv":
        return [{**row, "label": row["label"] or None} for row in csv.DictReader(io.StringIO(data.decode()))]
    return [{"label": line.split("\t")[0] or None} for line in data.decode().splitlines()]


def test_media_type_tells_the_format_too(client: httpx.Client) -> None:
    job = hand_in(client, b"oil\nwheat\n", {"content-type": "text/plain; charset=utf-8"})
    assert until_done(client, job)["rows"] == 2
    assert job["format"] == "lines"
    job = hand_in(client, b'{"text": "oil"}\n', {"content-type": "application/jsonl"})
    assert until_done(client, job)["format"] == "jsonl"


def test_result_is_given_in_parts(client: httpx.Client) -> None:
    path = f"/jobs/{until_done(client, hand_in(client, FILES['csv'], format='csv', text='body'))['id']}/result"
    whole = client.get(path).content

    def ask(wanted: str) -> httpx.Response:
        return client.get(path, headers={"range": wanted})

    for wanted, part in (
        ("bytes=3-9", whole[3:10]),
        (f"bytes={len(whole) - 5}-", whole[-5:]),
        ("bytes=-7", whole[-7:]),
    ):
        assert (ask(wanted).status_code, ask(wanted).content) == (206, part)
    assert problem(ask(f"bytes={len(whole)}-")) == (416, "range_not_satisfiable")
    for wanted in ("bytes=0-1,3-4", "bytes=9-3", "rows=1-2", "bytes=-0", "bytes=x"):
        assert (ask(wanted).status_code, ask(wanted).content) == (200, whole)


def test_default_model_is_named(client: httpx.Client) -> None:
    job = client.post("/jobs?task=sentiment&format=lines", content=b"fine").json()
    assert job["model"] == client.get("/tasks/sentiment").json()["models"][0]["name"]


def test_jobs_are_listed_the_newest_first(client: httpx.Client) -> None:
    ids = [hand_in(client, b"oil\n", format="lines")["id"] for _ in range(3)]
    with Client(str(client.base_url)) as asking:
        found = [job.id for job in asking.jobs()]
    assert [job_id for job_id in found if job_id in ids] == ids[::-1]
    first = client.get("/jobs?limit=2").json()
    assert [job["id"] for job in first["jobs"]] == ids[:0:-1]
    rest = client.get("/jobs", params={"before": first["next"]}).json()
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == found
    assert rest["next"] is None
    for wrong in ("limit=101", "limit=0", "before=1", f"before={'1' * 13}-{ids[0]}"):
        assert problem(client.get(f"/jobs?{wrong}")) == (422, "invalid_request")


BAD = {
    "no column": (b"a,b\n1,2\n", "csv", "line 1: there is no column of texts"),
    "broken quotes": (
        b'text\noil\n"no end\nnor here\n',
        "csv",
        "line 3: a quote that is opened in this row is never closed",
    ),
    "UTF-16": ("text\noil\n".encode("utf-16"), "csv", "line 1: it is UTF-16, not UTF-8"),
    "binary": (b"\x7fELF" + bytes(100), "lines", "line 1: it is a program"),
    "no Parquet": (b"text\noil\n", "parquet", "it is not Parquet, or not all of it"),
    "long line": (b"oil\n" + b"x" * 1_000_001, "lines", "line 2: it is longer than 1000000 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_fails_with_its_line(client: httpx.Client, name: str) -> None:
    data, form, why = BAD[name]
    job = until_done(client, hand_in(client, data, format=form))
    assert job["status"] == "failed"
    assert (job["error"]["code"], job["error"]["status"], job["error"]["detail"]) == ("file_invalid", 422, why)
    assert problem(client.get(f"/jobs/{job['id']}/result")) == (409, "job_not_done")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_before_a_fault_are_given_out(client: httpx.Client, form: str) -> None:
    job = until_done(
        client, hand_in(client, b'n,body\n1,oil\n2,wheat\n3,"no end\nnor here\n', format="csv", text="body")
    )
    assert (job["status"], job["done"], job["error"]["code"]) == ("failed", 2, "file_invalid")
    path = f"/jobs/{job['id']}/result"
    refused = client.get(path)
    assert problem(refused) == (409, "job_not_done")
    assert "partial=true" in refused.json()["detail"]
    given = client.get(path, params={"partial": "true", "format": form})
    assert "-part." in given.headers["content-disposition"]
    assert [row["n"] for row in read(given.content, form)] == ["1", "2"]


def test_parquet_that_is_broken_in_its_middle_is_given_out_as_far_as_it_goes(client: httpx.Client) -> None:
    sink = pa.BufferOutputStream()
    texts = [f"oil and wheat {number}" for number in range(4_000)]
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=1_000, use_dictionary=False, compression="none")
    data = bytearray(sink.getvalue())
    place = data.index(b"wheat 3500")
    data[place - 2_000 : place] = b"\xff" * 2_000
    job = until_done(client, hand_in(client, bytes(data), format="parquet"))
    assert job["status"] == "failed"
    assert job["error"]["detail"].startswith("row ")
    content = client.get(f"/jobs/{job['id']}/result?partial=true").content
    assert [row["text"] for row in read(content, "parquet")] == texts[: job["done"]]
    assert 0 < job["done"] < 4_000


def test_parquet_bomb_fails_with_its_row(client: httpx.Client) -> None:
    sink = pa.BufferOutputStream()
    texts = pa.array(["oil", "a" * 1_200_000]).dictionary_encode()
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] + [1] * 1_023, pa.int32()), texts.dictionary)
    pq.write_table(pa.table({"text": repeated}), sink, compression="zstd", store_schema=False)
    job = until_done(client, hand_in(client, bytes(sink.getvalue()), format="parquet"))
    assert job["error"]["code"] == "file_invalid"
    assert job["error"]["detail"] == "row 2: it is longer than 1000000 bytes"
    assert job["done"] == 1


def test_late_fields_that_are_called_as_answers_are_not_taken_for_them(client: httpx.Client) -> None:
    late: list[dict[str, Any]] = [
        {"label": "x", "confidence": 0.5},
        {"confidence": "abc"},
        {"uncertain": []},
        {"label": {}},
    ]
    lines = [{"text": "oil prices"}] * 1_100 + [{"text": "oil prices", **more} for more in late]
    data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    job = until_done(client, hand_in(client, data, format="jsonl"))
    for form in ("jsonl", "csv", "parquet", "lines"):
        response = client.get(f"/jobs/{job['id']}/result?format={form}")
        rows = read(response.content, form)
        assert len(rows) == len(lines)
        assert {row["label"] for row in rows} == set(job["labels"])
        if form != "lines":
            assert len({(row["confidence"], row["uncertain"], row["error"]) for row in rows}) == 1


EMPTY = {"csv": b"text,x\n", "jsonl": b"\n\n", "parquet": arrow_without_rows()}


@pytest.mark.parametrize("form", EMPTY)
def test_result_without_rows_is_a_file_without_rows_in_every_format(client: httpx.Client, form: str) -> None:
    job = until_done(client, hand_in(client, EMPTY[form], format=form))
    assert (job["status"], job["rows"], job["done"]) == ("done", 0, 0)
    for other in FILES:
        response = client.get(f"/jobs/{job['id']}/result?format={other}")
        assert response.status_code == 200
        if other == "parquet":
            names = pq.read_table(pa.BufferReader(response.content)).column_names
        else:
            names = response.text.strip().split(",")
            assert response.text.count("\n") == (1 if other == "csv" else 0)
        if other in {"csv", "parquet"}:
            assert names[-5:] == ["label", "confidence", "uncertain", "warnings", "error"]
            assert names[:-5] == (["other"] if form == "jsonl" else ["text", "x"])


def test_field_whose_name_is_half_a_surrogate_pair_is_in_every_format(client: httpx.Client) -> None:
    job = until_done(client, hand_in(client, b'{"text": "oil prices", "\\ud800": 1}\n', format="jsonl"))
    for form, wanted in (("jsonl", "\ud800"), ("csv", "\\ud800"), ("parquet", "\\ud800")):
        response = client.get(f"/jobs/{job['id']}/result?format={form}")
        assert response.status_code == 200
        (row,) = read(response.content, form)
        assert str(row[wanted]) == "1"


def test_what_is_no_job_is_refused(client: httpx.Client) -> None:
    def post(content: bytes = b"oil", headers: dict[str, str] | None = None, **params: str) -> tuple[int, str]:
        return problem(client.post("/jobs", content=content, params=params, headers=headers))

    assert post(b"", task="topic", format="csv") == (422, "file_invalid")
    assert post(task="weather", format="csv") == (404, "unknown_task")
    assert post(task="topic", model="none", format="csv") == (404, "unknown_model")
    assert post(task="topic", format="xlsx") == (422, "invalid_request")
    assert post(format="csv") == (422, "invalid_request")
    assert post(task="topic", format="csv", colour="red") == (422, "invalid_request")
    assert post(task="topic", format="csv", text="a\0b") == (422, "invalid_request")
    assert post(task="topic") == (415, "unsupported_media_type")
    assert post(headers={"content-type": "multipart/form-data; boundary=x"}, task="topic", format="csv")[0] == 415
    assert post(headers={"content-encoding": "gzip"}, task="topic", format="csv")[0] == 415
    for path in ("/jobs/none", f"/jobs/{'0' * 32}", f"/jobs/{'0' * 32}/result", "/jobs/%00"):
        assert problem(client.get(path)) == (404, "unknown_job" if path.count("/") > 1 else "not_found")
    assert problem(client.delete(f"/jobs/{'0' * 32}")) == (404, "unknown_job")
    assert client.put("/jobs").headers["allow"] == "GET, POST"
    assert client.put("/jobs/x").headers["allow"] == "DELETE, GET"
    refused = client.get("/jobs?secret=2")
    assert problem(refused) == (422, "invalid_request")
    assert "secret" not in refused.text


def test_pages_of_others_send_no_files(client: httpx.Client) -> None:
    def post(client: Any, site: str, origin: str = "https://elsewhere.example") -> Any:
        headers = {"sec-fetch-site": site, "origin": origin, "content-type": "text/plain"}
        return client.post("/jobs?task=topic", content=b"oil", headers=headers)

    for site in ("cross-site", "same-site"):
        assert problem(post(client, site)) == (403, "strange_origin")
    for site in ("same-origin", "none"):
        assert post(client, site).status_code == 202
    plain = {"content-type": "text/plain"}
    mine, theirs = ({**plain, "origin": origin} for origin in (str(client.base_url).rstrip("/"), "http://evil.example"))
    for path in ("/jobs?task=topic", "/predict/topic/stream"):
        assert problem(client.post(path, content=b"oil", headers=theirs)) == (403, "strange_origin")
        assert client.post(path, content=b"oil", headers=mine).status_code in {200, 202}

    async def scene() -> None:
        settings = Settings(bundle=[SHIPPED / "topic" / "gru"], cors_origins=["https://elsewhere.example"])
        transport = httpx.ASGITransport(app=create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as open_one:
            assert (await post(open_one, "cross-site")).status_code == 202
            assert problem(await post(open_one, "cross-site", "https://other.example")) == (403, "strange_origin")

    asyncio.run(scene())


@pytest.mark.parametrize(("length", "status"), [("0" * 5_000 + "3", b"202"), ("9" * 5_000, b"4")])
def test_length_of_5000_digits_is_a_length(client: httpx.Client, length: str, status: bytes) -> None:
    head = (
        "POST /jobs?task=topic HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n"
        f"content-length: {length}\r\n\r\noil"
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), 10) as line:
        line.sendall(head.encode())
        assert line.recv(65_536).split()[1].startswith(status)


def test_nothing_has_no_parts(client: httpx.Client) -> None:
    job = until_done(client, hand_in(client, b'{"text": 5}\n', format="jsonl"))
    path = f"/jobs/{job['id']}/result"
    whole = client.get(path).content
    assert client.get(path, headers={"range": "bytes=-5"}).content == whole[-5:]


def test_who_reads_a_result_loses_nothing_when_it_is_deleted(client: httpx.Client) -> None:
    job = until_done(client, hand_in(client, b"oil prices rose again in the gulf\n" * 50_000, format="lines"))
    path = f"/jobs/{job['id']}/result"
    whole = client.get(path).content
    with client.stream("GET", path) as reading:
        pieces = reading.iter_raw(1_000)
        first = next(pieces)
        assert client.delete(f"/jobs/{job['id']}").status_code == 204
        assert b"".join([first, *pieces]) == whole
    assert problem(client.get(path)) == (404, "unknown_job")


def test_who_reads_slowly_what_is_deleted_is_ended(client: httpx.Client) -> None:
    row = json.dumps({"text": "oil", "more": "x" * 50_000}).encode() + b"\n"
    job = until_done(client, hand_in(client, row * 400, format="jsonl"))
    with client.stream("GET", f"/jobs/{job['id']}/result") as reading:
        pieces = reading.iter_raw(1_000)
        next(pieces)
        assert client.delete(f"/jobs/{job['id']}").status_code == 204
        time.sleep(3)
        with pytest.raises(httpx.RemoteProtocolError):
            sum(map(len, pieces))


def test_jobs_are_told_under_this_machines_names_only(client: httpx.Client) -> None:
    for method, path in (("GET", "/jobs"), ("POST", "/jobs?task=topic&format=lines"), ("DELETE", f"/jobs/{'0' * 32}")):
        for name in ("evil.example", "evil.example:80", "localhost.evil.example", "[::1", ""):
            response = client.request(method, path, headers={"host": name, "origin": f"http://{name}"})
            assert response.status_code in {400, 403}, (method, name)
    assert problem(client.get("/jobs", headers={"host": "evil.example"})) == (403, "strange_host")
    assert client.get("/jobs", headers={"host": "LOCALHOST:1"}).status_code == 200


def test_file_whose_size_is_not_told_takes_room_as_it_comes(tmp_path: Path) -> None:
    async def body() -> Any:
        for _ in range(60):
            yield b"oil prices rose\n" * 32_768

    async def short() -> Any:
        yield b"oil"

    async def scene() -> None:
        settings = Settings(
            bundle=[SHIPPED / "topic" / "gru"], jobs=str(tmp_path), max_job_bytes=10**9, max_jobs_bytes=40_000_000
        )
        app = create_app(settings)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=60
        ) as client:
            ask = {"url": "/jobs?task=topic&format=lines"}
            assert (await client.post(**ask, content=short())).status_code == 202
            assert (await client.post(**ask, content=body())).status_code == 202
            assert problem(await client.post(**ask, content=body())) == (507, "jobs_full")
            assert (await client.post(**ask, content=short())).status_code == 507

    asyncio.run(scene())


def test_deleted_job_is_gone_while_it_runs_and_when_it_is_done(client: httpx.Client) -> None:
    long = hand_in(client, b"oil prices rose again in the gulf\n" * 200_000, format="lines")
    short = hand_in(client, b"oil\n", format="lines")
    while client.get(f"/jobs/{long['id']}").json()["status"] != "running":
        time.sleep(0.02)
    assert problem(client.get(f"/jobs/{long['id']}/result")) == (409, "job_not_done")
    assert client.delete(f"/jobs/{long['id']}").status_code == 204
    assert problem(client.get(f"/jobs/{long['id']}")) == (404, "unknown_job")
    assert until_done(client, short)["status"] == "done"  # which had to wait for it
    assert client.delete(f"/jobs/{short['id']}").status_code == 204
    assert problem(client.get(f"/jobs/{short['id']}/result")) == (404, "unknown_job")


def test_service_without_a_place_for_jobs_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    unwanted = Settings(bundle=[SHIPPED / "topic" / "gru"], jobs="")
    impossible = unwanted.model_copy(update={"jobs": str(tmp_path / "file" / "jobs")})
    impossible.model_fields_set.discard("jobs")  # nobody has said it: then it is no failure

    async def scene(settings: Settings) -> None:
        transport = httpx.ASGITransport(app=create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert "/jobs" not in (await client.get("/openapi.json")).json()["paths"]
            for path in ("/jobs", "/jobs/x", "/jobs/x/result"):
                assert problem(await client.get(path)) == (404, "no_jobs")

    for settings in (unwanted, impossible):
        asyncio.run(scene(settings))


def test_place_for_jobs_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"no jobs can be kept in .*/file/jobs"):
        create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], jobs=str(tmp_path / "file" / "jobs")))
    with pytest.raises(StartError, match="the jobs' database"):
        create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], database="sqlite:////nowhere/x.db"))
