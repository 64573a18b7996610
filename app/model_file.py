"""Reads a `.keras` file without Keras, so that reading one can run no code.

The file is a zip of `config.json` (the layers and how they are joined) and `model.weights.h5`
(`layers/<group>/[cell/]vars/<i>`, where a group is named after its layer's class, and numbered). Anything that such
a file need not hold is refused before it is used: other members, links, virtual or compressed data, foreign classes,
and sizes that are declared but not there, for which Keras would make room.
"""

import io
import json
import re
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app import hdf5
from app.errors import BundleError, UnsupportedLayerError

MAX_MODEL_BYTES: Final = 256 * 2**20
MAX_CONFIG_BYTES: Final = 2**20
MAX_NODES: Final = 1_000
MAX_JOINED: Final = 1_000
"""Tensors that one is joined from, each with what it is joined from itself."""

_MAX_DIRECTORY_BYTES: Final = 4096
"""Of three members."""

_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR_BYTES: Final = 20
"""An archive's last record, and the one before it in archives that are large (APPNOTE.TXT, 4.3.15 and 4.3.16)."""

WEIGHTS: Final = "model.weights.h5"
_MEMBERS: Final = {"metadata.json", "config.json", WEIGHTS}
_MODULES: Final = ("keras", "keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints")
_MODEL_MODULES: Final = ("keras", "keras.src.models.functional", "keras.src.models.sequential")
TRUSTED: Final = frozenset(
    "InputLayer Embedding SimpleRNN LSTM GRU Bidirectional Conv1D MaxPooling1D AveragePooling1D "
    "GlobalMaxPooling1D GlobalAveragePooling1D Concatenate Dropout SpatialDropout1D GaussianDropout "
    "GaussianNoise AlphaDropout Dense Activation "
    # Only the keras engine runs these.
    "Add Average Maximum Multiply Subtract BatchNormalization LayerNormalization Flatten Masking "
    "ReLU LeakyReLU Softmax TimeDistributed".split()
)
"""Layers that compute numbers and nothing else. `Lambda` and its kin can never be on this list."""

_MASK: Final = {"module": "keras.src.ops.numpy", "class_name": "NotEqual", "registered_name": "NotEqual"}
"""In a functional model's configuration a mask stands among the layers: ids that are not 0."""

_SIZES: Final = frozenset({"units", "filters", "kernel_size", "input_dim", "output_dim"})
"""What a layer's configuration says of its weights' shapes."""
_SPANS: Final = frozenset({"dilation_rate", "pool_size", "strides"})
MAX_SPAN: Final = 10_000
"""Steps that a layer looks or goes ahead: with padding, room is made for them. No window has more."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its class, its configuration, the layers it reads, and its weights by their path in it.

    `takes_mask`: a functional model says that it takes the mask of padding, whatever it reads.
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: tuple[str, ...]
    weights: dict[str, NDArray[np.float32]]
    takes_mask: bool = False


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The layers in an order in which each comes after those it reads; `output` names the last."""

    path: Path
    layers: tuple[Layer, ...]
    output: str

    @property
    def vocabulary(self) -> int:
        """Ids that every embedding has a row for."""
        tables = [layer.weights["vars/0"] for layer in self.layers if layer.kind == "Embedding"]
        return min((len(table) for table in tables), default=0)

    @property
    def steps(self) -> int | None:
        """Ids a window; None: of any length."""
        source = next(layer for layer in self.layers if layer.kind == "InputLayer")
        steps: int | None = source.config["batch_shape"][1]
        return steps


