"""What is reduced inside the network is what NumPy finds in the tensors themselves."""

import numpy as np
import pytest

from lpot_examples.backends.onnx import calibrate
from lpot_examples.backends.onnx.model import OnnxModel, with_outputs
from lpot_examples.backends.onnx.observed import ObservedNetwork, observe
from lpot_examples.testing.onnx_networks import NetworkMaker, batches, image_network


def small(opset):
    """A convolution, a pool and a product, and a tensor of unknown shape behind them."""
    make = NetworkMaker(opset=opset)
    x = make.op("Relu", [make.conv("x", (3, 8))])
    pooled = make.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    unknown = make.op("Reshape", [pooled, make.op("Shape", [pooled])])
    model = make.model({"x": ["n", 3, 12, 12]}, {unknown: ["n", 8, 6, "w"]})
    return model, (x, pooled, unknown)


@pytest.mark.parametrize("opset", [13, 18])
def test_reductions_agree_with_numpy(opset):
    model, (x, pooled, unknown) = small(opset)
    batch = {"x": np.random.default_rng(0).normal(0, 1, (2, 3, 12, 12)).astype(np.float32)}
    axes = {"x": 1, x: 1}
    tensors = ["x", x, pooled, unknown]
    network = ObservedNetwork(
        model, tensors, axes=axes, shapes={"x": (2, 3, 12, 12)}, most=100, large=0
    )
    found = network.run(batch)
    inner = OnnxModel(with_outputs(model, [x, pooled])).run(tensors[1:], batch)
    values = dict(zip(tensors, [batch["x"], *inner], strict=True))
    for name in tensors:
        expected = observe(values[name], axis=axes.get(name), most=100)
        one = found[name]
        assert one.size == expected.size
        np.testing.assert_array_equal(one.minimum, expected.minimum)
        np.testing.assert_array_equal(one.maximum, expected.maximum)
        np.testing.assert_allclose(one.mean, expected.mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(one.sample, expected.sample)


def test_tensors_inside_are_not_given():
    model, (x, pooled, _) = small(13)
    shapes = {"x": (1, 3, 12, 12)}
    inside = ObservedNetwork(model, [x, pooled], axes={x: 1}, shapes=shapes, most=8, large=0)
    outside = ObservedNetwork(model, [x, pooled], axes={x: 1}, shapes={}, most=8, large=0)
    assert not {x, pooled} & set(inside._outputs)
    assert set(outside._outputs) == {x, pooled}


def test_batches_of_a_network_that_takes_one_are_taken_apart():
    given = image_network(batch=1)
    tensor = given.graph.node[0].output[0]
    whole = {"image": np.concatenate([batch["image"] for batch in batches(given)])}
    singles = [{"image": one[None]} for one in whole["image"]]
    together, apart = (
        calibrate.collect(given, [tensor], data, sizes=[len(singles)], axes={tensor: 1})
        for data in ([whole], singles)
    )
    (one,), (other,) = together.values(), apart.values()
    np.testing.assert_array_equal(one.tensors[tensor].counts, other.tensors[tensor].counts)
    np.testing.assert_array_equal(one.channels[tensor].mean, other.channels[tensor].mean)
    assert one.samples == other.samples == len(singles)
