"""Bundles that are spoilt on purpose. Each is sealed anew afterwards, unless it is about seals: hashes do not help."""

import base64
import hashlib
import io
import json
import marshal
import os
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"


class Draft:
    """A bundle in the making: a copy of a shipped one, and what it takes to spoil it and seal it again."""

    def __init__(self, original: Path, directory: Path, canaries: Path) -> None:
        self.directory, self.canaries = directory, canaries
        directory.mkdir(parents=True)
        self.manifest: dict[str, Any] = json.loads((original / "bundle.json").read_text("utf-8"))
        for name in ("model.keras", "words.txt", "metrics.json"):
            shutil.copy(original / name, directory / name)
        self.manifest["files"] = {name: {} for name in ("model.keras", "words.txt", "metrics.json")}
        self.model = directory / "model.keras"
        self.words = directory / "words.txt"
        self.ran = canaries.parent / "ran"
        """Exists if code of a bundle has been run."""

    @property
    def members(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.model) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def write_members(self, members: dict[str, bytes]) -> None:
        with zipfile.ZipFile(self.model, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    def add_member(self, member: str | zipfile.ZipInfo, data: bytes = b"x") -> None:
        with warnings.catch_warnings(), zipfile.ZipFile(self.model, "a") as archive:
            warnings.simplefilter("ignore")
            archive.writestr(member, data)

    def configure(self, change: Callable[[Any], None]) -> None:
        members = self.members
        config = json.loads(members["config.json"])
        change(config)
        self.write_members({**members, "config.json": json.dumps(config).encode()})

    def replace_layer(self, kind: str, config: dict[str, Any], place: str = "Dropout", **entry: Any) -> None:
        """Another layer in the place of one that does nothing, joined as that one was."""

        def change(model: Any) -> None:
            layer = next(layer for layer in model["config"]["layers"] if layer["class_name"] == place)
            layer.update(class_name=kind, config={"name": layer["name"], "dtype": "float32", **config}, **entry)

        self.configure(change)

    def set_option(self, place: str, **options: Any) -> None:
        def change(model: Any) -> None:
            layer = next(layer for layer in model["config"]["layers"] if layer["class_name"] == place)
            layer["config"].update(options)

        self.configure(change)

    def weigh(self, change: Callable[[h5py.File], None]) -> None:
        members = self.members
        store = io.BytesIO(members[WEIGHTS])
        with h5py.File(store, "r+") as file:
            change(file)
        self.write_members({**members, WEIGHTS: store.getvalue()})

    def seal(self) -> None:
        for name, seal in self.manifest["files"].items():
            if not seal:
                data = (self.directory / name).read_bytes()
                seal.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        self.manifest.pop("sha256", None)
        content = json.dumps(self.manifest, sort_keys=True, separators=(",", ":"))
        self.manifest["sha256"] = hashlib.sha256(content.encode()).hexdigest()
        self.write_manifest()

    def write_manifest(self) -> None:
        (self.directory / "bundle.json").write_text(json.dumps(self.manifest), "utf-8")


@dataclass(frozen=True)
class Case:
    """How a bundle is spoilt, the file that is to blame, and a part of the reason."""

    name: str
    spoil: Callable[[Draft], object]
    file: str
    why: str
    late: bool
    """Only an engine can tell: it has to run the model."""
    sealed_first: bool
    """Spoilt after it has been sealed."""


CASES: list[Case] = []


def hostile(
    file: str, why: str, *, late: bool = False, sealed_first: bool = False
) -> Callable[[Callable[[Draft], object]], Callable[[Draft], object]]:
    def register(spoil: Callable[[Draft], object]) -> Callable[[Draft], object]:
        CASES.append(Case(spoil.__name__, spoil, file, why, late, sealed_first))
        return spoil

    return register


# Code in the model's configuration


@hostile("model.keras", "it names keras.Sequential")
def model_inside_a_layer(draft: Draft) -> None:
    """Its layers would be counted and measured by nobody."""
    inner = {"module": "keras", "class_name": "Sequential", "config": {"name": "inner", "layers": []}}
    draft.replace_layer("TimeDistributed", {"layer": {**inner, "registered_name": None}})


def marshalled(code: str) -> dict[str, Any]:
    """A function as Keras writes it into a file."""
    function = eval(code)  # our own
    stored = base64.b64encode(marshal.dumps(function.__code__)).decode()
    return {"class_name": "__lambda__", "config": {"code": stored, "defaults": None, "closure": None}}


@hostile("model.keras", "layer Lambda is not on the list of trusted layers")
def lambda_layer(draft: Draft) -> None:
    code = f"lambda x: (open({str(draft.ran)!r}, 'w').close(), x)[1]"
    draft.replace_layer("Lambda", {"function": marshalled(code), "arguments": {}})


@hostile("model.keras", "not a part of a plain Keras model")
def marshalled_function_as_activation(draft: Draft) -> None:
    draft.set_option("Dense", activation=marshalled("lambda x: x"))


@hostile("model.keras", "it names os.function")
def function_of_another_module(draft: Draft) -> None:
    """CVE-2025-1550."""
    command = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    draft.set_option("Dense", activation=command)


@hostile("model.keras", "it names subprocess.Popen")
def class_of_another_module_among_a_layers_arguments(draft: Draft) -> None:
    """CVE-2025-1550, where arguments of calls are read."""

    def change(model: Any) -> None:
        config = {"args": [["touch", str(draft.ran)]]}
        popen = {"module": "subprocess", "class_name": "Popen", "config": config, "registered_name": None}
        model["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"] = {"training": popen}

    draft.configure(change)


@hostile("model.keras", "it names None.Dropout")
def layer_of_another_module(draft: Draft) -> None:
    draft.replace_layer("Dropout", {"rate": 0.5}, module=None, registered_name=None)


@hostile("model.keras", "which is not a part of a plain Keras model")
def registered_name_of_another_class(draft: Draft) -> None:
    draft.replace_layer("Dropout", {"rate": 0.5}, registered_name="builtins>eval")


@hostile("model.keras", "it names keras.utils.function")
def download_by_keras_itself(draft: Draft) -> None:
    """CVE-2025-8747: the function is one of Keras' own."""
    get_file = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}
    draft.set_option("Dense", activation=get_file)


