"""What is emitted, and that ONNX Runtime makes kernels on codes of it."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from lpot_examples.backends.onnx.emit import Emitter
from lpot_examples.backends.onnx.model import OnnxModel
from lpot_examples.backends.onnx.stretch import find_factors
from lpot_examples.graph import TuningConfig
from lpot_examples.quantize.weights import pair_sums
from lpot_examples.testing.onnx_networks import (
    NetworkMaker,
    batches,
    encoder_network,
    image_network,
    resnet_network,
)


def runs_as(model, folder):
    """Types of the ops that ONNX Runtime runs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.proto.SerializeToString(), options)
    made = onnx.load(options.optimized_model_filepath)
    return Counter(node.op_type for node in made.graph.node)


def test_images_run_on_codes(build, tmp_path):
    found = runs_as(build(image_network()).emit(TuningConfig()), tmp_path)
    assert found["QLinearConv"] == 6
    assert found["Conv"] == found["Relu"] == found["Clip"] == found["Add"] == 0
    assert found["QLinearAdd"] == found["QLinearConcat"] == found["QGemm"] == 1
    assert found["QuantizeLinear"] == 1, "only the image is converted"


def test_a_resnet_50_runs_on_codes(build, tmp_path):
    built = build(resnet_network())
    model = built.emit(TuningConfig(bias_correction=True, equalization=0.5))
    found = runs_as(model, tmp_path)
    assert found["QLinearConv"] == 53
    assert found["QLinearAdd"] == 16
    assert found["QGemm"] == 1
    assert found["QuantizeLinear"] == 1
    assert found["Conv"] == found["Add"] == found["Relu"] == found["BatchNormalization"] == 0
    assert 0 < built.error(model) < 0.05


def test_products_run_on_codes(build, tmp_path):
    found = runs_as(build(encoder_network()).emit(TuningConfig()), tmp_path)
    assert found["MatMulIntegerToFloat"] == 12
    assert found["MatMul"] + found["FusedMatMul"] == 4, "attention multiplies two activations"


def test_dynamic_products(build, tmp_path):
    built = build(encoder_network(), dynamic=True)
    model = built.emit(TuningConfig())
    onnx.checker.check_model(model.proto)
    found = runs_as(model, tmp_path)
    assert found["MatMul"] + found["FusedMatMul"] == 4
    assert found["DynamicQuantizeMatMul"] + found["MatMulIntegerToFloat"] == 12
    assert 0 < built.error(model) < 0.01
    names = [group.name for group in built.backend.op_graph.quantizable]
    half = built.emit(TuningConfig(fp32=frozenset(names[::2])))
    assert 0 < built.error(half) < 0.01
    assert built.error(built.emit(TuningConfig(fp32=frozenset(names)))) < 1e-9
    decided = built.backend.explain(TuningConfig(), built.statistics, {})
    assert sum("ranges of run time" in one.reason for one in decided) == 12


def test_dynamic_leaves_convolutions(build):
    built = build(image_network(), dynamic=True)
    assert [group.type for group in built.backend.op_graph.quantizable] == ["Gemm"]
    assert built.error(built.emit(TuningConfig())) < 0.01


@pytest.mark.parametrize("isa", ["avx2", "avx512_vnni"])
def test_weights_of_an_instruction_set(build, isa):
    """Where pairs of products saturate, no two neighbours are too large; others keep their bits."""
    built = build(image_network(), isa=isa)
    model = built.emit(TuningConfig())
    weights = [
        onnx.numpy_helper.to_array(one).astype(int)
        for one in model.proto.graph.initializer
        if one.data_type == onnx.TensorProto.INT8 and len(one.dims) > 1
    ]
    (depthwise,) = (one for one in weights if one.shape[1] == 1)
    assert np.abs(depthwise).max() == 127, "depthwise kernels do not saturate"
    rows = [np.moveaxis(one, 1, -1).reshape(len(one), -1) for one in weights if one.shape[1] > 1]
    assert all(np.abs(row).max() > 63 for row in rows)
    assert (max(pair_sums(row).max() for row in rows) <= 128) == (isa == "avx2")
    exact = built.backend.exactness(TuningConfig(), built.statistics)
    assert bool(exact["avx2"]) == (isa != "avx2")
    assert not exact["avx512_vnni"]


def test_movement_shares_its_scale(build):
    built = build(image_network())
    proto = built.emit(TuningConfig()).proto
    maker = {tensor: node for node in proto.graph.node for tensor in node.output}
    reader = {tensor: node for node in proto.graph.node for tensor in node.input}
    for node in proto.graph.node:
        if node.op_type in ("MaxPool", "Concat", "Resize"):
            behind = list(reader[node.output[0]].input[1:])
            data = node.input if node.op_type == "Concat" else node.input[:1]
            assert [list(maker[name].input[1:]) for name in data] == [behind] * len(data)


