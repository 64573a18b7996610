"""A trained classifier on disk, sealed: every file's hash stands in `bundle.json`. Reads and verifies; runs nothing.

artifacts/<task>/<model>/: bundle.json, model.keras, words.txt, metrics.json, plots, CARD.md
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app import model_file
from app.engines.base import Probabilities
from app.errors import BundleError, TokenizerError
from app.model_file import ModelFile
from app.text import INDEX_FROM, PAD, START, UNKNOWN, TextEncoder, Windows
from app.tokenizers import KERAS, Tokenizer, TokenizerName, library_versions, make_encoder, open_tokenizer

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "bundle.json"
MODEL: Final = "model.keras"
WORDS: Final = "words.txt"
MAX_MANIFEST_BYTES: Final = 2**20
PAPERS: Final = (
    "CARD.md", "metrics.json", "learning_curves.png", "reliability.png", "risk_coverage.png", "confusion.png"
)  # fmt: skip
"""What a bundle tells of itself. It need not have them: nothing that answers a text reads one."""

MAX_PAPER_BYTES: Final = 2**20
"""Of one paper. A larger one is verified like any file of the bundle, and then left on the disk."""

MAX_WORDS_BYTES: Final = 16 * 2**20
"""Of `words.txt`: some two million words. While they are read they take up to thirty times as much."""

MAX_BUNDLE_BYTES: Final = 2 * model_file.MAX_MODEL_BYTES

MAX_MAXLEN: Final = 10_000
"""Ids a window."""

_LEAST: Final = 1e-7
"""The least that a probability counts as: one window's zero would outweigh all others."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256."""
Share = Annotated[float, Field(ge=0, le=1)]
Version = Annotated[str, Field(pattern=r"^[0-9][0-9A-Za-z.+]{0,31}$")]


class _Sealed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Label(_Sealed):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    display_name: str
    share: Share
    """Among the training texts: what to expect of a text of which nothing is known."""


class TokenizerSpec(_Sealed):
    """What finds a text's words. Other rules of ours would be another `version`; other libraries are refused."""

    name: TokenizerName
    version: Literal[1] = 1
    libraries: dict[str, Version]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "TokenizerSpec | None":
        """None for the contract's own, which bundles do not name."""
        return None if tokenizer is KERAS else cls(name=tokenizer.name, libraries=library_versions(tokenizer.name))


class TextSpec(_Sealed):
    """The text contract's numbers; a bundle made under another contract is refused."""

    num_words: Annotated[int, Field(gt=INDEX_FROM, le=10_000_000)]
    maxlen: Annotated[int, Field(ge=1, le=MAX_MAXLEN)]
    windows: Windows
    pad_id: Literal[0] = PAD
    start_id: Literal[1] = START
    unknown_id: Literal[2] = UNKNOWN
    index_from: Literal[3] = INDEX_FROM
    tokenizer: Annotated[TokenizerSpec | None, Field(exclude_if=lambda spec: spec is None)] = None
    """None: `app.text`'s own. It is left out where it is not needed, so that older bundles keep their seals."""

    def open_tokenizer(self) -> Tokenizer:
        """Raises TokenizerError where what it needs is missing or of another version."""
        return open_tokenizer(self.tokenizer.name, self.tokenizer.libraries) if self.tokenizer else KERAS

    def encoder(self, words: Sequence[str], windows: Windows | None = None) -> TextEncoder:
        """`windows`: how texts are read, if not as the bundle reads them."""
        return make_encoder(self.open_tokenizer(), words, self.num_words, self.maxlen, windows or self.windows)