def parse(data: bytes, path: Path) -> ModelFile:
    """Raises BundleError (`path`, and why) for whatever is not a plain Keras model of trusted layers."""
    try:
        _check_directory(path, data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(path, archive.infolist())
            config = json.loads(archive.read("config.json"))
            # Read at once: a member opened as a stream is read again from its start for each step back.
            content = archive.read(WEIGHTS)
            model = _assemble(path, config, _read_weights(path, content))
            _ = model.vocabulary, model.steps  # so that whoever asks later gets an answer
            return model
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(path, f"not a Keras model file ({type(error).__name__}: {error})") from error


def _check_directory(path: Path, data: bytes) -> None:
    """Python reads an archive's whole directory, and makes an object of each entry, before one can be looked at.

    Its size is told by the archive's last record, which is the last thing there unless a comment follows it, or
    stands elsewhere if the record before it says so: neither is in a file of Keras.
    """
    signature, _, _, _, _, size, _, comment = _END.unpack(data[-_END.size :].rjust(_END.size))
    is_elsewhere = data[-_END.size - _LOCATOR_BYTES :].startswith(b"PK\6\7")
    if signature != b"PK\5\6" or comment or is_elsewhere or size > _MAX_DIRECTORY_BYTES:
        raise BundleError(path, "not a Keras model file (it is no plain archive of a few members)")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if sorted(m.filename for m in members) != sorted(_MEMBERS):
        raise BundleError(path, f"its members are not exactly {', '.join(sorted(_MEMBERS))}")
    for member in members:
        limit = MAX_MODEL_BYTES if member.filename.endswith(".h5") else MAX_CONFIG_BYTES
        if member.file_size > limit or member.compress_type != zipfile.ZIP_STORED:
            raise BundleError(path, f"{member.filename} is compressed or larger than {limit} bytes")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BundleError(path, f"{member.filename} is a link")


def _assemble(path: Path, config: dict[str, Any], arrays: dict[str, dict[str, NDArray[np.float32]]]) -> ModelFile:
    if config["class_name"] not in ("Sequential", "Functional") or config.get("module") not in _MODEL_MODULES:
        raise BundleError(path, f"a {config['class_name']} model; only Sequential and Functional ones can be read")
    _check_names(path, config["config"]["layers"])
    config, masks = _set_masks_apart(path, config)
    _check_classes(path, list(config.values()))
    layers: list[Layer] = []
    groups = _groups_of(entry["class_name"] for entry in config["config"]["layers"])
    for entry, group in zip(config["config"]["layers"], groups, strict=True):
        if entry.get("module") != "keras.layers":
            raise BundleError(path, f"{entry['class_name']} is not a layer of Keras")
        layer_config, name = entry["config"], entry["config"]["name"]
        takes_mask = False
        if config["class_name"] == "Functional":
            inputs = tuple(_inputs_of(path, entry))
            takes_mask = _takes_mask(path, entry, masks)
        else:
            inputs = (layers[-1].name,) if layers else ()
        if missing := set(inputs) - {layer.name for layer in layers}:
            raise BundleError(path, f"layer {name} reads {missing.pop()}, which does not come before it")
        layers.append(Layer(entry["class_name"], name, layer_config, inputs, arrays.get(group, {}), takes_mask))
        _check_sizes(path, layers[-1])
    _check_joins(path, layers)
    if sum(layer.kind == "InputLayer" for layer in layers) != 1:
        raise BundleError(path, "a text model has exactly one input")
    if masks and not all(layer.config.get("mask_zero") for layer in layers if layer.kind == "Embedding"):
        raise BundleError(path, "padding is masked, but not by its embeddings")
    return ModelFile(path, tuple(layers), _output_of(path, config, layers))


def _check_names(path: Path, entries: list[dict[str, Any]]) -> None:
    """Keras joins layers by the names of their entries, which are those of the layers themselves."""
    names = [entry["config"]["name"] for entry in entries]
    if len(set(names)) < len(names):
        raise BundleError(path, "two layers have one name")
    for entry, name in zip(entries, names, strict=True):
        if entry.get("name", name) != name:
            raise BundleError(path, f"layer {name} has another name too")


def _set_masks_apart(path: Path, config: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """A functional model's configuration without its masks, and their names: where padding is masked it has them among
    its layers, and layers that take them say so. Embeddings say it too, which is what is gone by.
    """
    entries = config["config"]["layers"]
    if config["class_name"] != "Functional":
        return config, set()
    ids = [entry["config"]["name"] for entry in entries if entry["class_name"] == "InputLayer"]
    layers, masks = list[dict[str, Any]](), set[str]()
    for entry in entries:
        if {key: entry.get(key) for key in _MASK} != _MASK:
            layers.append(entry)
            continue
        _check_classes(path, list(entry.values()))
        (node,) = entry["inbound_nodes"]
        tensor, value = node["args"]
        if tensor["config"]["keras_history"][0] not in ids or value != 0 or node["kwargs"]:
            raise BundleError(path, "something else than padding is masked")
        masks.add(entry["config"]["name"])
    return {**config, "config": {**config["config"], "layers": layers}}, masks


def _check_classes(path: Path, node: Any) -> None:
    """Every class that the configuration names is Keras' own, and every layer is trusted."""
    if isinstance(node, list):
        for item in node:
            _check_classes(path, item)
    elif isinstance(node, dict):
        if "class_name" in node and node["class_name"] != "__keras_tensor__":
            _check_class(path, node)
        for item in node.values():
            _check_classes(path, item)


def _check_class(path: Path, node: dict[str, Any]) -> None:
    kind, module = node["class_name"], node.get("module")
    if str(module).startswith("keras.src.ops."):
        raise BundleError(path, f"it has the operation {module}.{kind}, and only a mask of padding can be read")
    if module not in _MODULES or node.get("registered_name"):
        raise BundleError(path, f"it names {module}.{kind}, which is not a part of a plain Keras model")
    if module == "keras.layers" and kind not in TRUSTED:
        raise UnsupportedLayerError(path, f"layer {kind} is not on the list of trusted layers")
    if module == "keras" and kind not in ("DTypePolicy",):
        raise BundleError(path, f"it names {module}.{kind}, which is not a part of a plain Keras model")


def _groups_of(kinds: Iterable[str]) -> Iterator[str]:
    """Where Keras keeps each layer's weights: dense, dense_1, simple_rnn, ..."""
    before: Counter[str] = Counter()
    for kind in kinds:
        stem = re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        yield f"{stem}_{before[stem]}" if before[stem] else stem
        before[stem] += 1


def _check_sizes(path: Path, layer: Layer) -> None:
    """Keras makes room for what a layer declares before it looks at the weights."""
    there = {size for array in layer.weights.values() for size in array.shape}
    stack: list[Any] = [layer.config]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
            for key in (_SIZES | _SPANS) & item.keys():
                sizes = item[key] if isinstance(item[key], list) else [item[key]]
                fits = there.issuperset(sizes) if key in _SIZES else all((size or 0) <= MAX_SPAN for size in sizes)
                if not fits:
                    raise BundleError(path, f"layer {layer.name} declares {key} = {item[key]}, which is not there")


def _check_joins(path: Path, layers: list[Layer]) -> None:
    """Without a single weight, layers that join something with itself, one after the other, make it of any size."""
    parts: dict[str, int] = {}
    for layer in layers:
        inputs = [parts[name] for name in layer.inputs] or [1]
        parts[layer.name] = sum(inputs) if layer.kind == "Concatenate" else max(inputs)
        if parts[layer.name] > MAX_JOINED:
            raise BundleError(path, f"layer {layer.name} is joined from more than {MAX_JOINED} tensors")


def _inputs_of(path: Path, entry: dict[str, Any]) -> Iterator[str]:
    """Names of the layers whose outputs this one takes: one node, positional tensors only."""
    nodes = entry["inbound_nodes"]
    if len(nodes) > 1:
        raise BundleError(path, f"layer {entry['name']} is used twice")
    for node in nodes:
        stack = list(reversed(node["args"]))
        while stack:
            item = stack.pop()
            if isinstance(item, list):
                stack.extend(reversed(item))
            elif isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
                yield item["config"]["keras_history"][0]


def _takes_mask(path: Path, entry: dict[str, Any], masks: Collection[str]) -> bool:
    """Whether the layer takes one of these as its `mask`. It takes no other tensor by name."""
    takes = False
    for node in entry["inbound_nodes"]:
        for name, value in node["kwargs"].items():
            if "__keras_tensor__" not in json.dumps(value):
                continue
            if name != "mask" or value["config"]["keras_history"][0] not in masks:
                raise BundleError(path, f"layer {entry['name']} takes a tensor by name")
            takes = True
    return takes


def _output_of(path: Path, config: dict[str, Any], layers: list[Layer]) -> str:
    if config["class_name"] == "Sequential":
        return layers[-1].name
    outputs = config["config"]["output_layers"]
    if outputs and isinstance(outputs[0], str):
        outputs = [outputs]
    if len(outputs) != 1:
        raise BundleError(path, "a text model has exactly one output")
    name: str = outputs[0][0]
    if name not in {layer.name for layer in layers}:
        raise BundleError(path, "its output names no layer")
    return name


def _read_weights(path: Path, content: bytes) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Layer's group -> its weights by their path in it. An optimizer's state and random generators' are left out."""
    try:
        found = hdf5.read_arrays(content, MAX_NODES)
    except hdf5.FormatError as error:
        raise BundleError(path, str(error)) from None
    arrays: dict[str, dict[str, NDArray[np.float32]]] = {}
    for place, array in found.items():
        _, top, *steps = place.split("/")
        if top == "layers" and "seed_generator" not in steps:
            arrays.setdefault(steps[0], {})["/".join(steps[1:])] = _check_weights(path, place, array)
    return arrays


def _check_weights(path: Path, place: str, array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype != np.float32:
        raise BundleError(path, f"{place} is {array.dtype}; only float32 weights can be read")
    if not np.isfinite(array).all():
        raise BundleError(path, f"{place} holds values that are no numbers")
    return array.astype(np.float32)
