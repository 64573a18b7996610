"""Whatever is sent, the answer is a problem document under 10 KB that echoes nothing: never a 500."""

import json
from collections.abc import Iterator

import httpx
import pytest

JSON = {"content-type": "application/json"}
CANARY = "canary7f3a"

NOT_JSON = {
    "empty": b"",
    "words": b"text=hello",
    "cut off": b'{"text": "a',
    "two values": b'{"text": "a"} {"text": "b"}',
    "single quotes": b"{'text': 'a'}",
    "trailing comma": b'{"text": "a",}',
    "comment": b'{"text": "a"} // x',
    "lone surrogate in a value": rb'{"text": "a \ud800 b"}',
    "lone surrogate in a key": rb'{"\udfff": 1, "text": "a"}',
    "lone surrogate in a value of the wrong type": rb'{"text": ["\ud800"]}',
    "raw surrogate bytes": b'{"text": "\xed\xa0\x80"}',
    "invalid UTF-8": b'{"text": "\xff\xfe"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"text": "a"}',
    "NaN": b'{"text": NaN}',
    "NaN beside a good text": b'{"text": "good film", "top_k": NaN}',
    "Infinity": b'{"text": "a", "top_k": -Infinity}',
    "raw control character": b'{"text": "a\x00b"}',
    "17 levels": b'{"text": ' + b"[" * 16 + b"]" * 16 + b"}",
    "120 levels": b"[" * 120 + b"]" * 120,
    "250,000 levels": b"[" * 250_000,
    "250,000 levels in a field": b'{"text": ' + b"[" * 250_000 + b"]" * 250_000 + b"}",
}
INVALID = {
    "no text": b"{}",
    "null": b'{"text": null}',
    "number": b'{"text": 5}',
    "list": f'{{"text": ["{CANARY}"]}}'.encode(),
    "object": f'{{"text": {{"{CANARY}": 1}}}}'.encode(),
    "empty text": b'{"text": ""}',
    "white space": rb'{"text": " \n\t "}',
    "unknown field": f'{{"text": "a", "{CANARY}": 1}}'.encode(),
    "misspelt field": f'{{"txet": "{CANARY}"}}'.encode(),
    "list at the top": b'["a"]',
    "string at the top": f'"{CANARY}"'.encode(),
    "number at the top": b"1e999",
    "top_k 0": b'{"text": "a", "top_k": 0}',
    "top_k true": b'{"text": "a", "top_k": true}',
    "top_k as text": f'{{"text": "a", "top_k": "{CANARY}"}}'.encode(),
    "top_k 1.5": b'{"text": "a", "top_k": 1.5}',
    "top_k of 4,000 digits": b'{"text": "a", "top_k": ' + b"9" * 4_000 + b"}",
    "model number": b'{"text": "a", "model": 1}',
    "16 levels": b'{"text": ' + b"[" * 15 + b"]" * 15 + b"}",
    "80,000 unknown fields": json.dumps({str(number): 1 for number in range(80_000)} | {"text": "a"}).encode(),
}


def problem(response: httpx.Response) -> dict[str, object]:
    body: dict[str, object] = json.loads(response.content)
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:sentopic:problem:{body['code']}"
    assert len(response.content) < 10_000
    assert CANARY not in response.text
    return body


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_gets_400(client: httpx.Client, name: str) -> None:
    response = client.post("/predict/sentiment", content=NOT_JSON[name], headers=JSON)
    assert (response.status_code, problem(response)["code"]) == (400, "not_json")


@pytest.mark.parametrize("name", INVALID)
def test_what_does_not_fit_the_schema_gets_422_and_no_echo(client: httpx.Client, name: str) -> None:
    response = client.post("/predict/sentiment", content=INVALID[name], headers=JSON)
    body = problem(response)
    assert (response.status_code, body["code"]) == (422, "invalid_request")
    assert body["errors"]


@pytest.mark.parametrize("texts", [b"null", b"{}", b'"a"', b"[]", b"5"])
def test_batch_that_is_no_list_gets_422(client: httpx.Client, texts: bytes) -> None:
    response = client.post("/predict/topic/batch", content=b'{"texts": ' + texts + b"}", headers=JSON)
    assert (response.status_code, problem(response)["code"]) == (422, "invalid_request")


def test_number_of_5000_digits_is_no_500(client: httpx.Client) -> None:
    for field in (b'"top_k": ', b'"text": '):
        body = b'{"text": "a", ' + field + b"9" * 5_000 + b"}"
        assert problem(client.post("/predict/topic", content=body, headers=JSON))["status"] in (400, 422)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_other_media_types_get_415(client: httpx.Client, media_type: str) -> None:
    response = client.post("/predict/topic", content=b'{"text": "a"}', headers={"content-type": media_type})
    assert (response.status_code, problem(response)["code"]) == (415, "unsupported_media_type")


def test_media_type_with_a_charset_is_understood(client: httpx.Client) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/predict/topic", content=b'{"text": "oil"}', headers=headers).status_code == 200


def test_compressed_body_is_refused_uninflated(client: httpx.Client) -> None:
    response = client.post("/predict/topic", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"})
    assert (response.status_code, problem(response)["code"]) == (415, "unsupported_media_type")


def body_of(size: int) -> bytes:
    return b'{"text": "a"' + b" " * (size - 13) + b"}"


@pytest.mark.parametrize("chunked", [False, True])
def test_body_at_the_limit_is_read_and_one_over_it_refused(client: httpx.Client, chunked: bool) -> None:
    def content(size: int) -> bytes | Iterator[bytes]:
        body = body_of(size)
        return (body[start : start + 9_999] for start in range(0, size, 9_999)) if chunked else body

    assert client.post("/predict/topic", content=content(1_000_000), headers=JSON).status_code == 200
    response = client.post("/predict/topic", content=content(1_000_001), headers=JSON)
    assert (response.status_code, problem(response)["code"]) == (413, "body_too_large")


def test_unknown_path_and_method_are_problems_too(client: httpx.Client) -> None:
    assert problem(client.get("/nothing"))["code"] == "not_found"
    assert problem(client.get("/predict/topic"))["code"] == "method_not_allowed"
    assert problem(client.delete("/tasks"))["code"] == "method_not_allowed"


def test_duplicate_keys_take_the_last(client: httpx.Client) -> None:
    response = client.post("/predict/topic", content=b'{"text": 5, "text": "oil prices"}', headers=JSON)
    assert response.status_code == 200
