import pytest

from lpot_examples.backends.neural_compressor.batches import read_batches
from lpot_examples.backends.neural_compressor.process import WorkerProcess
from lpot_examples.backends.neural_compressor.recipe import COMPUTE
from lpot_examples.errors import EmitError

STEPS = 15


class FakeCompressor:
    """Stands in for Neural Compressor and its process.

    It rounds the weights of the ops that a recipe leaves in int8 to a few steps.

    Attributes:
        trouble: Names of the ops that it fails at.
        requests: Everything it was asked for.
    """

    def __init__(self):
        self.trouble = set()
        self.requests = []

    def run(self, request):
        from pathlib import Path

        from tensorflow.core.framework import graph_pb2

        self.requests.append(request)
        graph = graph_pb2.GraphDef.FromString(Path(request.graph).read_bytes())
        fp32 = request.recipe["fp32"]
        int8 = [node for node in graph.node if node.op in COMPUTE and node.name not in fp32]
        for node in int8:
            if node.name in self.trouble:
                raise EmitError(f"Neural Compressor failed: '{node.name}' is too much")
        batches = read_batches(Path(request.batches), request.recipe["samples"])
        seen = sum(len(next(iter(batch.values()))) for batch in batches)
        assert seen == request.recipe["samples"]
        nodes = {node.name: node for node in graph.node}
        for node in int8:
            _round(nodes, node.input[1])
        Path(request.target).write_bytes(graph.SerializeToString(deterministic=True))


def _round(nodes, name):
    import numpy as np
    from tensorflow.python.framework import tensor_util

    while nodes[name].op == "Identity":
        name = nodes[name].input[0]
    value = nodes[name].attr["value"].tensor
    array = tensor_util.MakeNdarray(value)
    step = np.abs(array).max() / STEPS
    rounded = (np.round(array / step) * step).astype(array.dtype)
    value.CopyFrom(tensor_util.make_tensor_proto(rounded))


@pytest.fixture
def compressor(monkeypatch):
    """Requests are done in this process, without Neural Compressor."""
    fake = FakeCompressor()
    monkeypatch.setattr(WorkerProcess, "run", lambda self, request: fake.run(request))
    monkeypatch.setattr(
        "lpot_examples.backends.neural_compressor.requirement.check_requirements", lambda: "0.fake"
    )
    return fake
