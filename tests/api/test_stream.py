"""A stream is answered line by line, in order, whatever comes in it."""

import csv
import io
import json
import socket
from typing import Any

import httpx
import pytest

TEXTS = ["oil prices rose again", "wheat and corn", "bank of england rates", "shr 39 cts vs 50 cts net"] * 100
NDJSON = {"content-type": "application/x-ndjson"}
CSV = {"content-type": "text/csv"}
PLAIN = {"content-type": "text/plain; charset=utf-8"}


def ask(client: httpx.Client, content: Any, headers: dict[str, str], **params: Any) -> list[dict[str, Any]]:
    response = client.post("/predict/topic/stream", content=content, headers=headers, params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.content.splitlines()]


def expected(client: httpx.Client) -> list[str]:
    found = client.post("/predict/topic/batch", json={"texts": TEXTS}).json()["results"]
    return [result["label"] for result in found]


def table() -> bytes:
    page = io.StringIO()
    csv.writer(page).writerows([("n", "body"), *enumerate(TEXTS)])
    return page.getvalue().encode()


def test_every_format_has_the_batchs_answers_in_order(client: httpx.Client) -> None:
    lines = "".join(f"{json.dumps({'text': text})}\n" for text in TEXTS).encode()
    found = [
        ask(client, lines, NDJSON),
        ask(client, table(), CSV, text="body", top_k=1),
        ask(client, "\n".join(TEXTS).encode(), PLAIN),
    ]
    labels = expected(client)
    for answers in found:
        assert [answer["label"] for answer in answers] == labels
        assert len({answer["id"] for answer in answers}) == len(TEXTS)
    assert [answer["line"] for answer in found[0]] == list(range(1, 401))
    assert [answer["line"] for answer in found[1]] == list(range(2, 402))
    assert len(found[0][0]["scores"]) == 5
    assert len(found[1][0]["scores"]) == 1


def test_answer_has_what_a_single_one_has(client: httpx.Client) -> None:
    single = client.post("/predict/topic", json={"text": TEXTS[0], "model": "lstm"}).json()
    [answer] = ask(client, json.dumps({"text": TEXTS[0], "id": "mine"}), NDJSON, model="lstm")
    assert {**answer, "line": 1} == {**single, "line": 1, "id": "mine"}


def test_bad_line_fails_alone_with_its_number_and_id(client: httpx.Client) -> None:
    long = b'{"text": "' + b"x" * 1_100_000 + b'"}'
    lines = [b'{"text": 5, "id": 1}', b"nope", b"", b'{"text": "oil", "id": 2}', b"caf\xe9", long, b'{"text": "oil"}']
    found = ask(client, b"\n".join(lines), NDJSON)
    assert [(answer["line"], answer.get("error", {}).get("detail")) for answer in found] == [
        (1, "the text is a number, a list or an object"),
        (2, "not JSON (Expecting value)"),
        (4, None),
        (5, "not UTF-8 (byte 4: 0xe9)"),
        (6, "it is longer than 1000000 bytes"),
        (7, None),
    ]
    assert [answer.get("id") for answer in found[:3]] == [1, None, 2]
    [answer] = ask(client, json.dumps({"text": "a " * 60_000}), NDJSON)
    assert (answer["error"]["code"], answer["error"]["status"]) == ("text_too_long", 413)


@pytest.mark.parametrize(
    ("name", "comes_back"),
    [
        ("a", True),
        ("a" * 200, True),
        ("a" * 201, False),
        ("\ud800", False),
        (2**62, True),
        (2**63, False),
        (1.5, False),
        (True, False),
        ([], False),
    ],
)
def test_id_comes_back_if_it_is_a_short_one(client: httpx.Client, name: Any, comes_back: bool) -> None:
    [answer] = ask(client, json.dumps({"text": "oil", "id": name}), NDJSON)
    assert (answer["id"] == name) is comes_back


def test_what_cannot_be_begun_is_a_problem(client: httpx.Client) -> None:
    def refuse(content: bytes, headers: dict[str, str], path: str = "topic", **params: Any) -> tuple[int, str]:
        response = client.post(f"/predict/{path}/stream", content=content, headers=headers, params=params)
        assert response.headers["content-type"] == "application/problem+json"
        assert "SECRET" not in response.text
        return response.status_code, response.json()["code"]

    assert refuse(b"", PLAIN) == (422, "file_invalid")
    assert refuse(b"SECRET,b\n1,2\n", CSV) == (422, "file_invalid")
    assert refuse("text\nä".encode("utf-16"), CSV) == (422, "file_invalid")
    assert refuse(b"text\n" + b"x" * 1_100_000, CSV) == (422, "file_invalid")
    assert refuse(b"a", {"content-type": "application/json"}) == (415, "unsupported_media_type")
    assert refuse(b"a", {**PLAIN, "content-encoding": "gzip"}) == (415, "unsupported_media_type")
    assert refuse(b"a", PLAIN, path="weather") == (404, "unknown_task")
    assert refuse(b"a", PLAIN, model="SECRET") == (404, "unknown_model")
    assert refuse(b"a", PLAIN, top_k=0) == (422, "invalid_request")
    assert refuse(b"a", PLAIN, SECRET="1") == (422, "invalid_request")


def test_rest_that_cannot_be_read_is_told_in_the_last_line(client: httpx.Client) -> None:
    content = b"text\n" + b"oil\n" * 300 + b'"no end\n' + b"oil\n" * 10
    found = ask(client, content, CSV)
    assert [answer["line"] for answer in found] == [*range(2, 302), 301]
    assert found[-1]["last"] is True
    assert found[-1]["error"]["detail"] == "line 302: a quote that is opened in this row is never closed"


def test_answers_come_while_the_client_still_sends(client: httpx.Client) -> None:
    head = b"POST /predict/topic/stream HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n"
    heard = []
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), 10) as line:
        line.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        answers = line.makefile("rb")
        for number in range(3):
            line.sendall(b"6\r\noil %d\n\r\n" % number)
            while not (found := answers.readline()).startswith(b"{"):
                assert found
            heard.append(json.loads(found)["line"])
        line.sendall(b"0\r\n\r\n")
        answers.close()
    assert heard == [1, 2, 3]
