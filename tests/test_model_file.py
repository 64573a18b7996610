"""A model file is refused before anything of it is used, if it holds what a plain Keras model need not hold."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from app import model_file
from app.errors import BundleError, UnsupportedLayerError

PATH = Path("model.keras")
Edit = Callable[[Any], None]


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}


def make(config: Edit = lambda _: None, weights: Edit = lambda _: None, **members: bytes) -> bytes:
    """A small model file by hand; `config` and `weights` spoil it."""
    layers = [
        layer("InputLayer", "ids", batch_shape=[None, 4]),
        layer("Embedding", "embedding", input_dim=5, output_dim=2, mask_zero=False),
    ]
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    config(model)
    store = io.BytesIO()
    with h5py.File(store, "w") as file:
        group = file.create_group("layers/embedding/vars")
        group.attrs["name"] = "embedding"
        group["0"] = np.ones((5, 2), np.float32)
        weights(file)
    contents = {
        "metadata.json": b"{}",
        "config.json": json.dumps(model).encode(),
        "model.weights.h5": store.getvalue(),
        **members,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_layers_and_weights_are_read_without_keras() -> None:
    model = model_file.parse(make(), PATH)
    assert [(item.kind, item.name, item.inputs) for item in model.layers] == [
        ("InputLayer", "ids", ()),
        ("Embedding", "embedding", ("ids",)),
    ]
    assert model.layers[1].weights["vars/0"].tolist() == np.ones((5, 2)).tolist()
    assert (model.output, model.vocabulary) == ("embedding", 5)


@pytest.mark.parametrize("kind", ["Lambda", "TFSMLayer", "TorchModuleWrapper", "RandomForest"])
def test_layer_that_is_not_on_the_list_is_named(kind: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=kind):
        model_file.parse(make(lambda model: model["config"]["layers"].append(layer(kind, "x"))), PATH)


def test_lambda_hidden_inside_a_layer_is_found() -> None:
    def hide(model: Any) -> None:
        model["config"]["layers"].append(layer("TimeDistributed", "x", layer=layer("Lambda", "y")))

    with pytest.raises(UnsupportedLayerError, match="Lambda"):
        model_file.parse(make(hide), PATH)


@pytest.mark.parametrize("module", ["os", "builtins", "keras.src.utils", "tensorflow", "my.package"])
def test_class_of_another_module_is_refused(module: str) -> None:
    def foreign(model: Any) -> None:
        model["config"]["layers"][1]["config"]["embeddings_initializer"] = {"module": module, "class_name": "system"}

    with pytest.raises(BundleError, match="not a part of a plain Keras model"):
        model_file.parse(make(foreign), PATH)


@pytest.mark.parametrize("kind", ["Lambda", "UnitNormalization", "Embedding"])
def test_layer_that_does_not_say_whose_it_is_is_refused(kind: str) -> None:
    """Keras would look an entry without `module` up among its own layers, past the list."""

    def forget(model: Any) -> None:
        model["config"]["layers"].append({"class_name": kind, "config": {"name": "x"}})

    with pytest.raises(BundleError):
        model_file.parse(make(forget), PATH)


@pytest.mark.parametrize("module", [None, "keras", "keras.src.layers"])
def test_layer_hidden_under_another_module_is_refused(module: str | None) -> None:
    def hide(model: Any) -> None:
        entry = {"module": module, "class_name": "Lambda", "config": {"name": "y"}, "registered_name": None}
        model["config"]["layers"].append(layer("TimeDistributed", "x", layer=entry))

    with pytest.raises(BundleError):
        model_file.parse(make(hide), PATH)


def test_registered_class_is_refused() -> None:
    def register(model: Any) -> None:
        model["config"]["layers"][1]["registered_name"] = "pack>Embedding"

    with pytest.raises(BundleError):
        model_file.parse(make(register), PATH)


def external_link(file: h5py.File) -> None:
    file["layers/embedding/vars/1"] = h5py.ExternalLink("/tmp/canary.h5", "/secret")


def soft_link(file: h5py.File) -> None:
    file["layers/embedding/vars/1"] = h5py.SoftLink("/layers/embedding/vars/0")


def linked_root(file: h5py.File) -> None:
    del file["layers"]
    file["layers"] = h5py.ExternalLink("/tmp/canary.h5", "/layers")


def external_storage(file: h5py.File) -> None:
    file["layers/embedding/vars"].create_dataset("1", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def huge_shape(file: h5py.File) -> None:
    file["layers/embedding/vars"].create_dataset("1", (2**40,), "f4", chunks=(1024,))


def compressed(file: h5py.File) -> None:
    file["layers/embedding/vars"].create_dataset("1", data=np.zeros(10**6, "f4"), compression="gzip")


def other_type(file: h5py.File) -> None:
    file["layers/embedding/vars"]["1"] = np.zeros(3, np.float64)


def loop(file: h5py.File) -> None:
    file["layers/embedding/again"] = file["layers"]


@pytest.mark.parametrize(
    "spoil", [external_link, soft_link, linked_root, external_storage, huge_shape, compressed, other_type, loop]
)
def test_weights_that_are_not_plain_data_are_refused(spoil: Edit) -> None:
    with pytest.raises(BundleError):
        model_file.parse(make(weights=spoil), PATH)


def test_external_link_leaves_its_target_unread(tmp_path: Path) -> None:
    canary = tmp_path / "canary.h5"
    with h5py.File(canary, "w") as file:
        file["secret"] = np.ones(3, np.float32)
    canary.chmod(0o000)
    before = canary.stat().st_atime_ns

    def link(file: h5py.File) -> None:
        file["layers/embedding/vars/1"] = h5py.ExternalLink(str(canary), "/secret")

    with pytest.raises(BundleError, match="link to somewhere else"):
        model_file.parse(make(weights=link), PATH)
    assert canary.stat().st_atime_ns == before


def test_extra_member_is_refused() -> None:
    with pytest.raises(BundleError, match="members"):
        model_file.parse(make(**{"../evil.py": b"print(1)"}), PATH)


def test_doubled_member_is_refused() -> None:
    out = io.BytesIO(make())
    with warnings.catch_warnings(), zipfile.ZipFile(out, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("config.json", b"{}")
    with pytest.raises(BundleError, match="members"):
        model_file.parse(out.getvalue(), PATH)


def test_zip_bomb_is_refused_before_it_is_inflated() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", b"{}")
        archive.writestr("config.json", b" " * 10**6)
        archive.writestr("model.weights.h5", b"\0" * 10**8)
    with pytest.raises(BundleError, match="compressed or larger"):
        model_file.parse(out.getvalue(), PATH)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 50])
def test_what_is_no_model_file_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="not a Keras model file"):
        model_file.parse(data, PATH)


@pytest.mark.parametrize(
    "text", [b"[]", b"{}", b"null", b'{"class_name": "Sequential"}', b"[" * 100_000, b'{"class_name": "Model"}']
)
def test_configuration_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError):
        model_file.parse(make(**{"config.json": text}), PATH)


def test_layer_that_reads_a_later_one_is_refused() -> None:
    def tangle(model: Any) -> None:
        history = {"class_name": "__keras_tensor__", "config": {"keras_history": ["later", 0, 0]}}
        for item in model["config"]["layers"]:
            item["name"] = item["config"]["name"]
            item["inbound_nodes"] = [{"args": [history], "kwargs": {}}]
        model["class_name"] = "Functional"

    with pytest.raises(BundleError, match="does not come before it"):
        model_file.parse(make(tangle), PATH)
