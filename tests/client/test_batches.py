"""Texts into batches: nothing lost, nothing doubled, in order, and never more than the service takes."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sentopic.client.batches import Splitter, encode_options, encode_text, write_body
from sentopic.client.results import Failure, Limits

TEXTS = st.lists(st.text(st.characters(), max_size=60) | st.none() | st.integers() | st.binary(max_size=3), max_size=60)


def split(texts: list[Any], splitter: Splitter) -> list[list[bytes | Failure]]:
    full = [batch for batch in map(splitter.add, texts) if batch is not None]
    return [batch for batch in [*full, splitter.rest()] if batch]


@given(TEXTS, st.integers(60, 400), st.integers(1, 12), st.integers(1, 12), st.integers(1, 60))
def test_batches_keep_the_limits_and_every_text_in_its_place(
    texts: list[Any], max_bytes: int, max_texts: int, most: int, max_chars: int
) -> None:
    options = encode_options({"model": "gru", "top_k": None, "explain": True})
    batches = split(texts, Splitter(Limits(max_chars, max_texts, max_bytes, 10), options, most))
    assert all(0 < len(batch) <= min(max_texts, most) for batch in batches)
    found = []
    for batch in batches:
        body = write_body([item for item in batch if isinstance(item, bytes)], options)
        assert len(body) <= max_bytes
        sent = json.loads(body)
        assert (sent.pop("model"), sent.pop("explain")) == ("gru", True)
        good = iter(sent.pop("texts"))
        assert not sent
        found += [item.code if isinstance(item, Failure) else next(good) for item in batch]
        assert not list(good)
    room = max_bytes - len(write_body([], options))
    assert found == [expected(text, max_chars, room) for text in texts]


def expected(text: Any, max_chars: int, room: int) -> str:
    """By the service's rules, not by the splitter's code."""
    if not isinstance(text, str):
        return "invalid_request"
    if len(text) > max_chars:
        return "text_too_long"
    try:
        size = len(json.dumps(text, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return "invalid_request"
    return "body_too_large" if size > room else text


@given(st.lists(st.integers(0, 40), min_size=1, max_size=50), st.integers(70, 300))
def test_batch_is_closed_only_when_the_next_text_would_not_fit(sizes: list[int], max_bytes: int) -> None:
    batches = split(["x" * size for size in sizes], Splitter(Limits(1_000, 1_000, max_bytes, 10), b"", 1_000))
    for batch, following in pairwise(batches):
        assert len(write_body(batch, b"")) <= max_bytes  # type: ignore[arg-type]
        assert all(isinstance(item, bytes) for item in [*batch, following[0]])
        assert len(write_body([*batch, following[0]], b"")) > max_bytes  # type: ignore[list-item]


def test_text_is_sent_in_as_few_bytes_as_json_takes() -> None:
    assert encode_text('Ünï "q" \n 😀') == '"Ünï \\"q\\" \\n 😀"'.encode()


def test_half_of_a_surrogate_pair_fails_alone_and_is_not_told() -> None:
    item = encode_text("secret \ud800")
    assert isinstance(item, Failure)
    assert "secret" not in repr(item)
