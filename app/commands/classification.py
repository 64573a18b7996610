"""A run of `sentopic classify`: how it begins, what it says meanwhile, and how it ends."""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from app.answers import Interpreter
from app.bulk import Bulk, Tally
from app.bundle import Bundle, Manifest, find_bundles, read_bundle
from app.classifier import preference
from app.classify import Classification, JournalRecord, Watch
from app.commands.place import Place
from app.engines.base import SWITCH_INTERVAL_S
from app.engines.open import choose, open_engine
from app.errors import EndedInputError, FileError, OutputError, UsageError
from app.files.journal import Fingerprint, Progress
from app.files.lines import FileSource, Position
from app.files.open import Shape, choose_shape, open_reader
from app.files.parquet import ParquetReader
from app.files.rows import Reader, Row, Told
from app.progress import Display
from app.scribe import Scribe, Sink
from app.settings import Settings, load_settings

INTERRUPTED: Final = 130
_SHOWN: Final = 10
"""Bad rows that are told one by one; the others stand in the result alone."""


def run(options: argparse.Namespace) -> int:
    """Exit status: 0 done, 1 failed, 130 interrupted. Raises UsageError and others."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # or the engine would wait for the lock after each of its batches
    place = Place(options)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if not place.prepare(resume=options.resume, force=options.force):
            print(f"{place.target} is there already: nothing is left to do (--force begins anew)", file=sys.stderr)
            return 0
        return _Run(options, place).go()
    finally:
        place.release()
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _Run:
    def __init__(self, options: argparse.Namespace, place: Place) -> None:
        self._options, self._place = options, place
        self._name = str(place.source or "standard input")
        self._settings: Settings = load_settings(
            artifacts=options.artifacts, bundle=options.bundle, engine=options.engine
        )
        self._started = time.monotonic()
        self._before = Progress()
        self._bad = 0
        self._input: _Input | None = None

    def go(self) -> int:
        bundle = find_bundle(self._settings, self._options.task, self._options.model)
        about = {
            "bundle": bundle.manifest.sha256,
            "engine": f"{choose(self._settings.engine)} {self._settings.engine_precision}",
            "format": self._place.form,
            "max_text_chars": self._settings.max_text_chars,
        }
        begun = self._place.load(about, self._options.text)
        shape, self._before = begun or (None, Progress())
        if self._place.is_moved(self._before):
            self._place.finish(None)
            return self._tell(
                bundle.manifest, Tally(self._before.rows, self._before.failed, Counter(self._before.labels))
            )
        encoder = bundle.encoder()
        engine = open_engine(bundle, self._settings.engine, encoder, self._settings.engine_options)
        interpreter = Interpreter(bundle.manifest, encoder, max_text_chars=self._settings.max_text_chars)
        with ExitStack() as stack:
            reader = self._open_reader(stack, shape)
            bulk = Bulk(reader, interpreter)
            record = self._open_record(stack, about)
            scribe = Scribe(reader, bulk, self._open_sink(), self._choose_shape, record)
            if shape:
                scribe.resume(shape, self._before)
            work = Classification(reader, bulk, engine, scribe, self._open_watch(stack, reader))
            with self._heed_signals() as is_interrupted:
                ended = self._work(work, scribe, is_interrupted)
            if ended:
                shape = scribe.end()
                if record:
                    record.save(shape, reader.position, scribe.written, scribe.tally, complete=True)
        if not ended:
            print(f"sentopic: interrupted after {scribe.tally.rows:,} rows{self._hint()}", file=sys.stderr)
            return INTERRUPTED
        self._place.finish(scribe.writer)
        return self._tell(bundle.manifest, scribe.tally)

    def _work(self, work: Classification, scribe: Scribe, is_interrupted: Callable[[], bool]) -> bool:
        try:
            return work.run(is_interrupted)
        except EndedInputError:
            return False
        except FileError as error:
            raise self._explain(error, scribe.tally.rows) from error
        except OutputError as error:
            raise OutputError(f"{error}{self._hint()}") from error

    def _open_reader(self, stack: ExitStack, shape: Shape | None) -> Reader:
        source: Path | _Input
        if self._place.source:
            source = self._place.source
        else:
            source = self._input = _Input()
        try:
            reader = open_reader(source, self._place.form, shape.text if shape else self._options.text)
        except FileError as error:
            raise self._explain(error, 0) from error
        stack.callback(reader.close)
        return reader

    def _open_sink(self) -> Sink:
        if self._place.sink is None:
            return _Pipe()
        self._place.sink.cut(self._before.written)
        return self._place.sink

    def _choose_shape(self, reader: Reader, first: Sequence[Row]) -> Shape:
        return choose_shape(reader, first, self._place.to, Path(self._options.output).suffix)

    def _open_record(self, stack: ExitStack, about: dict[str, Any]) -> JournalRecord | None:
        if self._place.journal is None or self._place.source is None:
            return None
        fingerprint = Fingerprint(self._place.source)
        stack.callback(fingerprint.close)
        return JournalRecord(self._place.journal, about, fingerprint, whole=self._place.form == "parquet")

    def _open_watch(self, stack: ExitStack, reader: Reader) -> Watch:
        total = self._place.source.stat().st_size if self._place.source else None
        display = Display(reader.total if isinstance(reader, ParquetReader) else total, quiet=self._options.quiet)
        stack.callback(display.clear)
        rows, failed = self._before.rows, self._before.failed
        display.begin(self._before.read.offset, rows)

        def watch(found: Sequence[Row], told: Sequence[Told], after: Position) -> None:
            nonlocal rows, failed
            for row, one in zip(found, told, strict=True):
                if one.error is not None:
                    self._tell_bad(display, f"{reader.unit} {row.line}", one.error)
                    failed += 1
            rows += len(found)
            display.show(after.offset, rows, failed)

        return watch

    def _tell_bad(self, display: Display, where: str, why: str) -> None:
        self._bad += 1
        if self._bad <= _SHOWN:
            display.tell(f"{self._name}, {where}: {why}")
        elif self._bad == _SHOWN + 1:
            display.tell("more bad rows are told in the results alone")

    def _explain(self, error: FileError, rows: int) -> FileError:
        """As a line that says which file, what of it is done, and how to go on."""
        why = f"{self._name}{', ' if error.line else ': '}{error}{f' ({error.hint})' if error.hint else ''}"
        if rows and self._place.target:
            why += f"; {rows:,} rows before it are in {self._place.spool}"
            if self._place.form == "parquet":  # whose offsets all stand at its end: mended, it is another file
                why += ": mend the file and add --force, which begins anew"
            elif self._place.journal:
                why += ": mend the file and add --resume"
        elif rows:
            why += f"; {rows:,} rows before it have been written"
        return FileError(why)

    def _hint(self) -> str:
        if self._place.journal:
            return advise_to_go_on(forced=self._options.force)
        return f"; they are in {self._place.spool}" if self._place.is_begun() else ""

    def _tell(self, manifest: Manifest, tally: Tally) -> int:
        seconds = time.monotonic() - self._started
        if self._options.json:
            told = {
                "task": manifest.task,
                "model": manifest.model,
                "output": str(self._place.target) if self._place.target else None,
                "rows": tally.rows,
                "failed": tally.failed,
                "labels": dict(tally.labels),
                "rows_before": self._before.rows,
                "seconds": round(seconds, 3),
            }
            print(json.dumps(told), file=sys.stdout if self._place.target else sys.stderr)
        elif not self._options.quiet:
            bad = f", {tally.failed:,} of them bad" if tally.failed else ""
            speed = (tally.rows - self._before.rows) / max(seconds, 1e-9)
            print(f"{tally.rows:,} rows{bad}, {seconds:,.1f} s, {speed:,.0f} rows/s", file=sys.stderr)
        if tally.rows and tally.failed == tally.rows:
            print(f"sentopic: {self._name}: no row could be answered", file=sys.stderr)
            return 1
        return 0

    @contextmanager
    def _heed_signals(self) -> Iterator[Callable[[], bool]]:
        """Whether somebody has asked to end. Once, and what has been read is done; twice, and it is not."""
        asked = False

        def ask(number: int, _: object) -> None:
            nonlocal asked
            asked = True
            signal.signal(number, signal.SIG_DFL)
            if self._input:
                self._input.end()

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield lambda: asked
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Input(FileSource):
    """Standard input, which ends once somebody has asked for it: what has not come yet may be long in coming."""

    def __init__(self) -> None:
        super().__init__(sys.stdin.fileno())
        self._is_ended = self._is_reading = False

    def end(self) -> None:
        """Of a signal's handler, so in the midst of anything: only reading is broken off."""
        self._is_ended = True
        if self._is_reading:
            raise EndedInputError

    def read(self, size: int) -> bytes:
        """Raises EndedInputError."""
        self._is_reading = True
        try:
            if self._is_ended:
                raise EndedInputError
            return super().read(size)
        finally:
            self._is_reading = False


