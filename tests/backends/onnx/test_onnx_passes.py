"""Rewrites of cleaned networks: the same outputs, and each reason to decline."""

import numpy as np
import onnxruntime
import pytest
from onnx import shape_inference

from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.passes import (
    average_to_depthwise,
    bias_into_product,
    run_all,
    shuffles_to_gathers,
    softmax_of_rows,
)
from lpot_examples.backends.onnx.proto import name_nodes
from lpot_examples.graph import TuningConfig
from lpot_examples.testing.onnx_networks import NetworkMaker

SIZE = 8


def shuffled(maker, x, channels, *, batch=-1):
    """A channel shuffle in two parts, and the halves of what it makes."""
    half = channels // 2
    shape = maker.constant(np.array([batch, 2, half, SIZE, SIZE]))
    back = maker.constant(np.array([batch, channels, SIZE, SIZE]))
    x = maker.op("Transpose", [maker.op("Reshape", [x, shape])], perm=[0, 2, 1, 3, 4])
    x = maker.op("Reshape", [x, back])
    halves = []
    for start in (0, half):
        where = [maker.constant(np.array([value])) for value in (start, start + half, 1)]
        halves.append(maker.op("Slice", [x, *where]))
    return halves


def network(body, *, batch="batch", channels=4):
    maker = NetworkMaker()
    made = body(maker)
    made = (made,) if isinstance(made[0], str) else made
    shapes = {name: [None] * rank for name, rank in made}
    model = maker.model({"image": [batch, channels, SIZE, SIZE]}, shapes)
    name_nodes(model)
    return shape_inference.infer_shapes(model, data_prop=True)


def shuffle_net(*, batch="batch"):
    def body(maker):
        x = maker.op("Relu", [maker.conv("image", (4, 8))])
        kept, read = shuffled(maker, x, 8)
        y = maker.op("Relu", [maker.conv(read, (4, 4))])
        y = maker.op("Concat", [kept, y], axis=1)
        first, second = shuffled(maker, y, 8)
        y = maker.op("Concat", [maker.conv(first, (4, 4)), maker.conv(second, (4, 4))], axis=1)
        return (y, 4)

    return network(body, batch=batch)


def image(count=2, channels=4):
    return np.random.default_rng(3).normal(0, 1, (count, channels, SIZE, SIZE)).astype(np.float32)


def outputs(model, values):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(
        None, {"image": values}
    )


def types(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("samples", [1, 3])
def test_shuffles_become_one_gather_for_each_choice(samples):
    model = shuffle_net()
    made = shuffles_to_gathers.run(model)
    assert types(model).count("Transpose") == 2
    assert not {"Transpose", "Reshape", "Slice"} & set(types(made))
    assert types(made).count("Gather") == 4
    (wanted,), (found,) = outputs(model, image(samples)), outputs(made, image(samples))
    assert np.array_equal(wanted, found)


def test_every_second_channel_is_a_choice_and_a_run_of_channels_is_none():
    def every_second(step):
        def body(maker):
            x = maker.conv("image", (4, 8))
            where = [maker.constant(np.array([value])) for value in (1, 8, 1, step)]
            return (maker.op("Slice", [x, *where]), 4)

        return network(body)

    second, run = every_second(2), every_second(1)
    made = shuffles_to_gathers.run(second)
    assert types(made) == ["Conv", "Gather"]
    assert np.array_equal(outputs(second, image())[0], outputs(made, image())[0])
    assert shuffles_to_gathers.run(run) is run


def test_a_shuffle_of_pixels_is_none_of_channels():
    def body(maker):
        x = maker.conv("image", (4, 4))
        flat = maker.op("Reshape", [x, maker.constant(np.array([-1, 4, 4, 16]))])
        turned = maker.op("Transpose", [flat], perm=[0, 1, 3, 2])
        return (maker.op("Reshape", [turned, maker.constant(np.array([-1, 4, 8, 8]))]), 4)

    model = network(body)
    assert shuffles_to_gathers.run(model) is model


def test_a_shuffle_across_samples_is_left_alone():
    """What it does with one sample is a choice of channels; with two it mixes them."""

    def body(maker):
        shape = maker.constant(np.array([2, -1, SIZE, SIZE]))
        back = maker.constant(np.array([-1, 4, SIZE, SIZE]))
        x = maker.op("Transpose", [maker.op("Reshape", ["image", shape])], perm=[1, 0, 2, 3])
        return (maker.op("Reshape", [x, back]), 4)

    one, many = network(body, batch=1), network(body)
    assert types(shuffles_to_gathers.run(one)) == ["Gather"]
    assert shuffles_to_gathers.run(many) is many


def test_what_else_is_read_of_a_chain_stays():
    def body(maker):
        flat = maker.op("Reshape", ["image", maker.constant(np.array([-1, 2, 2, 64]))])
        turned = maker.op("Transpose", [flat], perm=[0, 2, 1, 3])
        x = maker.op("Reshape", [turned, maker.constant(np.array([-1, 4, SIZE, SIZE]))])
        return (x, 4), (turned, 4)

    model = network(body)
    made = shuffles_to_gathers.run(model)
    assert sorted(types(made)) == ["Gather", "Reshape", "Transpose"]
    for wanted, found in zip(outputs(model, image()), outputs(made, image()), strict=True):
        assert np.array_equal(wanted, found)


def pooled(**how):
    def body(maker):
        x = maker.op("Relu", [maker.conv("image", (4, 8))])
        x = maker.op("AveragePool", [x], **{"kernel_shape": [3, 3], **how})
        return (maker.conv(x, (8, 4)), 4)

    return network(body)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"kernel_shape": [2, 3], "auto_pad": "VALID"},
    ],
)
def test_average_pools_become_depthwise_convolutions(how):
    model = pooled(**how)
    made = average_to_depthwise.run(model)
    assert types(made) == ["Conv", "Relu", "Conv", "Conv"]
    np.testing.assert_allclose(
        outputs(model, image())[0], outputs(made, image())[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"pads": [1, 1, 1, 1]}, "averages fewer"),
        ({"auto_pad": "SAME_UPPER"}, "averages fewer"),
        ({"ceil_mode": 1, "strides": [2, 2]}, "beyond the image"),
    ],
)
def test_average_pools_that_stay(how, reason):
    model = pooled(**how)
    graph = Graph(model)
    (node,) = (node for node in model.graph.node if node.op_type == "AveragePool")
    assert reason in average_to_depthwise.check(graph, node)
    assert average_to_depthwise.run(model) is model


