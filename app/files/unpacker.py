"""A program: unpacks a Parquet file (standard input) into an Arrow stream (standard output), within bounds.

Without arguments, it only tells what the footer says: that can be a bomb, too.

Run by its path, so that it imports pyarrow and nothing of the service. A file of some hundred bytes can ask for any
memory whatever (runs, dictionaries, pages that were compressed), and nothing in it says so truly: the system says no.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

TOO_LARGE, BROKEN, TOO_LONG = 3, 4, 5
"""How it exits: there is no memory for so many rows at once; the file is broken; the next row is too long."""

_PIECE_BYTES: Final = 4_000_000
_MOST_BYTES: Final = 2**26
"""Of a row with the dictionaries of its columns, which are other rows' too."""

_BUFFER_BYTES: Final = 2**20
_BASE_BYTES: Final = 2**27
_COLUMN_BYTES: Final = 4 * _BUFFER_BYTES
"""A buffer of the file, a page of it and its values."""

_ALL_COLUMNS_BYTES: Final = 3 * 2**27

_FOOTER_BYTES: Final = 2**28
"""What a footer lists takes a hundred times its size: 20,000 columns of row groups some 60 MB."""

_MOST_LISTED: Final = 100_000
"""Columns, row groups and so on, of each kind."""


def size_of(batch: Any) -> int:
    """Bytes of its rows, each with its own of what a dictionary holds once."""
    import pyarrow.compute

    size = 0
    for column in batch.columns:
        if not isinstance(column, pyarrow.DictionaryArray):
            size += column.nbytes
            continue
        size += column.indices.nbytes
        try:
            lengths = pyarrow.compute.binary_length(column.dictionary)
        except pyarrow.ArrowNotImplementedError:  # numbers and the like
            continue
        size += pyarrow.compute.sum(pyarrow.compute.cast(lengths, "int64").take(column.indices)).as_py() or 0
    return size


def _unpack(start: int, end: int, rows: int, most: int, columns: list[str] | None) -> int:
    """How it exits, with the rows before that written. `most`: bytes of a row."""
    import pyarrow.parquet

    with open(0, "rb", closefd=False) as source, open(1, "wb", closefd=False) as target:
        try:
            # Buffered: else a row group's column is read at once, which may be all of a file.
            _bound(_FOOTER_BYTES)
            parquet = pyarrow.parquet.ParquetFile(
                source, buffer_size=_BUFFER_BYTES, thrift_container_size_limit=_MOST_LISTED
            )
            _bound(min(parquet.metadata.num_columns * _COLUMN_BYTES, _ALL_COLUMNS_BYTES))
            stream = None
            for batch in _read(parquet, start, end, rows, columns):
                stream = stream or pyarrow.ipc.new_stream(target, batch.schema)
                for piece in _split(batch, most):
                    if piece is None:
                        return TOO_LONG
                    stream.write_batch(piece)
            if stream:
                stream.close()
        except MemoryError:  # pyarrow's, too
            return TOO_LARGE
        except BrokenPipeError:
            return 0
        except (pyarrow.ArrowException, OSError):
            return BROKEN
    return 0


def _read(parquet: Any, start: int, end: int, rows: int, columns: list[str] | None) -> Iterator[Any]:
    """From the row `start` to the row before `end`; row groups before and behind are not read."""
    groups, left, first = list[int](), end - start, 0
    for number in range(parquet.num_row_groups):
        size = parquet.metadata.row_group(number).num_rows
        if first < end and first + size > start:
            groups.append(number)
        elif not groups:
            start, end = start - size, end - size
            continue
        first += size
    for batch in parquet.iter_batches(rows, groups, columns, use_threads=False) if groups else ():
        if start < batch.num_rows and left > 0:
            piece = batch.slice(start, left)
            left -= piece.num_rows
            yield piece
        start = max(0, start - batch.num_rows)


def _split(batch: Any, most: int) -> Iterator[Any]:
    """Halves of halves, until each is small enough or one row; None for one that is too long, and no more."""
    waiting = [batch]
    while waiting:
        piece = waiting.pop()
        size, half = size_of(piece), piece.num_rows // 2
        if half and size > min(_PIECE_BYTES, most):
            waiting += [piece.slice(half), piece.slice(0, half)]
        elif half == 0 and piece.num_rows and (size > most or piece.nbytes > _MOST_BYTES):
            yield None
            return
        else:
            yield piece


def _tell() -> int:
    """How it exits, with the number of rows (8 bytes) and the schema written."""
    import pyarrow.parquet

    with open(0, "rb", closefd=False) as source, open(1, "wb", closefd=False) as target:
        _bound(_FOOTER_BYTES)
        try:
            parquet = pyarrow.parquet.ParquetFile(source, thrift_container_size_limit=_MOST_LISTED)
            target.write(parquet.metadata.num_rows.to_bytes(8, "little"))
            target.write(parquet.schema_arrow.serialize())
        except MemoryError:
            return TOO_LARGE
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError):
            return BROKEN
    return 0


def _bound(more: int) -> None:
    """From now on no more memory than a usual file may need, and `more`. Linux; elsewhere there is no bound."""
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
    except (ImportError, OSError):
        return
    held = int(status.split("VmData:")[1].split()[0]) * 1_024
    limit = held + _BASE_BYTES + more
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


if __name__ == "__main__":
    if not sys.argv[1:]:
        os._exit(_tell())
    begin, behind, count, longest, *names = sys.argv[1:]
    how = _unpack(int(begin), int(behind), int(count), int(longest), names or None)
    os._exit(how)  # as it is: what closes a stream that was broken off would write more
