import subprocess
import sys

import onnx
import pytest
from onnx import helper

from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.errors import ModelError
from lpot_examples.runtimes.outline import outline_of
from lpot_examples.testing.onnx_networks import image_network


def test_a_frozen_graph_is_read_as_tensorflow_reads_it(frozen):
    outline, model = outline_of(frozen), load_model(frozen)
    assert outline.inputs == model.input_names
    assert outline.outputs == model.output_names
    assert outline.ops == {node.op for node in model.graph_def.node}
    assert (outline.precision, outline.eight_bit_ops) == ("fp32", ())


def test_no_framework_is_imported_for_it(frozen):
    code = (
        "import sys; from pathlib import Path\n"
        "from lpot_examples.runtimes.outline import outline_of\n"
        f"outline_of(Path({str(frozen)!r}))\n"
        "print({'tensorflow', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_ops_of_quantized_networks_are_known(eight_bits, tmp_path):
    outline = outline_of(eight_bits)
    assert (outline.precision, outline.eight_bit_ops) == ("int8", ("Dequantize", "QuantizeV2"))
    model = image_network()
    assert _outline(model, tmp_path).precision == "fp32"
    for kind in ("DequantizeLinear", "MatMulInteger", "QLinearConv", "DynamicQuantizeLinear"):
        model = image_network()
        # Only inside of a subgraph, and never run.
        inner = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "inner", [], [])
        model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner))
        assert _outline(model, tmp_path).eight_bit_ops == (kind,)


def test_fake_quantization_is_no_quantization(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        tf.quantization.fake_quant_with_min_max_args(x, name="y")
    (tmp_path / "m.pb").write_bytes(graph.as_graph_def().SerializeToString())
    assert outline_of(tmp_path / "m.pb").precision == "fp32"


def test_what_is_no_frozen_graph(tmp_path):
    (tmp_path / "m.pb").write_bytes(b"\x0a\xff\xff\xff\xff")
    with pytest.raises(ModelError, match="is damaged, or no frozen graph"):
        outline_of(tmp_path / "m.pb")
    with pytest.raises(ModelError, match=r"cannot read the model .*nowhere\.pb"):
        outline_of(tmp_path / "nowhere.pb")
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04")
    assert outline_of(tmp_path / "m.keras") is None


def _outline(model, folder):
    onnx.save(model, folder / "m.onnx")
    return outline_of(folder / "m.onnx")
