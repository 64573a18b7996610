"""Files of rows for a cluster's tests, and a child that answers them here, without Ray."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from app.cluster.cargo import Desk
from app.cluster.clerk import Clerk, Errand
from app.cluster.plan import Input, Part
from app.errors import ClusterError, FileError
from app.synthetic import make_texts
from tests.jobs.scenes import opened


def write(path: Path, rows: int, first: int = 0, group: int = 16) -> Path:
    """With a row that has no text, if there are ten."""
    texts: list[str | None] = [*make_texts(opened()[0].words, rows, 12)]
    if rows >= 10:
        texts[9] = None
    table = pa.table({"id": pa.array(range(first, first + rows), pa.int32()), "text": pa.array(texts, pa.string())})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def read(directory: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(directory.glob("part-*")) for row in pq.read_table(path).to_pylist()]


def desk() -> Desk:
    _, interpreter, engine = opened()
    return Desk(interpreter, engine)


class Here:
    """Takes a child's place: answers parts one by one in this process, and ends where it is told to."""

    most = 10**9
    is_away = False
    asked: ClassVar[list[str]] = []

    def __init__(self, _: str) -> None:
        self.stdin, self._told = BytesIO(), self._answer()
        self.stdin.close = lambda: None  # type: ignore[method-assign]
        self.stdout = self

    def readline(self) -> bytes:
        return next(self._told, b"")

    def explain(self) -> ClusterError:
        return ClusterError("the cluster is lost")

    def close(self) -> None:
        self.stdin.truncate(0)

    def _answer(self) -> Iterator[bytes]:
        request = json.loads(self.stdin.getvalue())
        if self.is_away:
            return
        yield b'{"ready": true}'
        clerk = Clerk(Errand(**request["errand"]), desk())
        for one in request["parts"][: self.most]:
            part = Part(**one["part"])
            self.asked.append(part.name)
            try:
                receipt, bad = clerk.answer(part, Input(**one["source"]))
            except FileError as error:
                yield json.dumps({"broken": str(error)}).encode()
            else:
                yield json.dumps({"receipt": asdict(receipt), "place": part.place, "bad": bad}).encode()
        clerk.close()
        if len(request["parts"]) <= self.most:
            yield b'{"end": true}'