class Calibration(_Sealed):
    """How a text's windows become its scores; fitted on held-out texts."""

    temperature: Annotated[float, Field(gt=0)]
    """Of a text of one window (Guo et al., 2017, "On calibration of modern neural networks")."""
    last_window: Annotated[float, Field(ge=0, le=100)] = 0.0
    """What the last window counts beside the average of all: a text may end with its verdict."""
    growth: Annotated[float, Field(ge=0, le=100)] = 0.0
    """How much surer a text is the more windows it has: its log-odds grow by this times the windows' logarithm."""
    damping: Annotated[float, Field(ge=-1, lt=1)] = 0.0
    """How much less the surest answers are believed: log-odds are multiplied by 1 - damping · confidence."""
    uncertain_below: Share
    """An answer with less confidence than this is marked `uncertain`."""

    def scores(self, probabilities: Probabilities) -> list[float]:
        """One text's scores, in label order, from its windows' probabilities (windows, labels), in their order.

        In plain numbers, as most texts have one window and a few labels, for which NumPy takes longer to begin.
        """
        windows = len(probabilities)
        if windows > 1:
            logits = np.log(np.maximum(probabilities, _LEAST, dtype=np.float64))
            average = (logits.mean(axis=0) + self.last_window * logits[-1]) / (1 + self.last_window)
            odds: list[float] = np.exp(average).tolist()
        else:
            odds = [share if share > _LEAST else _LEAST for share in probabilities[0].tolist()]
        top = max(odds)
        confidence = top / sum(odds)
        sharpness = (1 + self.growth * log(windows)) / self.temperature * (1 - self.damping * confidence)
        scaled = [(odd / top) ** sharpness for odd in odds]
        whole = sum(scaled)
        return [share / whole for share in scaled]


class Seal(_Sealed):
    sha256: Digest
    size: Annotated[int, Field(ge=0, le=model_file.MAX_MODEL_BYTES)]


class Golden(_Sealed):
    """A text whose scores an engine must reproduce before the bundle serves."""

    text: str
    scores: list[Share]


