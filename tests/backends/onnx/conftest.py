import pytest

from lpot_examples.backends.onnx.framework import backend, open_network
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.onnx_networks import batches


class Built:
    """A backend with statistics of random batches."""

    def __init__(self, model, *, isa="avx512_vnni", dynamic=False):
        approach = f"post_training_{'dynamic' if dynamic else 'static'}_quant"
        self.network = open_network(model)
        self.batches = batches(model)
        self.backend = backend(self.network, INSTRUCTION_SETS[isa], approach=approach)
        count = sum(len(next(iter(batch.values()))) for batch in self.batches)
        found = self.backend.calibrate(iter(self.batches), sizes=[count])
        self.statistics = found[count]

    def emit(self, config):
        return self.backend.emit(config, self.statistics)

    def error(self, model):
        """Squared error relative to the power of the outputs."""
        batch = self.batches[0]
        (reference,) = self.backend.references([batch])
        found = self.backend.raw_outputs(model, batch, reference)
        pairs = list(zip(reference.outputs, found, strict=True))
        return sum(((a - b) ** 2).sum() for a, b in pairs) / sum((a**2).sum() for a, _ in pairs)


@pytest.fixture
def build():
    return Built
