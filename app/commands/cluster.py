"""A run of `sentopic classify --cluster`: how it begins, what it says meanwhile, and how it ends."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from app.bulk import Tally
from app.bundle import Bundle
from app.cluster.child import Child
from app.cluster.run import Run
from app.commands.classification import INTERRUPTED, advise_to_go_on, find_bundle
from app.engines.open import choose
from app.errors import ClusterError, FileError, OutputError, UsageError
from app.files.open import tell_format
from app.progress import Display
from app.settings import Settings, load_settings

_SHOWN: Final = 10
"""Bad rows that are told one by one; the others stand in the results alone."""


def run(options: argparse.Namespace) -> int:
    """Exit status: 0 done, 1 failed, 130 interrupted. Raises UsageError and others."""
    _refuse(options)
    return _Cluster(options).go()


def _refuse(options: argparse.Namespace) -> None:
    if options.output == "-" or options.file == "-":
        raise UsageError("on a cluster, texts come from files and results go to a directory: --output DIR")
    if options.cluster.startswith("ray://"):
        raise UsageError(
            "Ray Data does not work through ray://: run this on a machine of the cluster, and name HOST:PORT"
        )
    named = {options.format, options.output_format, *map(tell_format, (options.file, options.output))}
    if named - {None, "parquet"}:
        raise UsageError(
            "on a cluster, files are Parquet: only there can rows be found without reading all before them"
        )
    if "://" not in options.output and Path(options.output).is_file():
        raise UsageError(f"{options.output} is a file: results are a directory of files")


class _Cluster:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._settings: Settings = load_settings(
            artifacts=options.artifacts, bundle=options.bundle, engine=options.engine
        )
        self._started = time.monotonic()
        self._bad = 0
        self._begun = False

    def go(self) -> int:
        options = self._options
        bundle = find_bundle(self._settings, options.task, options.model)
        engine = choose(self._settings.engine)
        work = Run(options.file, options.output, options.text)
        about = {
            "bundle": bundle.manifest.sha256,
            "engine": f"{engine} {self._settings.engine_precision}",
            "max_text_chars": self._settings.max_text_chars,
        }
        left = work.open(about, options.part_rows, resume=options.resume, force=options.force)
        before = work.tally()
        broken = []
        if left:
            with self._heed_signals():
                try:
                    broken = self._work(work, self._request(work, bundle, engine, left), before)
                except (ClusterError, OutputError) as error:
                    raise type(error)(f"{error}{self._advice}") from error
                except KeyboardInterrupt:
                    print(f"sentopic: interrupted{self._advice}", file=sys.stderr)
                    return INTERRUPTED
        elif not work.is_complete:
            work.begin()
        if broken:
            more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
            raise FileError(f"{broken[0]}{more}: all else is in {work.target.name}; mend it and add --resume")
        return self._tell(bundle, work, work.finish(), before)

    @property
    def _advice(self) -> str:
        return advise_to_go_on(forced=self._options.force) if self._begun else ""

    def _request(self, work: Run, bundle: Bundle, engine: str, left: list[Any]) -> dict[str, Any]:
        assert work.plan is not None  # noqa: S101 - it is opened
        errand = {"run": work.plan.run, "source": work.source.url, "target": work.target.url, "text": work.text}
        for name in ("source", "target"):  # machines have other working directories
            if "://" not in errand[name]:
                errand[name] = str(Path(errand[name]).absolute())
        return {
            "address": self._options.cluster,
            "engines": self._options.engines,
            "bundle": str(bundle.directory),
            "seal": bundle.manifest.sha256,
            "engine": engine,
            "options": asdict(self._settings.engine_options),
            "max_text_chars": self._settings.max_text_chars,
            "errand": errand,
            "parts": work.requests(left),
        }

    def _work(self, work: Run, request: dict[str, Any], before: Tally) -> list[str]:
        """What could not be read. Raises ClusterError, UsageError."""
        total = sum(one.rows for one in work.inputs)
        display = Display(total, quiet=self._options.quiet)
        display.begin(before.rows, before.rows)
        rows, failed, broken = before.rows, before.failed, list[str]()
        child = Child("app.cluster.driver")
        try:
            _say(child, request)
            while line := child.stdout.readline():
                told = json.loads(line)
                if "ready" in told:
                    work.begin()
                    self._begun = True
                    _say(child, {"begin": work.target.name})
                    continue
                if "end" in told:
                    return broken
                if "fault" in told:
                    raise UsageError(told["fault"]) if told.get("usage") else ClusterError(told["fault"])
                if "broken" in told:
                    broken.append(told["broken"])
                    continue
                rows, failed = rows + told["receipt"]["rows"], failed + told["receipt"]["failed"]
                self._tell_bad(display, work.inputs[told["place"]].path, told)
                display.show(rows, rows, failed)
            raise child.explain()
        finally:
            display.clear()
            child.close()

    def _tell_bad(self, display: Display, path: str, told: dict[str, Any]) -> None:
        for row, why in told["bad"][: max(0, _SHOWN - self._bad)]:
            display.tell(f"{path}, row {row}: {why}")
        if self._bad <= _SHOWN < self._bad + told["receipt"]["failed"]:
            display.tell("more bad rows are told in the results alone")
        self._bad += told["receipt"]["failed"]

    def _tell(self, bundle: Bundle, work: Run, tally: Tally, before: Tally) -> int:
        seconds = time.monotonic() - self._started
        if self._options.json:
            told = {
                "task": bundle.manifest.task,
                "model": bundle.manifest.model,
                "output": work.target.name,
                "rows": tally.rows,
                "failed": tally.failed,
                "labels": dict(tally.labels),
                "rows_before": before.rows,
                "seconds": round(seconds, 3),
            }
            print(json.dumps(told))
        elif not self._options.quiet:
            bad = f", {tally.failed:,} of them bad" if tally.failed else ""
            speed = (tally.rows - before.rows) / max(seconds, 1e-9)
            print(f"{tally.rows:,} rows{bad}, {seconds:,.1f} s, {speed:,.0f} rows/s", file=sys.stderr)
        if tally.rows and tally.failed == tally.rows:
            print(f"sentopic: {work.source.name}: no row could be answered", file=sys.stderr)
            return 1
        return 0

    @contextmanager
    def _heed_signals(self) -> Iterator[None]:
        """`SIGTERM` ends it as Ctrl-C does: what machines have begun and not put in its place is done anew later."""
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def _say(child: Child, line: dict[str, Any]) -> None:
    """Raises ClusterError if it has ended."""
    try:
        child.stdin.write(json.dumps(line).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        raise child.explain() from None
