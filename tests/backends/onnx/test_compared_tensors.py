"""What int8 is compared with in front of decisions."""

import numpy as np
import onnx
import pytest

from lpot_examples.graph import TuningConfig
from lpot_examples.testing.onnx_networks import NetworkMaker


def chosen_of(anchors):
    """A network that adds anchors to what a convolution gives, and keeps the five greatest."""
    maker = NetworkMaker()
    boxes = maker.op("Flatten", [maker.conv("x", (3, 4))])
    boxes = maker.op("Add", [boxes, maker.constant(anchors)])
    model = maker.model({"x": ["n", 3, 8, 8]}, {boxes: ["n", 256]})
    names = [boxes, maker.constant(np.array([5], np.int64))]
    model.graph.node.append(onnx.helper.make_node("TopK", names, ["values", "places"]))
    model.graph.initializer.append(maker._weights[-1])
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("values", 1, ["n", 5]))
    return model


def test_anchors_hide_no_error(build):
    """What all samples share is no part of what int8 is compared with."""
    errors = []
    for size in (0, 1000):
        anchors = np.linspace(-size, size, 256, dtype=np.float32)
        built = build(chosen_of(anchors))
        (reference,) = built.backend.references(built.batches[:1])
        np.testing.assert_allclose(reference.outputs[0].mean(axis=0), 0, atol=1e-3)
        errors.append(built.error(built.emit(TuningConfig())))
    assert errors[1] == pytest.approx(errors[0], rel=0.01)


def test_outputs_are_compared_as_they_are(build):
    maker = NetworkMaker()
    y = maker.op("Add", [maker.conv("x", (3, 4)), maker.constant(np.float32(100))])
    built = build(maker.model({"x": ["n", 3, 8, 8]}, {y: ["n", 4, 8, 8]}))
    (reference,) = built.backend.references(built.batches[:1])
    np.testing.assert_array_equal(reference.outputs[0], built.network(built.batches[0]))
