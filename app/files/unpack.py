"""Batches of a Parquet file's rows, unpacked by a process of its own, so that a bomb does not go off in this one."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from app.errors import FileError
from app.files import unpacker
from app.files.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    import pyarrow

_BATCH_ROWS: Final = (1_024, 32, 1)
"""Fewer at once where there was no memory for more."""

_MOST_TOLD_BYTES: Final = 2**24
"""Of a schema: ten thousand columns take a tenth."""

_ENVIRONMENT: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others take more from the system than they need
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
}


def unpack(
    file: BinaryIO,
    start: int = 0,
    end: int = sys.maxsize,
    *,
    columns: Sequence[str] = (),
    max_row_bytes: int = MAX_LINE_BYTES,
) -> "Generator[pyarrow.RecordBatch, None, None]":
    """From the row `start` to the row before `end`; row groups that have none of these need not even be there.

    `file`: opened; nobody else may read it meanwhile. Without `columns`, all.

    Raises FileError, with the row, once the rows before it have been given.
    """
    sizes = iter(_BATCH_ROWS)
    rows = next(sizes)
    while True:
        process = _start(file, (start, end, rows, max_row_bytes), columns)
        try:
            for batch in _receive(process):
                start += batch.num_rows
                yield batch
            how = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr] # it is a pipe
        if how == 0:
            return
        if how in {unpacker.BROKEN, unpacker.TOO_LONG}:
            broken = how == unpacker.BROKEN
            why = "the file is broken here" if broken else f"it is longer than {max_row_bytes} bytes"
            raise FileError(why, start + 1, unit="row")
        rows = next(sizes, 0)  # there was no memory, or it was ended by what it could not take
        if not rows:
            raise FileError("it takes too much memory to unpack, or the file is broken here", start + 1, unit="row")


def describe(file: BinaryIO) -> "tuple[pyarrow.Schema, int]":
    """A Parquet file's schema and number of rows, as its footer has them. Raises FileError."""
    import pyarrow
    import pyarrow.ipc

    with _start(file, (), ()) as process:
        told = process.stdout.read(_MOST_TOLD_BYTES)  # type: ignore[union-attr] # it is a pipe
        if len(told) == _MOST_TOLD_BYTES:
            process.kill()
    if process.returncode not in {0, unpacker.BROKEN}:
        raise FileError("what it lists takes too much memory to read")
    try:
        return pyarrow.ipc.read_schema(pyarrow.BufferReader(told[8:])), int.from_bytes(told[:8], "little")
    except (pyarrow.ArrowException, OSError) as error:
        raise FileError("it is not Parquet, or not all of it") from error


def _start(file: BinaryIO, numbers: Sequence[int], columns: Sequence[str]) -> "subprocess.Popen[bytes]":
    program = str(Path(unpacker.__file__).resolve())
    return subprocess.Popen(  # noqa: S603 - our own program, and numbers
        [sys.executable, "-P", program, *map(str, numbers), *columns],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,  # Ctrl-C is not for it: rows that have been read are to be answered yet
    )


def _receive(process: "subprocess.Popen[bytes]") -> Iterator[Any]:
    """Until it has said all or ends; its exit status says which."""
    import pyarrow
    import pyarrow.ipc

    try:
        yield from pyarrow.ipc.open_stream(process.stdout)
    except (pyarrow.ArrowException, OSError):  # it ended in the middle of a batch, or had none
        return
