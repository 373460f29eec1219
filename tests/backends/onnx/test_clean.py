"""The cleaned network runs as the one that was given."""

from collections import Counter

import numpy as np
import pytest

from lpot_examples.backends.onnx.clean import OPSET, clean
from lpot_examples.backends.onnx.model import OnnxModel
from lpot_examples.backends.onnx.proto import opset
from lpot_examples.testing.onnx_networks import (
    NetworkMaker,
    batches,
    encoder_network,
    image_network,
)


def cleaned(model):
    given = OnnxModel(model)
    made = OnnxModel(clean(model, outputs=given.output_names, source="the model"))
    for batch in batches(model):
        np.testing.assert_allclose(made(batch), given(batch), rtol=1e-4, atol=1e-5)
    return made.proto, Counter(node.op_type for node in made.proto.graph.node)


@pytest.mark.parametrize("version", [9, 11, 13, 17, 21])
def test_opsets(version):
    if version == 9:
        maker = NetworkMaker(opset=9)
        x = maker.op("Relu", [maker.conv("x", (3, 4))])
        x = maker.op("Softmax", [maker.op("Dropout", [x])], axis=1)
        model = maker.model({"x": ["n", 3, 4, 4]}, {x: ["n", 4, 4, 4]})
    else:
        model = image_network(opset=version)
    proto, types = cleaned(model)
    assert opset(proto) == max(version, OPSET)
    assert not {"BatchNormalization", "Dropout", "Identity", "Constant"} & types.keys()


def test_encoders():
    _, types = cleaned(encoder_network())
    assert types["Gemm"] == 0
    assert types["MatMul"] == 16


def test_the_batch_stays_free():
    proto, _ = cleaned(image_network())
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_weights_listed_as_inputs_become_constants():
    model = image_network(opset=11)
    for one in list(model.graph.initializer)[:2]:
        value = model.graph.input.add()
        value.name = one.name
        value.type.tensor_type.elem_type = one.data_type
        for size in one.dims:
            value.type.tensor_type.shape.dim.add().dim_value = size
    assert OnnxModel(model).input_names == ("image",)
    proto = clean(model, outputs=(model.graph.output[0].name,), source="the model")
    assert [one.name for one in proto.graph.input] == ["image"]


def test_only_the_outputs_that_are_wanted():
    model = image_network()
    extra = model.graph.output.add()
    extra.name = model.graph.node[0].output[0]
    extra.type.tensor_type.elem_type = 1
    proto = clean(model, outputs=(extra.name,), source="the model")
    assert [node.op_type for node in proto.graph.node] == ["Conv"]
