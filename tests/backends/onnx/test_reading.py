"""What cannot be used is one clear sentence."""

import numpy as np
import onnx
import pytest
from onnx import helper

from lpot_examples.backends.onnx.framework import backend, files, open_network
from lpot_examples.backends.onnx.model import save_proto
from lpot_examples.errors import DataError, ModelError
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.onnx_networks import NetworkMaker, batches, image_network

ISA = INSTRUCTION_SETS["avx512_vnni"]


def refused(model, *, words):
    with pytest.raises(ModelError) as caught:
        network = open_network(model)
        backend(network, ISA, approach="post_training_static_quant")
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    return message


def test_no_file(tmp_path):
    (tmp_path / "network.onnx").write_bytes(b"")
    refused(tmp_path / "netwrk.onnx", words=["No such file", "Did you mean 'network.onnx'"])
    refused(tmp_path / "network.onnx", words=["is empty"])


def test_not_onnx(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x89PNG and so on")
    refused(path, words=["m.onnx is not an ONNX file"])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(tmp_path, share):
    data = image_network().SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, words=["m.onnx is damaged or was cut off"])


def test_weights_in_another_file(tmp_path):
    model = image_network()
    path = save_proto(model, tmp_path / "m.onnx", largest=1000)
    (data,) = files(path)
    assert data == tmp_path / "m.onnx.data"
    assert path.stat().st_size + data.stat().st_size >= model.ByteSize() * 0.9
    batch = batches(model)[0]
    np.testing.assert_array_equal(open_network(path)(batch), open_network(model)(batch))
    data.write_bytes(data.read_bytes()[:-10])
    refused(path, words=["m.onnx.data", "is cut off"])
    data.unlink()
    refused(path, words=["keeps weights", "m.onnx.data, which is not beside it"])


def test_unknown_opset_and_domain():
    model = image_network()
    model.opset_import[0].version = 99
    refused(model, words=["opset 99", "reads up to"])
    model = image_network()
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    model.graph.node[1].domain = "my.ops"
    refused(model, words=["domain 'my.ops'"])


def test_custom_op():
    model = image_network()
    model.graph.node[1].op_type = "Reluish"
    refused(model, words=["Reluish", "custom ops cannot be run"])


def test_inconsistent():
    model = image_network()
    model.graph.node[3].input[0] = "nowhere"
    refused(model, words=["is not a valid ONNX network", "nowhere"])


def test_quantized_already(build):
    from lpot_examples.graph import TuningConfig

    built = build(image_network())
    int8 = built.emit(TuningConfig()).proto
    refused(int8, words=["already quantized", "QuantizeLinear", "fp32 model"])


def test_nothing_to_quantize():
    maker = NetworkMaker()
    out = maker.op("Relu", ["x"])
    refused(maker.model({"x": ["n", 4]}, {out: ["n", 4]}), words=["nothing to tune"])


def test_names_that_are_not_there():
    for kind in ("inputs", "outputs"):
        with pytest.raises(ModelError, match="has no .* 'imag'.*Candidates"):
            open_network(image_network(), **{kind: ["imag"]})


def test_inputs_that_do_not_match():
    model = open_network(image_network())
    with pytest.raises(DataError, match=r"takes float32 \['\?', 3, 16, 16\] and got float32"):
        model(np.zeros((2, 3, 15, 16), np.float32))
    with pytest.raises(DataError, match="takes float32 .* and got float64"):
        model(np.zeros((2, 3, 16, 16)))
    with pytest.raises(DataError, match="takes the inputs image; the batch has picture"):
        model({"picture": np.zeros((2, 3, 16, 16), np.float32)})


def test_opsets_that_cannot_be_raised(monkeypatch):
    def fail(*_):
        raise RuntimeError("no adapter for Upsample 9\nat line 3")

    monkeypatch.setattr("onnx.version_converter.convert_version", fail)
    refused(image_network(opset=11), words=["of opset 11", "no adapter for Upsample 9 at line 3"])


def test_nothing_is_written_beside_the_network(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(image_network(opset=11).SerializeToString())
    backend(open_network(path), ISA, approach="post_training_static_quant")
    assert list(tmp_path.iterdir()) == [path]


def test_local_functions_are_inlined():
    maker = NetworkMaker()
    x = maker.op("Relu", [maker.conv("x", (3, 4))])
    model = maker.model({"x": ["n", 3, 8, 8]}, {x: ["n", 4, 8, 8]})
    relu = onnx.helper.make_node("Relu", ["a"], ["b"])
    imports = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "Positive", ["a"], ["b"], [relu], imports))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.graph.node[1].domain, model.graph.node[1].op_type = "mine", "Positive"
    found = backend(open_network(model), ISA, approach="post_training_static_quant")
    (group,) = found.op_graph.quantizable
    assert [op.type for op in group.ops] == ["Conv", "Relu"]
