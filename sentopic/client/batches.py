"""Texts into bodies of batch requests, each as large as the service takes. What cannot be sent fails in its place."""

import json
from collections.abc import Mapping
from typing import Any, Final

from sentopic.client.results import Failure, Limits

Item = bytes | Failure
"""A text as JSON, or why it cannot be sent."""

_OPEN, _CLOSE, _COMMA = b'{"texts":[', b"]}", b","


def encode_text(text: object) -> Item:
    """As few bytes as JSON takes. What is no Unicode text would be refused with all that stands beside it."""
    if not isinstance(text, str):
        return Failure(422, "invalid_request", "A text is a string.")
    try:
        return json.dumps(text, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Failure(422, "invalid_request", "The text has half of a surrogate pair, which is no character.")


def encode_options(options: Mapping[str, Any]) -> bytes:
    """What stands in a body beside the texts: `,"model":"gru"`, say. None is left out."""
    given = {name: value for name, value in options.items() if value is not None}
    return b"".join(b',"%s":%s' % (name.encode(), json.dumps(value).encode()) for name, value in given.items())


def write_body(items: list[bytes], options: bytes) -> bytes:
    return b"".join([_OPEN, _COMMA.join(items), b"]", options, b"}"])


class Splitter:
    """Takes texts one by one and gives batches of at most `most` texts; holds no more than one batch."""

    def __init__(self, limits: Limits, options: bytes, most: int) -> None:
        self._most: Final = min(most, limits.max_batch_texts)
        self._max_text_chars: Final = limits.max_text_chars
        self._room: Final = limits.max_body_bytes - len(_OPEN) - len(options) - len(_CLOSE)
        self._items: list[Item] = []
        self._left = self._room

    def add(self, text: object) -> list[Item] | None:
        """The batch that `text` no longer fits into, if there is one. Failures count as texts."""
        item = self._check(text)
        size = len(item) + len(_COMMA) if isinstance(item, bytes) else 0
        full = None
        if self._items and (len(self._items) == self._most or size - len(_COMMA) > self._left):
            full = self.rest()
        self._items.append(item)
        self._left -= size
        return full

    def rest(self) -> list[Item]:
        """What has come since the last batch; may be empty."""
        items, self._items, self._left = self._items, [], self._room
        return items

    def _check(self, text: object) -> Item:
        if isinstance(text, str) and len(text) > self._max_text_chars:
            return Failure(413, "text_too_long", f"A text may have {self._max_text_chars} characters at most.")
        item = encode_text(text)
        if isinstance(item, bytes) and len(item) > self._room:
            return Failure(413, "body_too_large", "The text has more bytes than a request may have.")
        return item