def test_biases_are_codes_of_the_products_scale(build):
    built = build(image_network())
    proto = built.emit(TuningConfig()).proto
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    maker = {tensor: node for node in proto.graph.node for tensor in node.output}
    for node in proto.graph.node:
        if node.op_type == "Conv":
            x, w, b = (maker[name] for name in node.input)
            assert {one.op_type for one in (x, w, b)} == {"DequantizeLinear"}
            assert constants[b.input[0]].dtype == np.int32
            product = constants[x.input[1]] * constants[w.input[1]]
            np.testing.assert_allclose(constants[b.input[1]], product, rtol=1e-6)


def test_outputs_and_fp32_readers_find_what_they_read(build):
    """A convolution's result that is an output, and read by an op that stays fp32."""
    maker = NetworkMaker()
    both = maker.conv("x", (3, 4))
    last = maker.op("Sigmoid", [both])
    model = maker.model({"x": ["n", 3, 8, 8]}, {both: ["n", 4, 8, 8], last: ["n", 4, 8, 8]})
    built = build(model)
    int8 = built.emit(TuningConfig())
    inner, outer = int8(built.batches[0])
    np.testing.assert_allclose(outer, 1 / (1 + np.exp(-inner)), atol=1e-6)
    assert built.error(int8) < 0.01


def test_subgraphs_read_what_is_carried(build):
    """A branch of an If reads a convolution's result from outside."""
    maker = NetworkMaker()
    x = maker.conv("x", (3, 4))
    branches = {}
    for name, kind in (("then_branch", "Sigmoid"), ("else_branch", "Tanh")):
        node = onnx.helper.make_node(kind, [x], [f"{kind}_out"])
        value = onnx.helper.make_tensor_value_info(f"{kind}_out", 1, ["n", 4, 8, 8])
        branches[name] = onnx.helper.make_graph([node], kind, [], [value])
    total = maker.op("ReduceSum", ["x"], keepdims=0)
    positive = maker.op("Greater", [total, maker.constant(np.float32(0))])
    y = maker.op("If", [positive], **branches)
    built = build(maker.model({"x": ["n", 3, 8, 8]}, {y: ["n", 4, 8, 8]}))
    assert 0 < built.error(built.emit(TuningConfig())) < 0.01


def test_equal_weights_of_two_convolutions(build):
    """A head that is applied twice: each use has a scale of bias of its own."""
    maker = NetworkMaker()
    first = maker.op("Relu", [maker.conv("x", (4, 4))])
    head = [maker.constant(maker.rng.normal(0, 1, (4, 4, 1, 1)).astype(np.float32))]
    head.append(maker.constant(maker.rng.normal(0, 1, 4).astype(np.float32)))
    a, b = (maker.op("Conv", [one, *head]) for one in ("x", first))
    y = maker.op("Concat", [a, b], axis=1)
    built = build(maker.model({"x": ["n", 4, 8, 8]}, {y: ["n", 8, 8, 8]}))
    for config in (TuningConfig(), TuningConfig(equalization=1.0, bias_correction=True)):
        assert 0 < built.error(built.emit(config)) < 0.01


def shuffle_network():
    """Convolutions of very uneven channels around concatenation, shuffle, pool and resizing."""
    maker = NetworkMaker()

    def uneven(x, channels):
        read, made = channels
        size = np.exp(maker.rng.uniform(-4, 1, (made, 1, 1, 1)))
        weights = (maker.rng.normal(0, 1, (made, read, 3, 3)) * size).astype(np.float32)
        bias = (maker.rng.normal(0, 1, made) * size.ravel()).astype(np.float32)
        inputs = [x, maker.constant(weights), maker.constant(bias)]
        return maker.op("Relu", [maker.op("Conv", inputs, pads=[1, 1, 1, 1])])

    x = maker.op("Concat", [uneven("x", (3, 4)), uneven("x", (3, 8))], axis=1)
    split = maker.constant(np.array([0, 6, 2, 8, 8], np.int64))
    x = maker.op("Reshape", [x, split])
    x = maker.op("Transpose", [x], perm=[0, 2, 1, 3, 4])
    x = maker.op("Reshape", [x, maker.constant(np.array([0, 12, 8, 8], np.int64))])
    x = maker.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    mixed = maker.op("Slice", [x, *(maker.constant(np.array([n], np.int64)) for n in (2, 11, 1))])
    y = maker.op("Concat", [uneven(mixed, (9, 4)), uneven(x, (12, 4))], axis=1)
    y = uneven(y, (8, 6))
    return maker.model({"x": ["n", 3, 8, 8]}, {y: ["n", 6, 4, 4]})