@hostile("model.keras", "layer Lambda is not on the list of trusted layers")
def download_by_a_lambda_layer(draft: Draft) -> None:
    get_file = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}
    arguments = {"origin": "http://127.0.0.1:9/x", "extract": True, "cache_dir": str(draft.directory)}
    draft.replace_layer("Lambda", {"function": get_file, "arguments": arguments})


@hostile("model.keras", "layer TorchModuleWrapper is not on the list of trusted layers")
def pickled_torch_module(draft: Draft) -> None:
    draft.replace_layer("TorchModuleWrapper", {"module": base64.b64encode(b"cos\nsystem\n(S'id'\ntR.").decode()})


@hostile("model.keras", "layer TFSMLayer is not on the list of trusted layers")
def saved_model_elsewhere(draft: Draft) -> None:
    """CVE-2026-1462."""
    draft.replace_layer("TFSMLayer", {"filepath": str(draft.canaries), "call_endpoint": "serve"})


@hostile("model.keras", "layer StringLookup is not on the list of trusted layers")
def vocabulary_from_a_file(draft: Draft) -> None:
    """CVE-2025-12058."""
    draft.replace_layer("StringLookup", {"vocabulary": str(draft.canaries / "canary.txt")})


@hostile("model.keras", "layer TextVectorization is not on the list of trusted layers")
def vocabulary_from_a_server(draft: Draft) -> None:
    draft.replace_layer("TextVectorization", {"vocabulary": "http://127.0.0.1:9/words.txt"})


