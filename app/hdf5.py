"""Reads the arrays of an HDF5 file as h5py writes it for Keras, and of no other: groups, and arrays in one piece.

The HDF5 library believes what a file says of itself: files of a few changed bytes crashed it or kept it busy for ever.
Here every structure is read once, and a second way to it is refused: no file takes longer than its size allows.
Source: HDF5 File Format Specification, version 3.0 (superblock 0, B-trees and object headers of version 1).
"""

import struct
from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_NOWHERE: Final = 2**64 - 1
_SUPERBLOCK: Final = struct.Struct("<8s8B2HL4Q")
_OBJECT: Final = struct.Struct("<BxHLL4x")
_MESSAGE: Final = struct.Struct("<HHB3x")
_TREE: Final = struct.Struct("<4sBBHQQ")
_TABLE: Final = struct.Struct("<4sBxH")
_ENTRY: Final = struct.Struct("<QQL4xQQ")
_HEAP: Final = struct.Struct("<4sB3xQQQ")
_CHILD: Final = struct.Struct("<Q8x")
_KEY_BYTES: Final = 8
_STRETCH: Final = struct.Struct("<QQ")
_SPACE: Final = struct.Struct("<3B5x")
_LAYOUT: Final = struct.Struct("<BBQQ")

_PADDING, _SHAPE, _TYPE, _FILL, _PLACING, _ATTRIBUTE, _MORE, _CHANGED, _MEMBERS = 0, 1, 3, 5, 8, 12, 16, 18, 17
_OF_GROUPS: Final = {_PADDING, _ATTRIBUTE, _MORE, _CHANGED, _MEMBERS}
_OF_ARRAYS: Final = {_PADDING, _SHAPE, _TYPE, _FILL, _PLACING, _MORE, _CHANGED}
"""Messages in an object's header. Keras reads arrays' attributes; that of plain weights has none."""
_GROUP, _LINK = 1, 2
"""What a group may know of a member beside its header: where its own members are, or that it stands elsewhere."""
_SHARED: Final = 2
"""Flag of a message that stands elsewhere."""
_MOST_MESSAGES: Final = 64
_UNFILLED: Final = bytes.fromhex("0202020100000000")
"""Room that nothing was written to holds nothing in particular."""

_TYPES: Final[dict[bytes, np.dtype[Any]]] = {
    bytes.fromhex("11201f000400000000002000170800177f000000"): np.dtype("<f4"),
    bytes.fromhex("100000000400000000002000"): np.dtype("<u4"),
    bytes.fromhex("100800000400000000002000"): np.dtype("<i4"),
    bytes.fromhex("100800000800000000004000"): np.dtype("<i8"),
}
"""What models have. Arrays of other types are bytes of the same size, `numpy.void`."""

_HALF: Final = 4, 16
"""Of what a table holds, and a node of a tree: what h5py writes if it is not asked for others."""
_MOST_NAME_BYTES: Final = 255
_MOST_DEPTH: Final = 16
_STRUCTURES_A_NODE: Final = 6
"""A group has a header, which may go on elsewhere, a tree, tables and a heap."""


class FormatError(ValueError):
    """What a file has that it need not have, in words for whoever made it."""


def read_arrays(content: bytes, max_nodes: int) -> dict[str, NDArray[Any]]:
    """Every array by its path, /group/.../name: views of `content`, and all together no more bytes.

    Raises FormatError for a file of another kind, or that is damaged; and for more than `max_nodes` groups and arrays.
    """
    try:
        return _Reader(content, max_nodes).read_arrays()
    except FormatError:
        raise
    except (struct.error, ValueError, KeyError, OverflowError) as error:  # of places beyond its end, mostly
        raise FormatError(f"its weights are damaged ({error})") from None


