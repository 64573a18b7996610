"""Arrays through a pipe: number, rows and columns, then the values, row by row, in this machine's order of bytes."""

import struct
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

_HEAD: Final = struct.Struct("=QII")
_TEXT: Final = 2**32 - 1
"""In the rows' place: what follows is no array, but a line that says why there is none."""


def write_frame(pipe: IO[bytes], number: int, what: NDArray[Any] | str) -> None:
    """An array of two dimensions and four bytes a value, or why there is none. Raises OSError."""
    if isinstance(what, str):
        data = what.encode()
        pipe.write(_HEAD.pack(number, _TEXT, len(data)) + data)
    else:
        pipe.write(_HEAD.pack(number, *what.shape))
        pipe.write(np.ascontiguousarray(what).data)
    pipe.flush()


def read_frame(pipe: IO[bytes], kind: type[np.generic]) -> tuple[int, Any] | None:
    """Its number, and the array or why there is none; None at the pipe's end."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    number, rows, columns = _HEAD.unpack(head)
    size = columns if rows == _TEXT else rows * columns * 4
    data = pipe.read(size)
    if len(data) < size:
        return None
    if rows == _TEXT:
        return number, data.decode()
    return number, np.frombuffer(data, kind).reshape(rows, columns)
