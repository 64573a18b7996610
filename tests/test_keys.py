"""Keys are shown once, kept as hashes, and useless once they are revoked."""

import json
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import keys
from app.cli import main
from app.errors import KeyStoreError, UsageError
from app.keys import Keyring, create, open_store


@pytest.fixture(params=["file", "database"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "keys") if request.param == "file" else f"sqlite:///{tmp_path}/keys.db"


def test_key_is_found_by_its_whole_token_alone(place: str) -> None:
    store = keys.open_store(place)
    token, other = keys.create(store, "one", ["predict"]), keys.create(store, "other", ["admin"])
    ring = Keyring(store)
    found = ring.find(token)
    assert found is not None
    assert (found.name, found.scopes) == ("one", ("predict",))
    own, foreign = token.split("_", 2), other.split("_", 2)
    wrong = [
        token[:-1],
        token + "a",
        token.upper(),
        "",
        "_",
        "__",
        own[2],
        f"snt_{foreign[1]}_{own[2]}",
        "snt__",
        "\ud800",
    ]
    assert [ring.find(one) for one in wrong] == [None] * len(wrong)


@given(st.text())
def test_no_text_is_a_key(text: str) -> None:
    class Store:
        def read(self) -> list[keys.Key]:
            return [keys.Key("0123abcd", "n", ("predict",), "", "0" * 64)]

    assert Keyring(Store()).find(text) is None  # type: ignore[arg-type]
    assert Keyring(Store()).find(f"snt_0123abcd_{text}") is None  # type: ignore[arg-type]


def test_admin_may_do_what_others_may(place: str) -> None:
    store = keys.open_store(place)
    keys.create(store, "a", ["admin"])
    keys.create(store, "p", ["predict"])
    by_name = {key.name: key for key in store.read()}
    assert [by_name["a"].admits(scope) for scope in keys.SCOPES] == [True, True]
    assert [by_name["p"].admits(scope) for scope in keys.SCOPES] == [True, False]


def test_revoked_key_is_gone_at_the_next_look(place: str) -> None:
    store = keys.open_store(place)
    token = keys.create(store, "one", ["predict"])
    ring = Keyring(store)
    assert store.remove(token.split("_")[1])
    assert not store.remove(token.split("_")[1])
    ring.refresh()
    assert ring.find(token) is None


def test_secret_is_nowhere_in_the_store_and_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = keys.open_store(str(tmp_path / "keys"))
    token = keys.create(store, "one", ["predict"])
    assert token.split("_", 2)[2] not in (tmp_path / "keys").read_text()
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    def make() -> None:
        for _ in range(5):
            keys.create(keys.open_store(str(tmp_path / "keys")), "n", ["predict"])

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(keys.open_store(str(tmp_path / "keys")).read()) == 20


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]\n", b'{"id": 5}\n', b"\xff\n", b'{"id":"a","name":"","scopes":["root"],"created":"","sha256":""}\n'],
)
def test_file_that_holds_something_else_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(KeyStoreError, match=r"^.*/keys: it is not a file of keys$"):
        keys.open_store(str(tmp_path / "keys")).read()


@pytest.mark.parametrize("place", ["/nowhere/keys", "sqlite:////nowhere/keys.db", "nosuchdialect://x"])
def test_store_that_cannot_be_reached_is_one_line(place: str) -> None:
    with pytest.raises(KeyStoreError) as found:
        Keyring(keys.open_store(place))
    assert "\n" not in str(found.value)


def test_ring_keeps_its_keys_while_the_store_cannot_be_read(tmp_path: Path) -> None:
    store = keys.open_store(str(tmp_path / "keys"))
    token = keys.create(store, "one", ["predict"])
    ring = Keyring(store)
    (tmp_path / "keys").unlink()
    with pytest.raises(KeyStoreError):
        ring.refresh()
    assert ring.find(token)


def test_row_that_is_no_key_admits_nobody_and_keeps_no_other_from_being_revoked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a later release may have left it, before somebody went back to this one."""
    place = f"sqlite:///{tmp_path}/keys.db"
    store = open_store(place)
    revoked, strange = create(store, "one", ["predict"]), create(store, "later", ["predict"])
    ring = Keyring(store)
    with sqlite3.connect(tmp_path / "keys.db") as line:
        line.execute("UPDATE sentopic_keys SET scopes = 'predict metrics' WHERE name = 'later'")
    store.remove(revoked.split("_")[1])
    for _ in range(3):
        ring.refresh()
    assert [ring.find(token) for token in (revoked, strange)] == [None, None]
    assert [record.message for record in caplog.records] == [
        f"key '{strange.split('_')[1]}' in the keys' database admits nobody: this release cannot read it"
    ]
    assert main(["keys", "list", "--keys", place]) == 0


def test_commands_make_list_and_revoke(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "--name", "shop", "--keys", place]) == 0
    token = capsys.readouterr().out.strip()
    assert main(["keys", "create", "--name", "boss", "--scope", "admin", "--keys", place]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--json", "--keys", place]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(key["name"], key["scopes"]) for key in sorted(listed, key=lambda key: key["name"])] == [
        ("boss", ["admin"]),
        ("shop", ["predict"]),
    ]
    assert main(["keys", "list", "--keys", place]) == 0
    shown = capsys.readouterr().out
    assert "shop" in shown
    assert token not in shown
    key_id = token.split("_")[1]
    assert main(["keys", "revoke", key_id, "--keys", place]) == 0
    assert main(["keys", "revoke", key_id, "--keys", place]) == 1
    assert f"there is no key {key_id}" in capsys.readouterr().err
    assert Keyring(keys.open_store(place)).find(token) is None


def test_name_that_an_old_file_holds_cannot_write_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys"
    keys.create(keys.open_store(str(path)), "shop", ["predict"])
    path.write_text(path.read_text().replace("shop", r"\u001b[2Jshop\n\u202e"))
    assert main(["keys", "list", "--keys", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("  \N{REPLACEMENT CHARACTER}[2Jshop\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\n")
    assert shown.count("\n") == 1


def test_command_without_a_place_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "list"]) == 2
    assert "SENTOPIC_KEYS" in capsys.readouterr().err


def test_file_of_keys_keeps_its_owner_and_mode(tmp_path: Path) -> None:
    """Or a service of another user could not read it any more, and would go on with the keys that it has."""
    path = tmp_path / "keys"
    store = open_store(str(path))
    create(store, "first", ["predict"])
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65_534, 65_534)
    before = path.stat()
    create(store, "second", ["predict"])
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_table_that_two_services_make_at_once_is_there_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"sqlite:///{tmp_path}/keys.db"
    store: Any = open_store(place)

    def lose(line: object) -> None:
        """Has looked whether there is a table, and makes it a moment after another one."""
        monkeypatch.undo()
        open_store(place).read()
        store._keys.create(line)

    monkeypatch.setattr(store._keys.metadata, "create_all", lose)
    assert store.read() == []


@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter2@h:bad/db", "sqlite:////no/such/place/keys.db", "nothing://u:hunter2@h/db"]
)
def test_database_that_cannot_be_opened_is_one_line_without_its_password(url: str) -> None:
    with pytest.raises(KeyStoreError) as refused:
        open_store(url).read()
    assert len(str(refused.value).splitlines()) == 1
    assert "hunter2" not in str(refused.value)


def test_name_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    for name in ("a\nb", "\x1b[2J", "\udc80"):
        with pytest.raises(UsageError):
            create(open_store(str(tmp_path / "keys")), name, ["predict"])
