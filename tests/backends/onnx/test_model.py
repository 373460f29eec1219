import numpy as np
import pytest

from lpot_examples.backends.onnx.framework import open_network
from lpot_examples.backends.onnx.model import load_model
from lpot_examples.errors import DataError, OutputError
from lpot_examples.testing.onnx_networks import NetworkMaker, batches, image_network


def test_channels_may_come_last():
    model = open_network(image_network())
    image = batches(image_network())[0]["image"]
    np.testing.assert_array_equal(model(np.moveaxis(image, 1, -1)), model(image))


def test_what_fits_as_it_is_is_not_moved():
    maker = NetworkMaker()
    x = maker.op("Relu", ["x"])
    model = open_network(maker.model({"x": ["n", 5, 5, 5]}, {x: ["n", 5, 5, 5]}))
    x = np.random.default_rng(0).random((1, 5, 5, 5), np.float32)
    np.testing.assert_array_equal(model(x), x)


def test_a_batch_that_is_built_in():
    free, fixed = open_network(image_network()), open_network(image_network(batch=2))
    image = np.random.default_rng(0).random((5, 3, 16, 16), np.float32)
    np.testing.assert_allclose(fixed(image), free(image), atol=1e-6)
    assert fixed(image).shape == (5, 10)


def test_a_built_in_batch_whose_outputs_cannot_be_put_together():
    maker = NetworkMaker()
    x = maker.op("ReduceSum", ["x"], keepdims=0)
    model = open_network(maker.model({"x": [1, 4]}, {x: []}))
    assert model(np.ones((1, 4), np.float32)) == 4
    with pytest.raises(DataError, match="takes batches of 1.*give batches of 1"):
        model(np.ones((2, 4), np.float32))


def test_save_and_load(tmp_path):
    model = open_network(image_network())
    path = model.save(tmp_path / "folder" / "m.onnx")
    assert [one.name for one in path.parent.iterdir()] == ["m.onnx"]
    image = batches(image_network())[0]
    np.testing.assert_array_equal(load_model(path, threads=1)(image), model(image))


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the model"):
        open_network(image_network()).save(tmp_path / "file" / "m.onnx")


def test_inner_tensors():
    model = open_network(image_network())
    (inner,) = model.run([model.proto.graph.node[0].output[0]], batches(image_network())[0])
    assert inner.shape == (4, 8, 16, 16)
