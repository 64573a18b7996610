"""A service's keys as any of its workers has read them last, in memory that all of them share.

So a worker that takes another's place admits whom the others admit, though the keys' own store is away just then:
nobody without a key, and nobody whose key the others know to be revoked. Knows not what keys are good for.
"""

import hashlib
import json
import logging
import mmap
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from app.errors import KeyStoreError
from app.keys import Key, KeyStore

_MOST_BYTES: Final = 2**24
"""Some 80,000 keys. What is not needed of it takes no memory."""

_LENGTH_BYTES: Final = 8
_HEAD_BYTES: Final = _LENGTH_BYTES + hashlib.sha256().digest_size
_log = logging.getLogger("sentopic")


class KnownKeys:
    """To be made before workers are forked."""

    def __init__(self, store: KeyStore) -> None:
        """Raises KeyStoreError if they cannot be read."""
        self.store = store
        self._memory = mmap.mmap(-1, _MOST_BYTES)  # zeros, and a child's are its parent's
        self.read()

    def read(self) -> list[Key]:
        """From the store, for the others to know, too. Raises KeyStoreError."""
        keys = self.store.read()
        self._note(keys)
        return keys

    def recall(self) -> list[Key]:
        """None of them are good if neither anybody nor the store can say."""
        if (known := self._look()) is not None:
            return known
        try:
            return self.read()
        except KeyStoreError as error:
            _log.error("no key is good until they can be read: %s", error)
            return []

    def _note(self, keys: Iterable[Key]) -> None:
        told = json.dumps([asdict(key) for key in keys]).encode()
        if len(told) > _MOST_BYTES - _HEAD_BYTES:
            told = b""  # better none than old ones
        record = len(told).to_bytes(_LENGTH_BYTES, "big") + hashlib.sha256(told).digest() + told
        if self._memory[: len(record)] != record:
            self._memory[: len(record)] = record

    def _look(self) -> list[Key] | None:
        """None, too, of what two have written at once, or one who was killed at it."""
        size = int.from_bytes(self._memory[:_LENGTH_BYTES], "big")
        seal, told = self._memory[_LENGTH_BYTES:_HEAD_BYTES], self._memory[_HEAD_BYTES : _HEAD_BYTES + size]
        if not told or hashlib.sha256(told).digest() != seal:
            return None
        return [Key(**{**row, "scopes": tuple(row["scopes"])}) for row in json.loads(told)]


class Handed:
    """The keys' store as an application sees it: at first, what is known already."""

    def __init__(self, known: KnownKeys) -> None:
        self._known, self._is_first = known, True

    def read(self) -> list[Key]:
        """Raises KeyStoreError, but not at first."""
        if self._is_first:
            self._is_first = False
            return self._known.recall()
        return self._known.read()

    def add(self, key: Key) -> None:
        self._known.store.add(key)

    def remove(self, key_id: str) -> bool:
        return self._known.store.remove(key_id)
