"""What is written here is what the `onnx` package would have written."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.bundle import read_bundle
from app.engines import proto
from app.engines.compile import compile_graph
from app.settings import SHIPPED

NAMES = st.text("abz_09", min_size=1, max_size=200)
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=32, allow_nan=False)
VALUES = st.one_of(INTS, FLOATS, NAMES, *(st.lists(kind, min_size=1, max_size=40) for kind in (INTS, FLOATS, NAMES)))


@given(inputs=st.lists(NAMES | st.just(""), max_size=4), attributes=st.dictionaries(NAMES, VALUES, max_size=4))
def test_node_is_as_the_onnx_package_writes_it(inputs: list[str], attributes: dict[str, object]) -> None:
    expected = helper.make_node("Gemm", inputs, ["", "y"], domain="com.microsoft", **attributes)
    found = onnx.NodeProto.FromString(proto.node("Gemm", inputs, ["", "y"], "com.microsoft", attributes))
    for node in (expected, found):
        node.attribute.sort(key=lambda attribute: attribute.name)
    assert found == expected


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (200, 1, 2)])
def test_tensor_is_as_the_onnx_package_writes_it(dtype: type, shape: tuple[int, ...]) -> None:
    value = np.asarray(np.random.default_rng(1).normal(0, 50, shape)).astype(dtype)
    found = TensorProto.FromString(proto.tensor("x", value))
    assert found == numpy_helper.from_array(value, "x")


def test_value_info_is_as_the_onnx_package_writes_it() -> None:
    for shape in ((), (1, "batch", 300), ("batch", "steps")):
        found = onnx.ValueInfoProto.FromString(proto.value_info("x", proto.INT32, shape))
        assert found == helper.make_tensor_value_info("x", TensorProto.INT32, shape)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("bundle", sorted(SHIPPED.glob("*/*/")), ids=lambda path: "-".join(path.parts[-2:]))
def test_compiled_bundles_are_models_to_the_onnx_package(bundle: object, precision: object) -> None:
    read = read_bundle(bundle)  # type: ignore[arg-type]
    manifest = read.manifest
    compiled = compile_graph(read.model, manifest.text.maxlen, len(manifest.labels), precision)  # type: ignore[arg-type]
    model = onnx.ModelProto.FromString(compiled.graph)
    assert {one.domain: one.version for one in model.opset_import} == {"": 17, "com.microsoft": 1}
    large = {one.name: one for one in model.graph.initializer if one.data_location == TensorProto.EXTERNAL}
    assert large.keys() == compiled.weights.keys()
    for name, value in compiled.weights.items():  # the checker would look for a file
        large[name].CopyFrom(numpy_helper.from_array(value, name))
    onnx.checker.check_model(model, full_check=precision == "float32")
