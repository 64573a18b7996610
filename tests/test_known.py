"""A worker that takes another's place admits whom the others admit, and nobody else, though the store is away."""

import logging
from pathlib import Path

import pytest

from app import known as known_module
from app.errors import KeyStoreError
from app.keys import Keyring, create, open_store
from app.known import Handed, KnownKeys


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_keys_are_known_while_their_store_is_away(place: Path) -> None:
    store = open_store(str(place))
    token = create(store, "shop ä", ["predict", "admin"])
    known = KnownKeys(store)
    (found,) = store.read()
    place.unlink()
    ring = Keyring(Handed(known))
    assert ring.find(token) == found
    assert ring.find(token[:-1]) is None
    with pytest.raises(KeyStoreError):
        ring.refresh()
    assert ring.find(token) == found


def test_key_that_another_worker_knows_to_be_revoked_is_not_handed_down(place: Path) -> None:
    store = open_store(str(place))
    first, second = (create(store, name, ["predict"]) for name in ("first", "second"))
    known = KnownKeys(store)
    other = Keyring(Handed(known))
    store.remove(first.split("_")[1])
    other.refresh()
    place.unlink()
    ring = Keyring(Handed(known))
    assert ring.find(first) is None
    assert ring.find(second)


@pytest.mark.parametrize("harm", ["torn", "too many"])
def test_nobody_is_admitted_while_nobody_can_say_whose_keys_are_good(
    place: Path, harm: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(str(place))
    token = create(store, "shop", ["predict"])
    known = KnownKeys(store)
    if harm == "torn":  # as by whoever is killed while he writes
        known._memory[50] ^= 1
    else:
        monkeypatch.setattr(known_module, "_MOST_BYTES", 300)
        create(store, "many", ["predict"])
        known.read()
    assert Keyring(Handed(known)).find(token)  # the store can say
    if harm == "torn":
        known._memory[50] ^= 1
    aside = place.rename(place.with_name("aside"))
    caplog.set_level(logging.INFO)
    ring = Keyring(Handed(known))
    assert ring.find(token) is None
    assert [record.message for record in caplog.records] == [
        f"no key is good until they can be read: {place}: no such file or directory"
    ]
    aside.rename(place)
    ring.refresh()
    assert ring.find(token)


def test_keys_that_cannot_be_read_when_the_service_starts_are_told(place: Path) -> None:
    with pytest.raises(KeyStoreError):
        KnownKeys(open_store(str(place)))