class _Pipe:
    """Standard output."""

    def __init__(self) -> None:
        self._written = 0

    def append(self, data: bytes) -> int:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # `head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would say so when it ends
            raise SystemExit(128 + signal.SIGPIPE) from None
        except OSError as error:
            raise OutputError(f"standard output: {(error.strerror or str(error)).lower()}") from error
        self._written += len(data)
        return self._written


def advise_to_go_on(*, forced: bool) -> str:
    """How an interrupted command goes on: with the one that has begun anew, it would do so again."""
    return f"; the same command with --resume{' in place of --force' if forced else ''} goes on"


def find_bundle(settings: Settings, task: str, model: str | None) -> Bundle:
    """The task's bundle, verified; without `model`, the one that a service would choose. Raises UsageError."""
    directories = settings.bundle or find_bundles(settings.artifacts)
    found = [read_bundle(directory, trusted=settings.trusted_bundles) for directory in directories]
    fitting = sorted((one for one in found if one.manifest.task == task), key=lambda one: preference(one.manifest))
    if not fitting:
        tasks = ", ".join(sorted({one.manifest.task for one in found}))
        raise UsageError(f"there is no task {task!r}; tasks: {tasks}")
    for bundle in fitting:
        if model in {None, bundle.manifest.model}:
            return bundle
    models = ", ".join(one.manifest.model for one in fitting)
    raise UsageError(f"task {task} has no model {model!r}; models: {models}")