class Manifest(_Sealed):
    """`bundle.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    task: Name
    model: Name
    labels: Annotated[list[Label], Field(min_length=2, max_length=10_000)]
    text: TextSpec
    recipe: dict[str, Any]
    data: dict[str, str | int]
    metrics: dict[str, float]
    parameters: int
    calibration: Calibration
    versions: dict[str, str]
    files: dict[FileName, Seal]
    golden: Annotated[list[Golden], Field(min_length=3, max_length=20)]
    sha256: str = ""
    """Of all the rest: see `digest`."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Manifest":
        if len({label.name for label in self.labels}) != len(self.labels):
            raise ValueError("two labels have one name")
        if any(len(golden.scores) != len(self.labels) for golden in self.golden):
            raise ValueError("a golden text has not one score a label")
        if missing := {MODEL, WORDS} - self.files.keys():
            raise ValueError(f"{missing.pop()} is not sealed")
        if sum(seal.size for seal in self.files.values()) > MAX_BUNDLE_BYTES:
            raise ValueError(f"the files take more than {MAX_BUNDLE_BYTES} bytes")
        if self.files[WORDS].size > MAX_WORDS_BYTES:
            raise ValueError(f"{WORDS} takes more than {MAX_WORDS_BYTES} bytes")
        return self

    def digest(self) -> str:
        """SHA-256 of everything here but `sha256`, as JSON with sorted keys and no spaces."""
        content = self.model_dump(mode="json", exclude={"sha256"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def scores(self, probabilities: Probabilities) -> list[float]:
        """One text's calibrated scores, in label order, from its windows' probabilities (windows, labels)."""
        return self.calibration.scores(probabilities)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle, all of it in memory."""

    directory: Path
    manifest: Manifest
    model: ModelFile
    model_bytes: bytes
    words: tuple[str, ...]
    papers: dict[str, bytes]
    """The manifest and what there is of `PAPERS`, by name."""

    def encoder(self) -> TextEncoder:
        """Raises BundleError where its tokenizer is not to be had."""
        try:
            return self.manifest.text.encoder(self.words)
        except TokenizerError as error:
            raise BundleError(self.directory / MANIFEST, str(error)) from None


def read_bundle(
    directory: Path, vocabularies: dict[str, tuple[str, ...]] | None = None, trusted: Collection[str] = ()
) -> Bundle:
    """Raises BundleError, naming the file and the reason, for anything that is not exactly as sealed.

    `vocabularies`: word indexes that were read already, by their file's SHA-256; a new one is added.
    `trusted`: manifests' SHA-256s, if only theirs may be read. Of another bundle no file but the manifest is opened.
    """
    path = directory / MANIFEST
    try:
        source = _read_plain_file(path, MAX_MANIFEST_BYTES)
        manifest = Manifest.model_validate_json(source)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise BundleError(path, f"{where}: {fault['msg']}" if where else fault["msg"]) from None
    if manifest.sha256 != manifest.digest():
        raise BundleError(path, "it is not as it was sealed (its own SHA-256 differs)")
    if trusted and manifest.sha256 not in trusted:
        raise BundleError(path, f"its SHA-256 is {manifest.sha256}, which is not among the trusted bundles")
    contents = {name: _open_sealed(directory / name, seal) for name, seal in manifest.files.items()}
    try:
        visible = {entry.name for entry in directory.iterdir() if not entry.name.startswith(".")}
    except OSError as error:
        raise BundleError(directory, _explain(error)) from error
    if extra := visible - manifest.files.keys() - {MANIFEST}:
        raise BundleError(directory / min(extra), "it is not sealed in bundle.json")
    model = model_file.parse(contents[MODEL], directory / MODEL)
    if model.vocabulary < manifest.text.num_words:
        raise BundleError(model.path, f"it knows {model.vocabulary} ids, the text contract {manifest.text.num_words}")
    if model.steps not in (None, manifest.text.maxlen):
        raise BundleError(model.path, f"it reads {model.steps} ids, the text contract's windows {manifest.text.maxlen}")
    known = {} if vocabularies is None else vocabularies
    sha256 = manifest.files[WORDS].sha256
    if sha256 not in known:
        known[sha256] = _parse_words(contents[WORDS], directory / WORDS)
    papers = {name: contents[name] for name in PAPERS if len(contents.get(name, b"")) in range(1, MAX_PAPER_BYTES + 1)}
    return Bundle(directory, manifest, model, contents[MODEL], known[sha256], {MANIFEST: source, **papers})


def find_bundles(root: Path) -> list[Path]:
    """Every directory <task>/<model>/ below `root`, in order of their names; each must be a bundle when it is read.

    Left out are hidden ones and `runs`, where training keeps its checkpoints. Raises BundleError where there is none,
    and for a directory that may not be read: nobody gets fewer tasks than there are.
    """
    try:
        tasks = [path for path in _list_directories(root) if path.name != "runs"] if root.is_dir() else []
        found = [path for task in tasks for path in _list_directories(task)]
    except OSError as error:
        raise BundleError(Path(error.filename or root), _explain(error)) from error
    if not found:
        raise BundleError(root, "no bundle stands there (<task>/<model>/bundle.json)")
    return found


def _list_directories(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.is_dir())


def seal(path: Path) -> Seal:
    data = path.read_bytes()
    return Seal(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def format_words(words: list[str]) -> bytes:
    """`words.txt`: one word a line in rank order. Only a line feed ends a line: words may hold other marks."""
    return "".join(f"{word}\n" for word in words).encode("utf-8", "surrogatepass")


def _parse_words(data: bytes, path: Path) -> tuple[str, ...]:
    if b"\n\n" in data:  # before millions of them are taken apart
        raise BundleError(path, "a word is empty")
    try:
        words = data.decode("utf-8", "surrogatepass").split("\n")
    except UnicodeDecodeError as error:
        raise BundleError(path, f"not UTF-8 ({error})") from error
    if words.pop() != "" or "" in words or len(set(words)) != len(words):
        raise BundleError(path, "a word is empty or stands twice, or the last line has no end")
    return tuple(words)


def _open_sealed(path: Path, seal: Seal) -> bytes:
    data = _read_plain_file(path, seal.size)
    if len(data) != seal.size or hashlib.sha256(data).hexdigest() != seal.sha256:
        raise BundleError(path, "it is not the file that was sealed (its SHA-256 differs)")
    return data


def _read_plain_file(path: Path, limit: int) -> bytes:
    """At most `limit` bytes of a file that is no link, pipe or device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:
            state = os.fstat(stream.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise BundleError(path, "it is not a plain file")
            if state.st_size > limit:
                raise BundleError(path, f"it has {state.st_size} bytes, more than the {limit} allowed")
            return stream.read(limit + 1)
    except OSError as error:
        raise BundleError(path, "it is a link" if error.errno == errno.ELOOP else _explain(error)) from error


def _explain(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
