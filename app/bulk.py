"""Rows in, answers out, a chunk at a time: all of it but reading files, the engine's part and where results go.

Knows no queue, no event loop and no HTTP: the command line, streams and jobs have each their own way to an engine.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from app.answers import Answer, Interpreter
from app.engines.base import Probabilities
from app.errors import FileError, InvalidRowError, RequestError, TextTooLongError
from app.files.lines import Position
from app.files.rows import Reader, Row, Told
from app.text import Encoded, Ids

_NO_IDS: Final = np.empty((0, 1), np.int32)


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """A chunk ends with the row that reaches one of these. `bytes`: of the file; in Parquet, of rows in memory."""

    rows: int = 2_048
    windows: int = 4_096
    bytes: int = 4_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that are answered together. `ids`: the windows (n, maxlen) of those that need the engine, in their order.

    `texts`: each row's text as the model reads it, or why it cannot.
    """

    rows: list[Row]
    texts: list[Encoded | RequestError]
    ids: Ids
    after: Position


@dataclass(slots=True)
class Tally:
    """What has been done: rows, those of them that failed, and answers by label."""

    rows: int = 0
    failed: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, told: list[Told]) -> None:
        self.rows += len(told)
        self.labels.update(one.label for one in told if one.label is not None)
        self.failed += sum(one.error is not None for one in told)


class Bulk:
    """A file's rows for one bundle."""

    def __init__(self, reader: Reader, interpreter: Interpreter, size: ChunkSize = ChunkSize()) -> None:
        self._reader, self._interpreter, self._size = reader, interpreter, size
        self._rows = iter(reader)
        self._error: FileError | None = None
        self._names = [label.name for label in interpreter.manifest.labels]

    def __iter__(self) -> Iterator[Chunk]:
        """Raises FileError once all rows before the fault have been given."""
        while chunk := self.read():
            yield chunk

    def read(self) -> Chunk | None:
        """The next rows, sooner than a chunk is full if the following ones are long in coming; None at the end."""
        if self._error:
            raise self._error
        rows: list[Row] = []
        texts: list[Encoded | RequestError] = []
        windows = chars = 0
        start = self._reader.bytes_read
        try:
            for row in self._rows:
                found = self._encode(row)
                rows.append(row)
                texts.append(found)
                windows += 0 if isinstance(found, RequestError) else len(found.windows)
                chars += len(row.text)
                size = max(chars, self._reader.bytes_read - start)
                if len(rows) >= self._size.rows or windows >= self._size.windows or size >= self._size.bytes:
                    break
                if self._reader.is_idle():
                    break
        except FileError as error:
            if not rows:
                raise
            self._error = error
        if not rows:
            return None
        needed = [text.windows for text in texts if isinstance(text, Encoded) and text.known]
        ids = np.concatenate(needed) if needed else _NO_IDS
        return Chunk(rows, texts, ids, self._reader.position)

    def answer(self, chunk: Chunk, probabilities: Probabilities) -> list[Answer | RequestError]:
        """`probabilities` (n, labels): what the engine makes of the chunk's ids."""
        answers: list[Answer | RequestError] = []
        start = 0
        for text in chunk.texts:
            if isinstance(text, RequestError):
                answers.append(text)
            elif not text.known:
                answers.append(self._interpreter.answer(text))
            else:
                end = start + len(text.windows)
                answers.append(self._interpreter.answer(text, probabilities[start:end]))
                start = end
        return answers

    def tell(self, answers: list[Answer | RequestError]) -> list[Told]:
        return [self._tell(answer) for answer in answers]

    def _tell(self, answer: Answer | RequestError) -> Told:
        if isinstance(answer, RequestError):
            return Told(None, None, None, (), str(answer))
        label = self._names[answer.ranking[0]]
        return Told(label, round(answer.confidence, 6), answer.uncertain, answer.warnings, None)

    def _encode(self, row: Row) -> Encoded | RequestError:
        if row.error:
            return InvalidRowError(row.error)
        try:
            return self._interpreter.encode(row.text)
        except TextTooLongError as error:
            return error.with_traceback(None)  # which would hold the rows until Python looks for cycles
