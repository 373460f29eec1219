"""What every backend must do, on the networks of each framework."""

import pytest

from lpot_examples.backends.registry import framework_of
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.conformance import CHECKS, Subject


def tensorflow_graph():
    from lpot_examples.backends.tensorflow.model import TensorFlowModel
    from lpot_examples.testing.random_graphs import random_graph

    made = random_graph(3)
    return TensorFlowModel(made.graph_def, inputs=made.inputs, outputs=made.outputs), made.batches


def onnx_images():
    from lpot_examples.testing.onnx_networks import batches, image_network

    return image_network(), batches(image_network())


def onnx_old_images():
    """An opset without scales per channel, and a batch that is built in."""
    from lpot_examples.testing.onnx_networks import batches, image_network

    model = image_network(batch=1, opset=11)
    return model, batches(model, count=6)


def onnx_encoder():
    from lpot_examples.testing.onnx_networks import batches, encoder_network

    return encoder_network(), batches(encoder_network())


NETWORKS = {
    one.__name__: one for one in (tensorflow_graph, onnx_images, onnx_old_images, onnx_encoder)
}


@pytest.fixture(scope="module", params=NETWORKS)
def made(request):
    model, batches = NETWORKS[request.param]()
    framework = framework_of(model)
    network = framework.open(model)
    isa = INSTRUCTION_SETS["avx512_vnni"]
    backend = framework.backend(network, isa, approach="post_training_static_quant")
    return backend, batches, lambda: framework.content(network)[0]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check, made, tmp_path):
    backend, batches, content = made
    CHECKS[check](Subject(backend, batches, content, tmp_path))
