"""HDF5 files are read as h5py reads them, or refused: none crashes the reader or keeps it for long."""

import io
import random
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import hdf5
from app.settings import SHIPPED

MOST_NODES = 1_000

names = st.text(st.characters(codec="ascii", exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda n: n != "."
)
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
types = st.sampled_from(["<f4", "<u4", "<i4", "<i8"])
arrays = st.builds(lambda shape, kind: np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape), shapes, types)
trees: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(names, arrays, max_size=12), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=8
)


def write(tree: dict[str, Any]) -> bytes:
    def fill(group: h5py.Group, tree: dict[str, Any]) -> None:
        for name, node in tree.items():
            if isinstance(node, dict):
                fill(group.create_group(name), node)
            else:
                group[name] = node

    return change(lambda file: fill(file, tree))


def change(edit: Callable[[h5py.File], None], content: bytes = b"") -> bytes:
    store = io.BytesIO(content)
    with h5py.File(store, "r+" if content else "w") as file:
        edit(file)
    return store.getvalue()


def flatten(tree: dict[str, Any], place: str = "") -> dict[str, Any]:
    found = dict[str, Any]()
    for name, node in tree.items():
        found |= flatten(node, f"{place}/{name}") if isinstance(node, dict) else {f"{place}/{name}": node}
    return found


def small() -> bytes:
    return write({"layers": {f"dense_{n}": {"vars": {"0": np.ones((2, 3), np.float32)}} for n in range(20)}})


def refuse(content: bytes | bytearray, why: str) -> None:
    with pytest.raises(hdf5.FormatError, match=why):
        hdf5.read_arrays(bytes(content), MOST_NODES)


def find(content: bytes, signature: bytes) -> list[int]:
    return [place for place in range(len(content)) if content.startswith(signature, place)]


@given(trees)
def test_what_is_written_is_read(tree: dict[str, Any]) -> None:
    read, written = hdf5.read_arrays(write(tree), MOST_NODES), flatten(tree)
    assert read.keys() == written.keys()
    for place, array in written.items():
        assert read[place].dtype == array.dtype
        assert np.array_equal(read[place], array)