@hostile("model.keras", "layer StringLookup is not on the list of trusted layers")
def vocabulary_inside_another_layer(draft: Draft) -> None:
    config = {"name": "inner", "vocabulary": str(draft.canaries / "canary.txt")}
    inner = {"module": "keras.layers", "class_name": "StringLookup", "config": config, "registered_name": None}
    draft.replace_layer("TimeDistributed", {"layer": inner})


@hostile("model.keras", "RecursionError")
def deep_configuration(draft: Draft) -> None:
    draft.write_members({**draft.members, "config.json": b"[" * 100_000 + b"]" * 100_000})


@hostile("model.keras", "config.json is compressed or larger")
def large_configuration(draft: Draft) -> None:
    draft.write_members({**draft.members, "config.json": b" " * 2**21})


@hostile("model.keras", "declares units = 1000000000")
def huge_layer(draft: Draft) -> None:
    """Keras would make room for what is declared before it looks at the weights."""
    draft.set_option("GRU", units=10**9)


@hostile("model.keras", "declares input_dim = 1000000000000")
def huge_embedding(draft: Draft) -> None:
    draft.set_option("Embedding", input_dim=10**12)


@hostile("model.keras", "declares pool_size = 1000000000")
def pooling_of_more_than_there_is(draft: Draft) -> None:
    draft.replace_layer("MaxPooling1D", {"pool_size": 10**9, "strides": 1, "padding": "same"}, "SpatialDropout1D")


@hostile("model.keras", "takes a tensor by name")
def inputs_by_name(draft: Draft) -> None:
    def change(model: Any) -> None:
        node = model["config"]["layers"][-1]["inbound_nodes"][0]
        node["kwargs"] = {"inputs": node["args"].pop()}

    draft.configure(change)


def mask(tensor: Any, value: Any = 0, **more: Any) -> dict[str, Any]:
    """As Keras writes down in a functional model what `mask_zero` masks."""
    node = {"args": [tensor, value], "kwargs": {}}
    entry = {"module": "keras.src.ops.numpy", "class_name": "NotEqual", "registered_name": "NotEqual", "name": "mask"}
    return {**entry, "config": {"name": "mask"}, "inbound_nodes": [node], **more}