class _Reader:
    def __init__(self, content: bytes, max_nodes: int) -> None:
        self._content, self._max_nodes = content, max_nodes
        self._visited = set[int]()

    def read_arrays(self) -> dict[str, NDArray[Any]]:
        found = dict[str, NDArray[Any]]()
        nodes, room = 0, len(self._content)
        groups = [("", self._root())]
        while groups:
            place, group = groups.pop()
            for name, entry in self._members(place or "/", group):
                path = f"{place}/{name}"
                nodes += 1
                if nodes >= self._max_nodes or path.count("/") > _MOST_DEPTH:
                    raise FormatError(f"it holds more than {self._max_nodes} groups and arrays, or too deep ones")
                messages = self._messages(path, entry)
                if _MEMBERS in messages:
                    groups.append((path, messages[_MEMBERS]))
                else:
                    found[path] = self._array(path, messages)
                    room -= found[path].nbytes
                    if room < 0:
                        raise _unplain(path)
        return found

    def _root(self) -> bytes:
        """Where the members of the group are that holds all others."""
        head = _SUPERBLOCK.unpack_from(self._content)
        signature, versions, halves, (base, _, _, driver) = head[0], head[1:9], head[9:11], head[12:]
        if signature != b"\x89HDF\r\n\x1a\n" or versions != (0, 0, 0, 0, 0, 8, 8, 0) or halves != _HALF:
            raise FormatError("its weights are no HDF5 file of the first format (superblock 0), which h5py writes")
        if base or driver != _NOWHERE:
            raise FormatError("its weights do not begin where their file does, or stand in several")
        return self._messages("/", _SUPERBLOCK.size)[_MEMBERS]

    def _visit(self, place: int) -> None:
        if place in self._visited or len(self._visited) >= _STRUCTURES_A_NODE * self._max_nodes:
            raise FormatError("one part of it stands in two places, or it has too many")
        self._visited.add(place)

    def _messages(self, path: str, entry: int) -> dict[int, bytes]:
        """What the header of an object says of it, by kinds. `entry`: where the group that holds it tells of it."""
        _, header, known, *group = _ENTRY.unpack_from(self._content, entry)
        if header == _NOWHERE or known == _LINK:
            raise FormatError(f"{path} is a link to somewhere else")
        messages = dict[int, bytes]()
        for kind, flags, data in self._header(path, header):
            if kind not in _OF_GROUPS | _OF_ARRAYS:
                raise _unplain(path)
            if flags & _SHARED or (kind in messages and kind not in (_PADDING, _ATTRIBUTE, _MORE)):
                raise FormatError(f"{path} is told of twice")
            messages[kind] = data
        if not messages.keys() <= (_OF_ARRAYS if _SHAPE in messages else _OF_GROUPS):
            raise _unplain(path)
        if known == _GROUP and messages.get(_MEMBERS) != _STRETCH.pack(*group):
            raise FormatError(f"{path} is told of twice")
        return messages

    def _header(self, path: str, header: int) -> Iterator[tuple[int, int, bytes]]:
        """Kind, flags and data of each message."""
        self._visit(header)
        version, count, _, length = _OBJECT.unpack_from(self._content, header)
        if version != 1 or count > _MOST_MESSAGES:
            raise FormatError(f"{path} is no object of the first format")
        stretches = [(header + _OBJECT.size, length)]
        for start, length in stretches:
            place, end = start, start + length
            while place + _MESSAGE.size <= end:
                kind, size, flags = _MESSAGE.unpack_from(self._content, place)
                place += _MESSAGE.size + size
                data = self._content[place - size : place]
                count -= 1
                if count < 0 or place > end or len(data) < size:
                    raise FormatError(f"{path} is damaged")
                if kind == _MORE:
                    elsewhere, more = _STRETCH.unpack(data)
                    self._visit(elsewhere)
                    stretches.append((elsewhere, more))
                yield kind, flags, data
        if count:
            raise FormatError(f"{path} is damaged")

    def _members(self, path: str, group: bytes) -> Iterator[tuple[str, int]]:
        """Names and entries, in the order of the names' bytes."""
        tree, heap = _STRETCH.unpack(group)
        self._visit(heap)
        signature, version, size, _, names = _HEAP.unpack_from(self._content, heap)
        if signature != b"HEAP" or version:
            raise FormatError(f"{path} has no names")
        last = b""
        for table in self._tables(path, tree):
            self._visit(table)
            signature, version, entries = _TABLE.unpack_from(self._content, table)
            if signature != b"SNOD" or version != 1 or entries > 2 * _HALF[0]:
                raise FormatError(f"{path} has no members")
            for entry in range(table + _TABLE.size, table + _TABLE.size + entries * _ENTRY.size, _ENTRY.size):
                at = _ENTRY.unpack_from(self._content, entry)[0]
                start, end = names + at, names + min(size, at + _MOST_NAME_BYTES + 1)
                name = self._content[start : self._content.index(b"\0", start, end)]
                if name <= last or name == b"." or b"/" in name:  # to the library, "." is no step of a path
                    raise FormatError(f"{path} has members of wrong names")
                last = name
                yield name.decode("ascii"), entry

    def _tables(self, path: str, tree: int) -> Iterator[int]:
        """A group's tables of members, from the first to the last."""
        nodes: list[tuple[int, int | None]] = [(tree, None)]
        while nodes:
            node, expected = nodes.pop()
            self._visit(node)
            signature, kind, level, used, _, _ = _TREE.unpack_from(self._content, node)
            if signature != b"TREE" or kind or used > 2 * _HALF[1] or expected not in (None, level):
                raise FormatError(f"{path} has no members")
            first = node + _TREE.size + _KEY_BYTES
            children = [_CHILD.unpack_from(self._content, first + n * _CHILD.size)[0] for n in range(used)]
            if level:
                nodes += [(child, level - 1) for child in reversed(children)]
            else:
                yield from children

    def _array(self, path: str, messages: dict[int, bytes]) -> NDArray[Any]:
        version, rank, _ = _SPACE.unpack_from(messages[_SHAPE])
        shape = struct.unpack_from(f"<{rank}Q", messages[_SHAPE], _SPACE.size)
        size = int.from_bytes(messages[_TYPE][4:8], "little")
        layout, kind, start, there = _LAYOUT.unpack_from(messages[_PLACING].ljust(_LAYOUT.size, b"\0"))
        in_one_piece = (version, layout, kind) == (1, 3, 1) and start + there <= len(self._content)
        if not in_one_piece or not prod(shape) * size == there > 0 or messages.get(_FILL) not in (_UNFILLED, None):
            raise _unplain(path)
        known = (_TYPES.get(messages[_TYPE][:length]) for length in (20, 12))
        type_ = next(filter(None, known), np.dtype(f"V{size}"))
        return np.ndarray(shape, type_, self._content, start)


def _unplain(path: str) -> FormatError:
    return FormatError(f"{path} is not plain data of a sane size, or holds a link to somewhere else")
