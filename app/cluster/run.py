"""A run of `sentopic classify --cluster`, all but what Ray does: its plan, what is left, and whether all is there.

Nothing that a machine has told counts in the end: what is in the results' footers does.
"""

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from app.bulk import Tally
from app.cluster.clerk import read_receipt
from app.cluster.place import Copy, Place
from app.cluster.plan import PLAN, Input, Part, Plan, Receipt, choose_part_rows
from app.cluster.reasons import explain
from app.errors import ClusterError, FileError, OutputError, UsageError
from app.files.parquet import ParquetReader

_READERS: Final = 16
"""Footers that are read at once: most of the time an object store is waited for."""


class Run:
    """`source`, `target`: paths or URLs. `text`: the column that has the texts; None: see readers."""

    def __init__(self, source: str, target: str, text: str | None) -> None:
        """Raises UsageError, FileError, ClusterError or NoParquetError."""
        self.source, self.target = Place(source), Place(target)
        if self.target.holds(self.source) or self.source.holds(self.target):
            raise UsageError(f"{self.target.name} and {self.source.name} lie in each other")
        paths = self.source.list_parquet()
        with ThreadPoolExecutor(_READERS) as threads:
            found = list(threads.map(lambda path: self._survey(path, text), paths))
        self.inputs = tuple(one for one, _, _ in found)
        _, self.text, columns = found[0]
        if other := next((one.path for one, name, held in found if (name, held) != (self.text, columns)), None):
            raise UsageError(f"{other} has other columns than {paths[0]}: classify them one by one")
        self.plan: Plan | None = None
        self.done: dict[str, Receipt] = {}
        self._old: list[str] = []
        self._held: bytes | None = None
        """The plan that was there when it was looked what is left to do."""

    def open(self, about: dict[str, Any], part_rows: int | None, *, resume: bool, force: bool) -> list[Part]:
        """What is left to do, by a new plan or by the one there. Changes nothing. Raises UsageError or OutputError."""
        about = {**about, "text": self.text}
        self._held = held = self.target.read(PLAN)
        names = [name for name in self.target.list_names() if name.startswith("part-")]
        if names and not (force or (resume and held)):  # a plan alone has lost nothing; without one, they are no run's
            more = "--resume goes on, --force begins anew" if held else "--force writes over them"
            raise UsageError(f"results are in {self.target.name} already: {more}")
        if held and resume and not force:
            self.plan = Plan.from_json(held).renew(about, self.inputs)
            self._old = self._take_stock(self.plan, names)
        else:
            rows = part_rows or choose_part_rows(sum(one.rows for one in self.inputs))
            self.plan, self._old = Plan(secrets.token_hex(16), about, self.inputs, rows), names
        return [part for part in self.plan.parts() if part.name not in self.done]

    @property
    def is_complete(self) -> bool:
        """Whether a run has ended that left all of this."""
        return bool(self.plan and self.plan.complete)

    def begin(self) -> None:
        """Takes the target, and removes what is not this run's. Raises OutputError, ClusterError."""
        assert self.plan is not None  # noqa: S101 - it is opened
        if self.target.read(PLAN) != self._held:
            raise ClusterError(f"{self.target.name}: another run has begun there meanwhile; nothing was changed")
        self.target.make()
        self.target.write(PLAN, replace(self.plan, complete=False).to_json())  # from now on it is nobody else's
        for name in self._old:
            self.target.remove(name)

    def finish(self) -> Tally:
        """Raises ClusterError unless each part's result is there, once. Raises OutputError."""
        assert self.plan is not None  # noqa: S101 - it is opened
        names = self.target.list_names()
        strangers = self._take_stock(self.plan, [name for name in names if name.startswith("part-")])
        missing = [part.name for part in self.plan.parts() if part.name not in self.done]
        if missing or strangers:
            raise ClusterError(
                f"{self.target.name}: {len(missing)} results are missing, {len(strangers)} are another run's"
            )
        for name in filter(self.target.is_partial, names):
            self.target.remove(name)
        self.target.write(PLAN, replace(self.plan, complete=True).to_json())
        return self.tally()

    def tally(self) -> Tally:
        labels = Counter[str]()
        for one in self.done.values():
            labels.update(one.labels)
        return Tally(sum(one.rows for one in self.done.values()), sum(one.failed for one in self.done.values()), labels)

    def requests(self, left: list[Part]) -> list[dict[str, Any]]:
        """Parts as they travel."""
        return [{"part": asdict(part), "source": asdict(self.inputs[part.place])} for part in left]

    def _take_stock(self, plan: Plan, names: list[str]) -> list[str]:
        """Takes up the receipts of this run's results; the names of the others'."""
        parts = {part.name: part for part in plan.parts()}
        with ThreadPoolExecutor(_READERS) as threads:
            found = dict(zip(names, threads.map(lambda name: read_receipt(self.target, name), names), strict=True))
        self.done = {
            name: receipt
            for name, receipt in found.items()
            if receipt and name in parts and plan.is_done(parts[name], receipt)
        }
        return [name for name in names if name not in self.done]

    def _survey(self, path: str, text: str | None) -> tuple[Input, str, Any]:
        """The file, its column of texts, and all its columns."""
        try:
            with TemporaryDirectory(prefix="sentopic-") as folder:
                copy = Copy(self.source, path, Path(folder) / "footer.parquet")
                try:
                    reader = ParquetReader(copy.path, text)
                    reader.close()
                finally:
                    copy.close()
        except FileError as error:
            raise FileError(f"{path}: {error}{f' ({error.hint})' if error.hint else ''}") from error
        except OSError as error:
            raise OutputError(f"{path}: {explain(error)}") from error
        return (
            Input(path, reader.total, copy.footer.size, copy.footer.stamp),
            reader.text,
            reader.schema.remove_metadata(),
        )
