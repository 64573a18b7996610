"""API keys: made, kept as hashes, looked up, revoked.

A key is `snt_<id>_<secret>`, 32 random bytes, shown once. Kept are its id, name, scopes and SHA-256: so many random
bits need no slow hash. The keys lie in a file of JSON lines that only its owner can read, or in a database.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar, get_args

from app.database import Database
from app.errors import KeyStoreError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

Scope = Literal["predict", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
REFRESH_S: Final = 2.0
"""How long a key that was revoked may still be good: stores are read again so often."""

Result = TypeVar("Result")
_PREFIX: Final = "snt"
_NOBODY: Final = hashlib.sha256(b"").hexdigest()
_log = logging.getLogger("sentopic")


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: str
    sha256: str

    def admits(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class KeyStore(Protocol):
    """Every method raises KeyStoreError if the keys cannot be reached."""

    def read(self) -> list[Key]: ...
    def add(self, key: Key) -> None: ...
    def remove(self, key_id: str) -> bool: ...


def create(store: KeyStore, name: str, scopes: Iterable[Scope]) -> str:
    """A new key, which nobody can ever see again. Raises UsageError for a name that cannot be shown."""
    if not name.isprintable():
        raise UsageError("a key's name must be printable")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    token = f"{_PREFIX}_{key_id}_{secret}"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    store.add(Key(key_id, name, tuple(sorted(set(scopes))), created, _hash(token)))
    return token


def open_store(place: str) -> KeyStore:
    """`place`: a file's path, or a database's URL as SQLAlchemy has it."""
    return _Table(place) if "://" in place else _File(Path(place))


class Keyring:
    """The keys as they were read last."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._keys: dict[str, Key] = {}
        self.refresh()

    @property
    def ids(self) -> list[str]:
        return list(self._keys)

    def refresh(self) -> None:
        """Raises KeyStoreError, and keeps the keys that it has."""
        self._keys = {key.id: key for key in self._store.read()}

    def find(self, token: str) -> Key | None:
        """In a time that does not depend on how much of the token is right."""
        parts = token.split("_", 2)
        key = self._keys.get(parts[1]) if len(parts) == 3 else None
        same = hmac.compare_digest(_hash(token), key.sha256 if key else _NOBODY)
        return key if same else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class _File:
    """A line a key. Written anew and moved into place, so that whoever reads it reads the whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Key]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            return [_parse(json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError, KeyError) as error:
            why = (
                error.strerror.lower() if isinstance(error, OSError) and error.strerror else "it is not a file of keys"
            )
            raise KeyStoreError(f"{self._path}: {why}") from error

    def add(self, key: Key) -> None:
        with self._alone():
            self._write([*(self.read() if self._path.exists() else []), key])

    def remove(self, key_id: str) -> bool:
        with self._alone():
            keys = self.read()
            kept = [key for key in keys if key.id != key_id]
            self._write(kept)
        return len(kept) < len(keys)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two who change keys at once do it one after the other."""
        try:
            directory = os.open(self._path.resolve().parent, os.O_RDONLY)
        except OSError as error:
            raise KeyStoreError(f"{self._path.parent}: {(error.strerror or str(error)).lower()}") from error
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _write(self, keys: list[Key]) -> None:
        target = self._path.resolve()
        try:
            descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # its owner's alone
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.writelines(f"{json.dumps(asdict(key))}\n" for key in keys)
                stream.flush()
                _keep_owner(target, stream.fileno())
                os.fsync(stream.fileno())
            os.replace(aside, target)
        except OSError as error:
            raise KeyStoreError(f"{self._path}: {(error.strerror or str(error)).lower()}") from error


def _keep_owner(old: Path, new: int) -> None:
    """The service that reads it may be another user's."""
    with contextlib.suppress(FileNotFoundError):
        before = old.stat()
        os.fchmod(new, before.st_mode & 0o777)
        with contextlib.suppress(PermissionError):
            os.fchown(new, before.st_uid, before.st_gid)


class _Table:
    """The table `sentopic_keys`, made when it is first needed."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, lambda why: KeyStoreError(f"the keys' database: {why}"), seldom=True)
        sql = self._database.sql
        columns = [sql.Column(name, sql.Text, nullable=False) for name in ("name", "scopes", "created", "sha256")]
        self._keys = sql.Table(
            "sentopic_keys", sql.MetaData(), sql.Column("id", sql.String(16), primary_key=True), *columns
        )
        self._is_made = False
        self._told = set[str]()
        """Ids of rows that are no keys."""

    def read(self) -> list[Key]:
        """Rows that are no keys, such as those of a later release, admit nobody and keep no other from being read."""
        rows = self._run(lambda line: line.execute(self._keys.select().order_by(self._keys.c.created)).mappings().all())
        return [key for row in rows if (key := self._parse({**row, "scopes": str(row["scopes"]).split()}))]

    def _parse(self, row: dict[str, object]) -> Key | None:
        try:
            return _parse(row)
        except (TypeError, ValueError):
            if (name := str(row["id"])) not in self._told:
                self._told.add(name)
                _log.error("key %r in the keys' database admits nobody: this release cannot read it", name)
            return None

    def add(self, key: Key) -> None:
        row = {**asdict(key), "scopes": " ".join(key.scopes)}
        self._run(lambda line: line.execute(self._keys.insert().values(**row)))

    def remove(self, key_id: str) -> bool:
        gone = self._run(lambda line: line.execute(self._keys.delete().where(self._keys.c.id == key_id)).rowcount)
        return bool(gone)

    def _run(self, work: Callable[["Connection"], Result]) -> Result:
        if not self._is_made:
            self._database.create(self._keys)
            self._is_made = True
        return self._database.run(work)


def _parse(row: dict[str, object]) -> Key:
    key = Key(**{**row, "scopes": tuple(row["scopes"])})  # type: ignore[arg-type]
    if not all(isinstance(value, str) for value in (key.id, key.name, key.created, key.sha256)):
        raise TypeError
    if not set(key.scopes) <= set(SCOPES):
        raise ValueError
    return key
