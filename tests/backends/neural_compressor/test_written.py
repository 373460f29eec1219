"""What Neural Compressor made of each op; the names are those of networks it wrote."""

from lpot_examples.backends.base import FRAGILE
from lpot_examples.backends.neural_compressor.written import WrittenGraph
from lpot_examples.graph import Group, Op, OpGraph, Precision

U8, S8 = 12, 11  # DT_QUINT8 and DT_QINT8 of TensorFlow


def written(*nodes):
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef()
    for name, op, *kind in nodes:
        node = graph.node.add(name=name, op=op)
        for attribute, value in kind:
            node.attr[attribute].type = value
    return WrittenGraph(graph.node)


def group(name, *members, reason=""):
    precisions = (Precision.FP32,) if reason else (Precision.INT8, Precision.FP32)
    ops = tuple(Op(member, member.rstrip("12")) for member in (name, *members))
    return Group(name=name, type="Conv2D", ops=ops, precisions=precisions, reason=reason)


def decide(graph, *groups, others=(), reverted=None):
    decisions = graph.decisions(OpGraph(groups, others), reverted or {})
    return {d.name: (d.precision, d.reason) for d in decisions}


def test_a_kernel_and_what_it_absorbed():
    graph = written(
        ("conv_eightbit_quantize_x", "QuantizeV2", ("T", S8)),
        ("conv_eightbit_requantize", "QuantizedConv2DWithBiasAndRequantize", ("Tinput", S8)),
        ("bias", "Dequantize"),
        ("relu", "Relu"),
    )
    found = decide(graph, group("conv", "bias", "relu"))
    kernel = "QuantizedConv2DWithBiasAndRequantize"
    assert found["conv"] == found["bias"] == ("int8", f"{kernel}: s8 input, 8-bit weights")
    assert found["relu"] == ("fp32", f"Neural Compressor left it outside the {kernel}")


def test_unsigned_inputs_are_fragile():
    graph = written(
        ("conv_eightbit_quantized_depthwise_conv", "QuantizedDepthwiseConv2D", ("Tinput", U8)),
        ("conv_eightbit_requantize", "RequantizePerChannel"),
        ("conv", "Dequantize"),
    )
    precision, reason = decide(graph, group("conv"))["conv"]
    assert precision == "int8"
    assert "u8 input" in reason
    assert FRAGILE in reason


def test_what_stays_fp32_says_whose_choice_that_was():
    graph = written(("conv1", "Conv2D"), ("conv2", "Conv2D"))
    found = decide(
        graph,
        group("conv1"),
        group("conv2"),
        group("conv3", reason="its layout is NCHW"),
        group("conv4"),
        reverted={"conv2": "reverted"},
    )
    assert found["conv1"] == ("fp32", "Neural Compressor left it in fp32")
    assert found["conv2"] == ("fp32", "reverted")
    assert found["conv3"] == ("fp32", "its layout is NCHW")
    assert found["conv4"] == ("fp32", "Neural Compressor folded it into another op")


def test_names_that_begin_alike_are_not_confused():
    graph = written(
        ("conv_eightbit_requantize", "QuantizedConv2DWithBias", ("Tinput", S8)),
        ("conv_1", "Conv2D"),
    )
    found = decide(graph, group("conv"), group("conv_1"))
    assert found["conv"][0] == "int8"
    assert found["conv_1"][0] == "fp32"


def test_ops_outside_groups():
    graph = written(
        ("pool_eightbit_quantized", "QuantizedMaxPool", ("T", U8)),
        ("pool", "Dequantize"),
        ("pool2", "MaxPool"),
        ("soft", "Softmax"),
    )
    others = [("pool", "MaxPool"), ("pool2", "MaxPool"), ("soft", "Softmax"), ("gone", "Identity")]
    found = decide(graph, others=(Op("x", "Placeholder"), *(Op(*other) for other in others)))
    assert found == {
        "pool": ("int8", "QuantizedMaxPool"),
        "pool2": ("fp32", "Neural Compressor left it in fp32"),
        "soft": ("fp32", "Neural Compressor has no int8 kernel for Softmax"),
        "gone": ("fp32", "Neural Compressor folded it into another op"),
    }
