"""Where a run of `sentopic classify` has its files: the result, what there is of it, and how far it has come."""

import argparse
import os
from pathlib import Path
from typing import Any, Final

from app.errors import OutputError, UsageError
from app.files.disk import sync
from app.files.journal import Fingerprint, Journal, Progress, Spool
from app.files.open import Shape, tell_format
from app.files.parquet import ParquetWriter
from app.files.rows import FORMATS, Format, Writer

PIPE: Final = "-"
_NO_FILE: Final = "a pipe or a device, no file"


class Place:
    """`source` and `target`: the files, None for standard input and output. `journal`: where a run can go on.

    `spool`: what there is of the result; `sink`: the same, once it is ours to write.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        """Raises UsageError where options and files do not fit together."""
        self.source = None if options.file == PIPE else Path(options.file)
        self.target = None if options.output == PIPE else _follow(Path(options.output))
        self.form = self._tell_format(options.format)
        self.to: Format = options.output_format or (tell_format(options.output) if self.target else None) or self.form
        self._refuse(options)
        self.spool = self.target.with_name(f"{self.target.name}.part") if self.target else Path(os.devnull)
        self.journal = (
            Journal(self.target.with_name(f"{self.target.name}.progress")) if self.target and self.source else None
        )
        self.sink: Spool | None = None
        self._was_there = False

    def _tell_format(self, named: Format | None) -> Format:
        if self.source and self.source.exists() and not (self.source.is_file() or self.source.is_dir()):
            how = f"COMMAND | sentopic classify - --format {named or 'csv'}"
            raise UsageError(f"{self.source}: {_NO_FILE} (standard input may be one: {how})")
        found = named or (tell_format(self.source.name) if self.source else "lines")
        if found is None:
            raise UsageError(f"{self.source}: what format is it? --format {'|'.join(FORMATS)}")
        return found

    def _refuse(self, options: argparse.Namespace) -> None:
        if self.source and not self.source.is_file():
            raise UsageError(f"{self.source}: {'not a file' if self.source.exists() else 'no such file'}")
        if self.target and self.target.exists() and not self.target.is_file():
            what = "a directory" if self.target.is_dir() else f"{_NO_FILE} (leave --output out, and use > or |)"
            raise UsageError(f"{self.target}: {what}")
        if self.form == "parquet" and not self.source:
            raise UsageError("Parquet cannot be read from standard input")
        if self.to == "parquet" and not self.target:
            raise UsageError("Parquet cannot be written to standard output: --output FILE")
        if options.resume and not (self.source and self.target):
            raise UsageError("only from a file to a file can a run go on: what went through a pipe is gone")
        if self.source and self.target and self.target.exists() and self.target.samefile(self.source):
            raise UsageError(f"{self.target} is the input itself")

    def prepare(self, *, resume: bool, force: bool) -> bool:
        """Whether anything is left to do. From here until `release`, the result is nobody else's to write.

        Raises UsageError if something stands there that must not be written over, OutputError if somebody writes it.
        """
        if self.target is None:
            return True
        self._was_there = self.spool.exists()
        self.sink = Spool(self.spool, None)  # before anything is looked at, as its writer may be about to end
        if force:
            if self.journal:
                self.journal.remove()  # first: without it, nothing of what is left counts
            self.sink.cut(0)
            return True
        if self.is_begun():
            if not resume:
                raise UsageError(f"{self.spool} is of a run that was interrupted: {self._ways}")
        elif self.target.exists():
            if not resume:
                raise UsageError(f"{self.target} is there already: --force writes over it")
            return False
        return True

    def is_begun(self) -> bool:
        """Whether there is anything of the result that is not in its place."""
        return bool(self.sink and self.sink.size) or bool(self.journal and self.journal.path.exists())

    @property
    def _ways(self) -> str:
        return "--resume goes on, --force begins anew" if self.journal else "--force begins anew"

    def release(self) -> None:
        """Others may write the result now; where nothing has been done, nothing is left behind."""
        if self.sink is None:
            return
        if not self.is_begun() and self.sink.is_in_place():
            self.spool.unlink(missing_ok=True)
        self.sink.close()

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
        if not progress.complete or self.target is None or not self.target.exists():
            return False
        return self.sink is None or not self._was_there or self.sink.size < progress.written

    def finish(self, writer: Writer | None) -> None:
        """Puts the result in its place. Raises OutputError."""
        if self.target is None:
            return
        try:
            if writer and self.sink and not self.sink.is_in_place():
                raise OutputError(f"{self.spool}: somebody has moved or removed it")
            if isinstance(writer, ParquetWriter):
                writer.join(self.spool, self.target)
                self.spool.unlink()
            elif writer:
                self.spool.replace(self.target)
            sync(self.target.parent)  # its new name
            if self.journal:
                self.journal.remove()
        except OSError as error:
            raise OutputError(f"{self.target}: {(error.strerror or str(error)).lower()}") from error


def _follow(path: Path) -> Path:
    """The file that a symbolic link is for: it is what the result becomes, and the link stays one."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise UsageError(f"{path}: a symbolic link to itself") from None