def test_equalization_pays(build):
    built = build(shuffle_network())
    assert built.error(built.emit(TuningConfig(equalization=0.5))) < 0.5 * built.error(
        built.emit(TuningConfig())
    )


def test_equalization_computes_the_same(build):
    """With the factors in fp32 weights, the network computes what it did."""
    built = build(shuffle_network())
    emitter: Emitter = built.backend._static
    config = TuningConfig()
    plan = emitter._planner.plan(config, built.statistics)
    groups = emitter._groups
    factors = find_factors(plan, emitter._channels, groups, built.statistics, strength=1.0)
    assert len(factors.made) == 4, "all convolutions but the last"
    assert len(factors.read) == 3
    proto = onnx.ModelProto()
    proto.CopyFrom(built.backend._graph.proto)
    nodes = {node.name: node for node in proto.graph.node}
    constants = {one.name: one for one in proto.graph.initializer}
    for group in groups.values():
        node = nodes[group.anchor]
        for index, values in ((1, factors.weights(group)), (2, factors.bias(group))):
            array = onnx.numpy_helper.from_array(values.astype(np.float32), node.input[index])
            constants[node.input[index]].CopyFrom(array)
    for batch in batches(proto):
        expected = built.network(batch)
        np.testing.assert_allclose(OnnxModel(proto)(batch), expected, rtol=1e-3, atol=1e-4)


def test_groups_in_fp32_do_not_stand_in_the_way(build):
    built = build(shuffle_network())
    names = [group.name for group in built.backend.op_graph.quantizable]
    for name in names:
        config = TuningConfig(fp32=frozenset({name}), equalization=0.5, bias_correction=True)
        assert built.error(built.emit(config)) < 0.01


def test_bias_correction_takes_the_mean_out(build):
    built = build(image_network(), isa="avx2")
    few = {name: 4 for name in (group.name for group in built.backend.op_graph.quantizable)}
    plain = built.error(built.emit(TuningConfig(weight_bits=few)))
    corrected = built.error(built.emit(TuningConfig(weight_bits=few, bias_correction=True)))
    assert corrected < plain


def test_decisions_are_compared_in_front_of_them(build):
    """Indices of a top-k cannot be compared; the scores in front of it can."""
    maker = NetworkMaker()
    scores = maker.op("Sigmoid", [maker.op("Flatten", [maker.conv("x", (3, 4))])])
    model = maker.model({"x": ["n", 3, 8, 8]}, {scores: ["n", 256]})
    many = maker.constant(np.array([5], np.int64))
    node = onnx.helper.make_node("TopK", [scores, many], ["values", "places"])
    model.graph.node.append(node)
    model.graph.initializer.append(maker._weights[-1])
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("values", 1, ["n", 5]))
    built = build(model)
    (reference,) = built.backend.references(built.batches[:1])
    assert [one.shape for one in reference.outputs] == [(4, 256)]
    assert 0 < built.error(built.emit(TuningConfig())) < 0.01


def test_reasons_for_fp32(build):
    built = build(encoder_network())
    reasons = Counter(group.reason for group in built.backend.op_graph.groups)
    assert reasons["its weights are computed at run time"] == 4


def mixed_network(*, relu):
    """A concatenation of what is negative with what a Relu (or nothing) is behind, and readers."""
    maker = NetworkMaker()
    parts = [maker.conv("image", (3, 4)), maker.conv("image", (3, 4))]
    parts[0] = maker.op("Relu", parts[:1]) if relu else parts[0]
    pooled = maker.op("MaxPool", parts[:1], kernel_shape=[2, 2], strides=[2, 2])
    other = maker.op("MaxPool", parts[1:], kernel_shape=[2, 2], strides=[2, 2])
    x = maker.op("Concat", [pooled, other], axis=1)
    x = maker.op("Concat", [x, other], axis=1)
    return maker.model({"image": ["batch", 3, 8, 8]}, {maker.conv(x, (12, 4)): ["batch", 4, 4, 4]})


@pytest.mark.parametrize("relu", [True, False])
def test_a_relu_beside_negative_values_is_still_a_part_of_its_kernel(build, tmp_path, relu):
    built = build(mixed_network(relu=relu))
    model = built.emit(TuningConfig())
    found = runs_as(model, tmp_path)
    assert found["QLinearConv"] == 3
    assert found["QLinearConcat"] == 2
    assert found["Conv"] == found["FusedConv"] == found["Relu"] == 0
    assert built.error(model) < 1e-3
    scales = {node.input[1] for node in model.proto.graph.node if node.op_type == "QuantizeLinear"}
    # The image, the output and, between them, one encoding for all, or one for each part and all.
    assert len(scales) == (5 if relu else 3)
