"""Where a run of `sentopic classify` has its files: the result, what there is of it, and how far it has come."""

import argparse
import os
from pathlib import Path
from typing import Any, Final

from app.errors import OutputError, UsageError
from app.files.journal import Fingerprint, Journal, Progress
from app.files.open import Shape, tell_format
from app.files.parquet import ParquetWriter
from app.files.rows import FORMATS, Format, Writer

PIPE: Final = "-"


class Place:
    """`source` and `target`: the files, None for standard input and output. `journal`: where a run can go on."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Raises UsageError where options and files do not fit together."""
        self.source = None if options.file == PIPE else Path(options.file)
        self.target = None if options.output == PIPE else Path(options.output)
        self.form = self._tell_format(options.format)
        self.to: Format = options.output_format or (tell_format(options.output) if self.target else None) or self.form
        self._refuse(options)
        self.spool = self.target.with_name(f"{self.target.name}.part") if self.target else Path(os.devnull)
        self.journal = (
            Journal(self.target.with_name(f"{self.target.name}.progress")) if self.target and self.source else None
        )

    def _tell_format(self, named: Format | None) -> Format:
        found = named or (tell_format(self.source.name) if self.source else "lines")
        if found is None:
            raise UsageError(f"{self.source}: what format is it? --format {'|'.join(FORMATS)}")
        return found

    def _refuse(self, options: argparse.Namespace) -> None:
        if self.source and not self.source.is_file():
            raise UsageError(f"{self.source}: {'not a file' if self.source.exists() else 'no such file'}")
        if self.form == "parquet" and not self.source:
            raise UsageError("Parquet cannot be read from standard input")
        if self.to == "parquet" and not self.target:
            raise UsageError("Parquet cannot be written to standard output: --output FILE")
        if options.resume and not (self.source and self.target):
            raise UsageError("only from a file to a file can a run go on: what went through a pipe is gone")
        if self.source and self.target and self.target.exists() and self.target.samefile(self.source):
            raise UsageError(f"{self.target} is the input itself")

    def prepare(self, *, resume: bool, force: bool) -> bool:
        """Whether anything is left to do. Raises UsageError if something stands there that must not be written over."""
        if self.target is None:
            return True
        if force:
            self._clear()
            return True
        begun = self.journal is not None and (self.spool.exists() or self.journal.path.exists())
        if begun and not resume:
            raise UsageError(f"{self.spool} is of a run that was interrupted: --resume goes on, --force begins anew")
        if self.target.exists() and not begun:
            if not resume:
                raise UsageError(f"{self.target} is there already: --force writes over it")
            return False
        return True

    def _clear(self) -> None:
        if self.journal:
            self.journal.remove()  # first: without it, nothing of what is left counts
        self.spool.unlink(missing_ok=True)

    def load(self, about: dict[str, Any], text: str | None) -> tuple[Shape, Progress] | None:
        """How far a run has come that goes on. Raises UsageError if this would be another run: see `about`, `text`."""
        if self.journal is None or self.source is None or (begun := self.journal.load()) is None:
            return None
        told, progress = begun
        shape = Shape(**told.pop("shape"))
        wanted = {**about, "output format": self.to, "text": text or shape.text}
        found = {**told, "output format": shape.format, "text": shape.text}
        if other := [name for name in wanted if wanted[name] != found.get(name)]:
            raise UsageError(f"{self.spool} was begun with another {other[0]}: --force begins anew")
        fingerprint = Fingerprint(self.source)
        try:
            same = fingerprint.reach(None if self.form == "parquet" else progress.read.offset) == progress.sha256
        finally:
            fingerprint.close()
        if not same:
            raise UsageError(f"{self.source} is not what {self.spool} was made of: --force begins anew")
        return shape, progress

    def is_moved(self, progress: Progress) -> bool:
        """Whether an interrupted run had its result in place already, and only did not say so."""
        return progress.complete and not self.spool.exists() and self.target is not None and self.target.exists()

    def finish(self, writer: Writer | None) -> None:
        """Puts the result in its place. Raises OutputError."""
        if self.target is None:
            return
        try:
            if isinstance(writer, ParquetWriter):
                writer.join(self.spool, self.target)
                self.spool.unlink()
            elif writer:
                self.spool.replace(self.target)
            _sync(self.target.parent)
            if self.journal:
                self.journal.remove()
        except OSError as error:
            raise OutputError(f"{self.target}: {(error.strerror or str(error)).lower()}") from error


def _sync(directory: Path) -> None:
    """Makes a new name in it survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
