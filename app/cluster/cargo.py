"""A bundle as it travels: its files' bytes, so that all machines answer with the very same one, whatever lies on them.

Where it arrives it is written to a disk, read and verified as any bundle, and held against the sender's seal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from app import __version__
from app.answers import Interpreter
from app.bundle import MANIFEST, Bundle, read_bundle
from app.engines.base import Engine, EngineOptions
from app.engines.open import open_engine
from app.errors import BundleError, ClusterError


@dataclass(frozen=True, slots=True)
class Cargo:
    """`engine`: which one, chosen by the sender, so that not each machine chooses its own."""

    version: str
    seal: str
    files: Mapping[str, bytes]
    engine: Literal["onnx", "keras"]
    options: EngineOptions
    max_text_chars: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What answers."""

    interpreter: Interpreter
    engine: Engine


def pack(bundle: Bundle, engine: Literal["onnx", "keras"], options: EngineOptions, max_text_chars: int) -> Cargo:
    """Raises BundleError if it cannot be read any more."""
    try:
        files = {name: (bundle.directory / name).read_bytes() for name in (MANIFEST, *bundle.manifest.files)}
    except OSError as error:
        raise BundleError(bundle.directory, (error.strerror or str(error)).lower()) from error
    return Cargo(__version__, bundle.manifest.sha256, files, engine, options, max_text_chars)


def unpack(cargo: Cargo) -> Desk:
    """Raises ClusterError where another release of Sentopic is installed, BundleError, StartError."""
    if cargo.version != __version__:
        raise ClusterError(f"a machine of the cluster has sentopic {__version__}, this one {cargo.version}")
    with TemporaryDirectory(prefix="sentopic-") as folder:
        for name, content in cargo.files.items():
            (Path(folder) / name).write_bytes(content)
        bundle = read_bundle(Path(folder), trusted=[cargo.seal])
        encoder = bundle.encoder()
        engine = open_engine(bundle, cargo.engine, encoder, cargo.options)  # the keras engine reads files, too
    return Desk(Interpreter(bundle.manifest, encoder, max_text_chars=cargo.max_text_chars), engine)
