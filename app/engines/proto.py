"""Writes ONNX' protocol buffers: the few messages and fields that a compiled model needs.

The `onnx` package would do it too, for 13 MB and a tenth of a second more at every start; tests check with it what is
written here. Numbers of fields and types are those of `onnx.proto3` (https://github.com/onnx/onnx).
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FLOAT: Final = 1
INT8: Final = 3
INT32: Final = 6
INT64: Final = 7
_TYPES: Final = {np.dtype(np.float32): FLOAT, np.dtype(np.int8): INT8, np.dtype(np.int64): INT64}

_ATTRIBUTE_TYPES: Final = {float: 1, int: 2, str: 3}
_LISTS: Final = 5
"""A list of values has the type of one value and this much."""
_EXTERNAL: Final = 1


def model(content: bytes, ir_version: int, opsets: dict[str, int]) -> bytes:
    """ModelProto; `opsets`: the version of each domain's operators."""
    return _message((1, ir_version), (7, content), *((8, _message((1, name), (2, n))) for name, n in opsets.items()))


def graph(
    name: str,
    nodes: Iterable[bytes],
    initializers: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
) -> bytes:
    """GraphProto."""
    parts = ((1, nodes), (2, [name]), (5, initializers), (11, inputs), (12, outputs))
    return _message(*((number, value) for number, values in parts for value in values))


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str, attributes: dict[str, Any]
) -> bytes:
    """NodeProto. An input or output without a name is one left out."""
    return _message(
        *((1, name) for name in inputs),
        *((2, name) for name in outputs),
        (4, operator),
        *((5, _attribute(name, value)) for name, value in attributes.items()),
        (7, domain),
    )


def tensor(name: str, value: NDArray[Any]) -> bytes:
    """TensorProto with its values."""
    return _tensor(name, value, (9, value.tobytes()))


def external_tensor(name: str, value: NDArray[Any]) -> bytes:
    """TensorProto whose values the runtime is handed beside the graph."""
    return _tensor(name, value, (13, _message((1, "location"), (2, "memory"))), (14, _EXTERNAL))


def value_info(name: str, element: int, shape: Sequence[int | str]) -> bytes:
    """ValueInfoProto: an input or output of the graph; a dimension with a name may have any size."""
    dimensions = ((1, _message((2 if isinstance(size, str) else 1, size))) for size in shape)
    return _message((1, name), (2, _message((1, _message((1, element), (2, _message(*dimensions)))))))


def _tensor(name: str, value: NDArray[Any], *values: tuple[int, int | bytes]) -> bytes:
    return _message(*((1, size) for size in value.shape), (2, _TYPES[value.dtype]), (8, name), *values)


def _attribute(name: str, value: Any) -> bytes:
    several = isinstance(value, list)
    kind = _ATTRIBUTE_TYPES[type(value[0] if several else value)]
    number = {1: 7, 2: 8, 3: 9}[kind] if several else {1: 2, 2: 3, 3: 4}[kind]
    return _message(
        (1, name), *((number, one) for one in (value if several else [value])), (20, kind + _LISTS * several)
    )


def _message(*fields: tuple[int, int | float | str | bytes]) -> bytes:
    """Fields by their numbers: integers as varints, floats in four bytes, the rest with its length before it."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, float):
            out += _varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += _varint(number << 3) + _varint(value & (1 << 64) - 1)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