def test_an_average_of_the_result_stays():
    def body(maker):
        x = maker.conv("image", (4, 8))
        return (maker.op("AveragePool", [x], kernel_shape=[2, 2]), 4)

    model = network(body)
    assert average_to_depthwise.run(model) is model


@pytest.mark.parametrize("axis", [1, -3, 2])
def test_a_softmax_over_an_inner_axis_has_one_axis_behind(axis):
    model = network(lambda maker: (maker.op("Softmax", ["image"], axis=axis), 4))
    made = softmax_of_rows.run(model)
    if axis == 2:  # has one behind already
        assert made is model
        return
    assert types(made) == ["Reshape", "Softmax", "Reshape"]
    assert np.array_equal(outputs(model, image(3))[0], outputs(made, image(3))[0])


def test_log_softmax_stays_one():
    model = network(lambda maker: (maker.op("LogSoftmax", ["image"], axis=1), 4))
    made = softmax_of_rows.run(model)
    assert types(made) == ["Reshape", "LogSoftmax", "Reshape"]
    assert np.array_equal(outputs(model, image())[0], outputs(made, image())[0])


def test_a_network_without_any_of_it_is_not_touched():
    model = network(lambda maker: (maker.conv("image", (4, 4)), 4))
    assert run_all(model) is model


def test_a_shuffled_network_in_int8_moves_codes(build):
    """Everything between two convolutions runs on codes, and copies planes."""
    built = build(shuffle_net())
    model = built.emit(TuningConfig())
    assert built.error(model) < 0.01
    made = built.backend.graph.nodes.values()
    assert [node.op_type for node in made].count("Gather") == 4
    decided = built.backend.explain(TuningConfig(), built.statistics, {})
    moved = [one for one in decided if one.type in ("Gather", "Concat")]
    assert [one.precision for one in moved if "chosen" in one.name] == ["int8"] * 4


def product(*, rank=2, bias=(3,), twice=False):
    """A product with a bias, of what has so many axes."""
    maker = NetworkMaker()
    x = maker.op("GlobalAveragePool", ["image"])
    x = maker.op("Flatten", [x]) if rank == 2 else maker.op("Squeeze", [x, maker.constant([3])])
    x = maker.op("Transpose", [x], perm=[0, 2, 1]) if rank == 3 else x
    made = maker.matmul(x, (4, 3))
    values = np.linspace(-1, 1, int(np.prod(bias))).reshape(bias).astype(np.float32)
    y = maker.op("Add", [maker.constant(values), made])
    shapes = {y: [None] * rank, **({made: [None] * rank} if twice else {})}
    model = maker.model({"image": ["batch", 4, SIZE, SIZE]}, shapes)
    name_nodes(model)
    return shape_inference.infer_shapes(model, data_prop=True)


def test_a_bias_becomes_a_part_of_its_product():
    model = product()
    made = bias_into_product.run(model)
    assert types(made)[-1] == "Gemm" and "MatMul" not in types(made)
    (wanted,), (found,) = outputs(model, image()), outputs(made, image())
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", [{"rank": 3}, {"bias": (1,)}, {"bias": (1, 3)}, {"twice": True}])
def test_what_is_no_bias_of_a_product_of_two_matrices_stays(how):
    model = product(**how)
    assert bias_into_product.run(model) is model
