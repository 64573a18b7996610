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

_ENVIRONMENT: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others take more from the system than they need
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
}


def unpack(
    file: BinaryIO, start: int = 0, *, columns: Sequence[str] = (), max_row_bytes: int = MAX_LINE_BYTES
) -> "Generator[pyarrow.RecordBatch, None, None]":
    """From the row `start` on. `file`: opened; nobody else may read it meanwhile. Without `columns`, all.

    Raises FileError, with the row, once the rows before it have been given.
    """
    sizes = iter(_BATCH_ROWS)
    rows = next(sizes)
    while True:
        process = _start(file, start, rows, columns, max_row_bytes)
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


def _start(
    file: BinaryIO, start: int, rows: int, columns: Sequence[str], max_row_bytes: int
) -> "subprocess.Popen[bytes]":
    program = str(Path(unpacker.__file__).resolve())
    return subprocess.Popen(  # noqa: S603 - our own program, and numbers
        [sys.executable, "-P", program, str(start), str(rows), str(max_row_bytes), *columns],
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