def rename(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {**entry, "name": name, "config": {"name": name}}


def put_mask(change: Callable[[list[Any], Any], dict[str, Any]], *, by: str = "mask") -> Callable[[Any], None]:
    """A mask behind the ids, as `change` makes it of the layers and the ids, for the recurrent layer to take."""

    def put(model: Any) -> None:
        layers = model["config"]["layers"]
        ids = next(layer for layer in layers if layer["class_name"] == "Embedding")["inbound_nodes"][0]["args"][0]
        gru = next(layer for layer in layers if layer["class_name"] == "GRU")
        layers.insert(2, change(layers, ids))
        gru["inbound_nodes"][0]["kwargs"][by] = name_tensor("mask")

    return put


def name_tensor(name: str) -> dict[str, Any]:
    config = {"shape": [None, 100], "dtype": "bool", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


@hostile("model.keras", "has another name too")
def layers_that_swap_names(draft: Draft) -> None:
    """Keras joins them by the names of their entries."""

    def change(model: Any) -> None:
        first, second = model["config"]["layers"][-2:]
        first["name"], second["name"] = second["name"], first["name"]

    draft.configure(change)


@hostile("model.keras", "two layers have one name")
def mask_by_the_name_of_a_layer(draft: Draft) -> None:
    draft.set_option("Embedding", mask_zero=True)
    draft.configure(put_mask(lambda layers, ids: rename(mask(ids), layers[1]["name"])))


@hostile("model.keras", "padding is masked, but not by its embeddings")
def mask_of_its_own(draft: Draft) -> None:
    draft.configure(put_mask(lambda _, ids: mask(ids)))


@hostile("model.keras", "something else than padding is masked")
def mask_of_a_word(draft: Draft) -> None:
    draft.configure(put_mask(lambda _, ids: mask(ids, 17)))


@hostile("model.keras", "something else than padding is masked")
def mask_of_numbers(draft: Draft) -> None:
    draft.configure(put_mask(lambda layers, _: mask(name_tensor(layers[1]["name"]))))


@hostile("model.keras", "takes a tensor by name")
def mask_by_another_name(draft: Draft) -> None:
    draft.set_option("Embedding", mask_zero=True)
    draft.configure(put_mask(lambda _, ids: mask(ids), by="initial_state"))


@hostile("model.keras", "it names os.system, which is not a part")
def class_within_a_mask(draft: Draft) -> None:
    foreign = {"module": "os", "class_name": "system"}
    draft.configure(put_mask(lambda _, ids: mask(ids, build_config=foreign)))


@hostile("model.keras", "it has the operation keras.src.ops.numpy.NotEqual")
def mask_within_a_layer(draft: Draft) -> None:
    draft.replace_layer("TimeDistributed", {"layer": mask(name_tensor("ids"))})


@hostile("model.keras", "it has the operation keras.src.ops.numpy.Exp")
def operation_that_is_no_mask(draft: Draft) -> None:
    draft.configure(put_mask(lambda _, ids: mask(ids, class_name="Exp")))


@hostile("model.keras", "is joined from more than")
def values_that_double_with_each_layer(draft: Draft) -> None:
    def change(model: Any) -> None:
        layers = model["config"]["layers"]
        place = next(place for place, layer in enumerate(layers) if layer["class_name"] == "GRU")
        tensor = layers[place]["inbound_nodes"][0]["args"][0]
        for number in range(40):
            name = f"joined_{number}"
            node = {"args": [[tensor, tensor]], "kwargs": {}}
            layers.insert(
                place + number,
                {
                    "module": "keras.layers",
                    "class_name": "Concatenate",
                    "name": name,
                    "config": {"name": name, "axis": -1},
                    "registered_name": None,
                    "inbound_nodes": [node],
                },
            )
            tensor = {"class_name": "__keras_tensor__", "config": {**tensor["config"], "keras_history": [name, 0, 0]}}
        layers[place + 40]["inbound_nodes"][0]["args"][0] = tensor

    draft.configure(change)


@hostile("model.keras", "it names keras.layers.\\n.Dropout\\nsentopic: ready\\x1b[2J")
def name_of_several_lines(draft: Draft) -> None:
    """What is said of a bundle stays one line, or it could say what the service never said."""
    draft.replace_layer("Dropout\nsentopic: ready\x1b[2J", {"rate": 0.5}, module="keras.layers.\n")


# Weights


def replace_table(make: Callable[[Draft, h5py.Group], None]) -> Callable[[Draft], None]:
    """Puts something else where the embedding's table was."""

    def spoil(draft: Draft) -> None:
        def change(file: h5py.File) -> None:
            del file["layers/embedding/vars/0"]
            make(draft, file["layers/embedding/vars"])

        draft.weigh(change)

    spoil.__name__ = make.__name__
    return spoil


@hostile("model.keras", "holds a link to somewhere else")
@replace_table
def external_link(draft: Draft, group: h5py.Group) -> None:
    """CVE-2026-1669."""
    group["0"] = h5py.ExternalLink(str(draft.canaries / "canary.h5"), "/secret")


@hostile("model.keras", "is a link to somewhere else")
@replace_table
def soft_link(draft: Draft, group: h5py.Group) -> None:
    group["0"] = h5py.SoftLink("/layers/dense/vars/0")


@hostile("model.keras", "is not plain data of a sane size")
@replace_table
def external_storage(draft: Draft, group: h5py.Group) -> None:
    place = [(str(draft.canaries / "canary.bin"), 0, 20_000 * 64 * 4)]
    group.create_dataset("0", (20_000, 64), "f4", external=place)


@hostile("model.keras", "is not plain data of a sane size")
@replace_table
def virtual_dataset(draft: Draft, group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((20_000, 64), "f4")
    layout[:] = h5py.VirtualSource(str(draft.canaries / "canary.h5"), "secret", (20_000, 64))
    group.create_virtual_dataset("0", layout)


@hostile("model.keras", "is not plain data of a sane size")
def external_storage_where_no_weights_are(draft: Draft) -> None:
    """Keras reads the state of random numbers, which the onnx engine has no use for."""

    def change(file: h5py.File) -> None:
        group = file.create_group("layers/dropout/seed_generator/vars")
        group.attrs["name"] = "seed_generator"
        group.create_dataset("0", (2,), "u4", external=[(str(draft.canaries / "canary.bin"), 0, 8)])

    draft.weigh(change)


@hostile("model.keras", "is not plain data of a sane size")
def virtual_dataset_outside_the_layers(draft: Draft) -> None:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((2,), "f4")
        layout[:] = h5py.VirtualSource(str(draft.canaries / "canary.h5"), "secret", (2,))
        file["vars"].create_virtual_dataset("0", layout)

    draft.weigh(change)


@hostile("model.keras", "is not plain data of a sane size")
@replace_table
def compressed_terabytes(draft: Draft, group: h5py.Group) -> None:
    """CVE-2026-0897."""
    group.create_dataset("0", (2**32, 64), "f4", chunks=(1024, 64), compression="gzip")


@hostile("model.keras", "is not plain data of a sane size")
@replace_table
def contiguous_terabytes(draft: Draft, group: h5py.Group) -> None:
    group.create_dataset("0", (2**32, 64), "f4")


@hostile("model.keras", "is not plain data of a sane size")
def many_arrays_that_were_never_written(draft: Draft) -> None:
    """Each of a size that is allowed: nothing in the file, a quarter of a gigabyte once it is read."""

    def change(file: h5py.File) -> None:
        for number in range(100):
            file["layers/embedding/vars"].create_dataset(str(number + 1), (2**26,), "f4")

    draft.weigh(change)


@hostile("model.keras", "stands in two places")
def one_array_under_many_names(draft: Draft) -> None:
    def change(file: h5py.File) -> None:
        table = file["layers/embedding/vars/0"]
        for number in range(800):
            file[f"layers/embedding/vars/{number + 1}"] = table

    draft.weigh(change)


@hostile("model.keras", "stands in two places")
def groups_that_hold_themselves(draft: Draft) -> None:
    def change(file: h5py.File) -> None:
        file["vars/again"] = file["vars"]

    draft.weigh(change)


def join_trees(draft: Draft, children: Callable[[list[int]], dict[int, int]]) -> None:
    """Makes nodes of trees, in which groups keep their members, hold 32 times another: `children` gives which."""
    members = draft.members
    content = bytearray(members[WEIGHTS])
    trees = [place for place in range(0, len(content), 8) if content.startswith(b"TREE", place)]
    for level, (node, child) in enumerate(sorted(children(trees).items(), reverse=True), start=1):
        struct.pack_into("<BH", content, node + 5, level, 32)
        for number in range(32):
            struct.pack_into("<Q", content, node + 32 + 16 * number, child)
    draft.write_members({**members, WEIGHTS: bytes(content)})


@hostile("model.keras", "stands in two places")
def tree_of_groups_that_holds_itself(draft: Draft) -> None:
    """The HDF5 library walks it until its stack is gone."""
    join_trees(draft, lambda trees: {tree: tree for tree in trees})


@hostile("model.keras", "stands in two places")
def tree_of_groups_that_branches_without_end(draft: Draft) -> None:
    """2 to the 30th nodes, of which the library gives none before it has seen all."""
    join_trees(draft, lambda trees: dict(pairwise(trees[:7])))


@hostile("model.keras", "its weights are damaged")
def weights_cut_off(draft: Draft) -> None:
    members = draft.members
    draft.write_members({**members, WEIGHTS: members[WEIGHTS][:100_000]})


@hostile("model.keras", "only float32 weights can be read")
@replace_table
def weights_of_another_type(draft: Draft, group: h5py.Group) -> None:
    group["0"] = np.zeros((20_000, 64), np.float64)


@hostile("model.keras", "holds values that are no numbers")
def weights_that_are_no_numbers(draft: Draft) -> None:
    draft.weigh(lambda file: file["layers/dense/vars/1"].write_direct(np.full(1, np.nan, np.float32)))


@hostile("model.keras", "holds values that are no numbers")
def one_word_that_is_no_number(draft: Draft) -> None:
    """No golden text need have it."""

    def change(file: h5py.File) -> None:
        file["layers/embedding/vars/0"][19_999, 0] = np.inf

    draft.weigh(change)


@hostile("model.keras", "it knows 10000 ids, the text contract 20000")
def fewer_rows_than_words(draft: Draft) -> None:
    def change(file: h5py.File) -> None:
        table = file["layers/embedding/vars/0"][:10_000]
        del file["layers/embedding/vars/0"]
        file["layers/embedding/vars/0"] = table

    draft.set_option("Embedding", input_dim=10_000)
    draft.weigh(change)


@hostile("model.keras", "not a Keras model file (KeyError")
def embedding_without_a_table(draft: Draft) -> None:
    def change(model: Any) -> None:
        layer = next(layer for layer in model["config"]["layers"] if layer["class_name"] == "Embedding")
        layer["config"] = {"name": layer["name"]}

    def forget(file: h5py.File) -> None:
        del file["layers/embedding/vars/0"]

    draft.configure(change)
    draft.weigh(forget)


@hostile("model.keras", "not a Keras model file (TypeError")
def input_without_a_shape(draft: Draft) -> None:
    draft.set_option("InputLayer", batch_shape=None)


@hostile("model.keras", "the text contract's windows 100")
def long_windows(draft: Draft) -> None:
    draft.set_option("InputLayer", batch_shape=[None, 10**9])


@hostile("model.keras", "engine cannot run it", late=True)
def layers_that_do_not_fit_together(draft: Draft) -> None:
    def change(file: h5py.File) -> None:
        table = file["layers/embedding/vars/0"][:, :32]
        del file["layers/embedding/vars/0"]
        file["layers/embedding/vars/0"] = table

    draft.set_option("Embedding", output_dim=32)
    draft.weigh(change)


# The archive


def write_bomb(draft: Draft, blocks: int) -> None:
    """So many megabytes of zeros in a thousandth of that."""
    block = bytes(2**20)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = squeezer.compress(block) + squeezer.flush(zlib.Z_FULL_FLUSH)
    squeezed = first * blocks + squeezer.flush(zlib.Z_FINISH)
    check = 0
    for _ in range(blocks):
        check = zlib.crc32(block, check)
    members = draft.members
    draft.write_members({**members, WEIGHTS: squeezed})
    with zipfile.ZipFile(draft.model) as archive:
        local, central = archive.getinfo(WEIGHTS).header_offset, archive.start_dir
    data = bytearray(draft.model.read_bytes())
    central = data.index(WEIGHTS.encode(), central) - 46
    for offset in (local + 8, central + 10):
        struct.pack_into("<H", data, offset, zipfile.ZIP_DEFLATED)
    for offset in (local + 14, central + 16):
        struct.pack_into("<III", data, offset, check, len(squeezed), blocks * len(block))
    draft.model.write_bytes(data)


@hostile("model.keras", "model.weights.h5 is compressed or larger")
def zip_bomb(draft: Draft) -> None:
    write_bomb(draft, 1024)


@hostile("model.keras", "model.weights.h5 is compressed or larger")
def zip_bomb_of_a_size_that_is_allowed(draft: Draft) -> None:
    write_bomb(draft, 200)


def write_directory(draft: Draft, told: int | None = None, between: bytes = b"", comment: bytes = b"") -> None:
    """An archive of nothing but 600,000 entries. `told`: how large its last record says that they are."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%06d" % number for number in range(600_000))
    size = len(directory) if told is None else told
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, size, 0, len(comment))
    draft.model.write_bytes(directory + between + end + comment)


@hostile("model.keras", "it is no plain archive of a few members")
def members_without_number(draft: Draft) -> None:
    """Python's library has an object of each before it says how many there are: ten times the file's size."""
    write_directory(draft)


@hostile("model.keras", "it is no plain archive of a few members")
def members_without_number_behind_a_comment(draft: Draft) -> None:
    write_directory(draft, comment=b"PK")


@hostile("model.keras", "it is no plain archive of a few members")
def members_without_number_as_in_a_large_archive(draft: Draft) -> None:
    """Then the last record's numbers do not count."""
    size = 600_000 * 52
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 600_000, 600_000, size, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
    write_directory(draft, told=150, between=record + locator)


@hostile("model.keras", "its members are not exactly")
def member_above_the_archive(draft: Draft) -> None:
    draft.add_member("../ran")


@hostile("model.keras", "its members are not exactly")
def member_with_an_absolute_name(draft: Draft) -> None:
    draft.add_member(str(draft.ran))


@hostile("model.keras", "its members are not exactly")
def extra_member(draft: Draft) -> None:
    draft.add_member("assets/words.txt")


@hostile("model.keras", "its members are not exactly")
def doubled_member(draft: Draft) -> None:
    draft.add_member("config.json", b"{}")


@hostile("model.keras", "its members are not exactly")
def missing_member(draft: Draft) -> None:
    members = draft.members
    del members["metadata.json"]
    draft.write_members(members)


@hostile("model.keras", "its members are not exactly")
def extra_member_that_is_a_link(draft: Draft) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    draft.add_member(member, str(draft.canaries / "canary.txt").encode())


@hostile("model.keras", "metadata.json is a link")
def member_that_is_a_link(draft: Draft) -> None:
    members = draft.members
    del members["metadata.json"]
    draft.write_members(members)
    member = zipfile.ZipInfo("metadata.json")
    member.external_attr = 0o120777 << 16
    draft.add_member(member, str(draft.canaries / "canary.txt").encode())


@hostile("model.keras", "not a Keras model file (RuntimeError")
def encrypted_members(draft: Draft) -> None:
    data = bytearray(draft.model.read_bytes())
    with zipfile.ZipFile(draft.model) as archive:
        place = archive.start_dir
        offsets = [member.header_offset for member in archive.infolist()]
    for offset in offsets:
        data[offset + 6] |= 1
    while (place := data.find(b"PK\1\2", place)) >= 0:
        data[place + 8] |= 1
        place += 4
    draft.model.write_bytes(data)


@hostile("model.keras", "not a Keras model file")
def model_in_the_old_format(draft: Draft) -> None:
    draft.model.write_bytes(draft.members[WEIGHTS])


# The directory


@hostile("words.txt", "it is a link", sealed_first=True)
def link_to_the_very_file(draft: Draft) -> None:
    elsewhere = draft.canaries / f"{draft.directory.name}.txt"
    draft.words.rename(elsewhere)
    draft.words.symlink_to(elsewhere)


@hostile("model.keras", "it is a link", sealed_first=True)
def link_out_of_the_bundle(draft: Draft) -> None:
    draft.model.unlink()
    draft.model.symlink_to(draft.canaries / "canary.h5")


@hostile("bundle.json", "it is a link", sealed_first=True)
def manifest_that_is_a_link(draft: Draft) -> None:
    (draft.directory / "bundle.json").unlink()
    (draft.directory / "bundle.json").symlink_to(draft.canaries / "canary.txt")


@hostile("words.txt", "it is not a plain file", sealed_first=True)
def pipe_in_place_of_a_file(draft: Draft) -> None:
    draft.words.unlink()
    os.mkfifo(draft.words)


@hostile("metrics.json", "is a directory", sealed_first=True)
def directory_in_place_of_a_file(draft: Draft) -> None:
    (draft.directory / "metrics.json").unlink()
    (draft.directory / "metrics.json").mkdir()


@hostile("extra.py", "it is not sealed in bundle.json")
def extra_file(draft: Draft) -> None:
    (draft.directory / "extra.py").write_text(f"open({str(draft.ran)!r}, 'w')")


@hostile("metrics.json", "no such file", sealed_first=True)
def missing_file(draft: Draft) -> None:
    (draft.directory / "metrics.json").unlink()


@hostile("words.txt", "more than the", sealed_first=True)
def file_that_is_larger_than_sealed(draft: Draft) -> None:
    os.truncate(draft.words, 2**40)


@hostile("bundle.json", "the files take more than")
def many_large_files(draft: Draft) -> None:
    """Each of a size that is allowed, and none of them on the disk."""
    size = 255 * 2**20
    digest = hashlib.sha256()
    for _ in range(255):
        digest.update(bytes(2**20))
    zeros = digest.hexdigest()
    for number in range(4):
        with (draft.directory / f"{number}.bin").open("wb") as file:
            file.truncate(size)
        draft.manifest["files"][f"{number}.bin"] = {"sha256": zeros, "size": size}


@hostile("words.txt", "SHA-256 differs", sealed_first=True)
def wrong_hash(draft: Draft) -> None:
    data = bytearray(draft.words.read_bytes())
    data[1000] ^= 1
    draft.words.write_bytes(data)


@hostile("words.txt", "a word is empty or stands twice")
def words_that_stand_twice(draft: Draft) -> None:
    words = draft.words.read_bytes().split(b"\n")
    draft.words.write_bytes(b"\n".join([words[0], *words[:-1], b""]))


@hostile("words.txt", "a word is empty")
def millions_of_empty_words(draft: Draft) -> None:
    draft.words.write_bytes(b"\n" * 16_000_000)


@hostile("bundle.json", "words.txt takes more than")
def words_without_end(draft: Draft) -> None:
    with draft.words.open("r+b") as file:
        file.truncate(17 * 2**20)


# The manifest


@hostile("bundle.json", "its own SHA-256 differs", sealed_first=True)
def wrong_own_digest(draft: Draft) -> None:
    draft.manifest["sha256"] = "0" * 64
    draft.write_manifest()


@hostile("bundle.json", "its own SHA-256 differs", sealed_first=True)
def file_exchanged_together_with_its_seal(draft: Draft) -> None:
    draft.words.write_bytes(b"other\n")
    seal = {"sha256": hashlib.sha256(b"other\n").hexdigest(), "size": 6}
    draft.manifest["files"]["words.txt"] = seal
    draft.write_manifest()


@hostile("bundle.json", "should match pattern")
def file_above_the_bundle(draft: Draft) -> None:
    draft.manifest["files"]["../canaries/canary.txt"] = {"sha256": "0" * 64, "size": 6}


@hostile("bundle.json", "should match pattern")
def file_with_an_absolute_name(draft: Draft) -> None:
    draft.manifest["files"][str(draft.canaries / "canary.txt")] = {"sha256": "0" * 64, "size": 6}


@hostile("bundle.json", "should match pattern")
def file_name_of_several_lines(draft: Draft) -> None:
    draft.manifest["files"]["a\nsentopic: ready"] = {"sha256": "0" * 64, "size": 6}


@hostile("bundle.json", "Extra inputs are not permitted")
def unknown_key(draft: Draft) -> None:
    draft.manifest["on_load"] = "os.system"


@hostile("bundle.json", "more than the 1048576 allowed")
def large_manifest(draft: Draft) -> None:
    draft.manifest["recipe"]["why"] = "x" * 2**21


@hostile("bundle.json", "recursion limit exceeded", sealed_first=True)
def deep_manifest(draft: Draft) -> None:
    (draft.directory / "bundle.json").write_text('{"recipe": ' + '{"a":' * 100_000)


@hostile("bundle.json", "golden text 2 is not reproduced", late=True)
def wrong_golden_scores(draft: Draft) -> None:
    draft.manifest["golden"][1]["scores"].reverse()