def test_group_of_more_members_than_one_node_of_a_tree_holds() -> None:
    tree = {"many": {f"array {number}": np.full(2, number, np.float32) for number in range(900)}}
    read = hdf5.read_arrays(write(tree), MOST_NODES)
    assert {place: array.tolist() for place, array in read.items()} == {
        f"/many/array {number}": [number, number] for number in range(900)
    }


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/*/model.keras")), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_shipped_weights_are_those_that_h5py_reads(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    seen = dict[str, Any]()
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(
            lambda name, node: seen.update({f"/{name}": node[()]}) if isinstance(node, h5py.Dataset) else None
        )
    read = hdf5.read_arrays(content, MOST_NODES)
    assert read.keys() == seen.keys()
    assert all(np.array_equal(read[place], array) and array.dtype == np.float32 for place, array in seen.items())


@pytest.mark.parametrize("kind", ["float64", "float16", ">f4", "S5", "bool"])
def test_array_of_another_type_is_bytes(kind: str) -> None:
    array = hdf5.read_arrays(write({"x": np.zeros(3, kind)}), MOST_NODES)["/x"]
    assert (array.dtype.kind, array.nbytes) == ("V", np.zeros(3, kind).nbytes)


def test_too_many_are_refused() -> None:
    content = small()
    assert len(hdf5.read_arrays(content, 100)) == 20
    with pytest.raises(hdf5.FormatError, match="more than 50"):
        hdf5.read_arrays(content, 50)


def test_groups_without_end_are_refused() -> None:
    refuse(change(lambda file: file.create_group("/".join("a" * 20))), "too deep")


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: file.create_dataset("x", (9, 9), "f4", chunks=(3, 3), data=np.ones((9, 9))),
        lambda file: file.create_dataset("x", (9,), "f4", compression="gzip", data=np.ones(9)),
        lambda file: file.create_dataset("x", (9,), "f4"),
        lambda file: file.create_dataset("x", (0, 9), "f4"),
        lambda file: file.create_dataset("x", data=h5py.Empty("f4")),
        lambda file: file.create_dataset("x", (9,), "f4", external=[("elsewhere", 0, 36)]),
        lambda file: file.create_dataset("x", data=np.ones(9, "f4"), fillvalue=3),
        lambda file: file.create_dataset("x", data=np.ones(9, "f4")).attrs.create("name", "x"),
        lambda file: file.update({"x": h5py.ExternalLink("elsewhere", "/x")}),
        lambda file: file.update({"x": h5py.SoftLink("/y")}),
        lambda file: file.update({"kind": np.dtype("f4")}),
        lambda file: file.update({"größe": np.ones(3, "f4")}),
    ],
    ids=["chunks", "compressed", "unwritten", "of no size", "null", "external", "filled", "with an attribute",
         "external link", "soft link", "type", "foreign letters"],
)  # fmt: skip
def test_what_weights_need_not_be_is_refused(edit: Callable[[h5py.File], None]) -> None:
    refuse(change(edit, small()), "is not plain data|link to somewhere else")


@pytest.mark.parametrize("name", [b".", b"a/b", b"", b"zzzzzzzz"])
def test_names_that_the_library_would_read_otherwise_are_refused(name: bytes) -> None:
    """It leaves "." out of a path, parts one at "/", and finds no member that is out of order."""
    content = small().replace(b"dense_11\0", name.ljust(9, b"\0"))
    refuse(content, "members of wrong names")


def test_type_that_stands_elsewhere_is_refused() -> None:
    def share(file: h5py.File) -> None:
        file["kind"] = np.dtype("f4")
        file.create_dataset("x", data=np.ones(3), dtype=file["kind"])
        del file["kind"]

    refuse(change(share), "told of twice")


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: file.update({"again": file["layers/dense_3/vars/0"]}),
        lambda file: file.update({"again": file["layers/dense_3"]}),
        lambda file: file["layers"].update({"again": file["layers"]}),
    ],
    ids=["array", "group", "group in itself"],
)
def test_what_has_two_names_is_refused(edit: Callable[[h5py.File], None]) -> None:
    refuse(change(edit, small()), "in two places")


def test_data_of_many_arrays_in_one_place_are_refused() -> None:
    content = write({f"x{number}": np.zeros(1_000, np.float32) for number in range(50)})
    small, large = struct.pack("<Q", 1_000), struct.pack("<Q", 10_000)
    first = min(
        place for place in find(content, struct.pack("<Q", 4_000)) if content[place - 10 : place - 8] == b"\3\1"
    )
    spoiled = bytearray(content.replace(small, large).replace(struct.pack("<Q", 4_000), struct.pack("<Q", 40_000)))
    for place in find(bytes(spoiled), struct.pack("<Q", 40_000)):
        if spoiled[place - 10 : place - 8] == b"\3\1":
            spoiled[place - 8 : place] = content[first - 8 : first]
    refuse(spoiled, "is not plain data of a sane size")


@pytest.mark.parametrize("newer", ["v108", "v110", "latest"])
def test_newer_formats_are_refused_by_name(newer: str) -> None:
    store = io.BytesIO()
    with h5py.File(store, "w", libver=(newer, "latest")) as file:
        file["x"] = np.ones(3)
    refuse(store.getvalue(), "no HDF5 file of the first format")


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"PK\3\4" * 100, bytes(1_000)])
def test_other_files_are_refused(content: bytes) -> None:
    refuse(content, "no HDF5 file|damaged")


# Trees that the library walks for ever, or until its stack is gone


def spoil_tree(content: bytearray, tree: int, level: int, children: list[int]) -> None:
    content[tree + 5] = level
    struct.pack_into("<H", content, tree + 6, len(children))
    for number, child in enumerate(children):
        struct.pack_into("<Q", content, tree + 32 + 16 * number, child)


def test_tree_whose_nodes_hold_themselves_is_refused() -> None:
    content = bytearray(small())
    for tree in find(bytes(content), b"TREE"):
        spoiled = bytearray(content)
        spoil_tree(spoiled, tree, 1, [tree, tree])
        refuse(spoiled, "has no members|in two places")


def test_tree_that_branches_without_end_is_refused() -> None:
    content = bytearray(small())
    trees = find(bytes(content), b"TREE")
    for level, (tree, below) in enumerate(pairwise(trees[1:8])):
        spoil_tree(content, tree, 6 - level, [below] * 32)
    refuse(content, "in two places")


def test_changed_bytes_are_read_or_refused() -> None:
    content, dice, read = small(), random.Random(1), 0
    for _ in range(3_000):
        spoiled = bytearray(content)
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(content))
            spoiled[place] = dice.choice([0, 1, 255, spoiled[place] ^ (1 << dice.randrange(8)), dice.randrange(256)])
        try:
            arrays = hdf5.read_arrays(bytes(spoiled), MOST_NODES)
        except hdf5.FormatError:
            continue
        read += 1
        assert sum(array.nbytes for array in arrays.values()) <= len(spoiled)
    assert 0 < read < 3_000
