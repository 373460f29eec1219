"""The label-free error: what it is, and that putting batches together does not change it."""

import numpy as np
import pytest

from lpot_examples.backends.base import Reference
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import DataError
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.probe import OutputErrorProbe

CONFIG = TuningConfig()


class Network:
    """fp32 gives ``outputs(x)``, int8 the same of values that are off by ``error``."""

    def __init__(self, outputs, *, error=0.01, free=True, batch=None):
        self._outputs, self._error, self._batch = outputs, error, batch
        first = None if free else 1
        self.input_spec = {"x": ((first, 3), np.dtype(np.float32))}
        self.runs = []

    def emit(self, config, statistics):
        return self

    def close(self):
        pass

    def references(self, batches):
        return [Reference(self._run(batch["x"], 0.0)) for batch in batches]

    def raw_outputs(self, model, batch, reference):
        return self._run(batch["x"], self._error)

    def _run(self, x, error):
        if self._batch and len(x) != self._batch:
            raise DataError(f"a batch of {self._batch} is built in.")
        self.runs.append(len(x))
        return self._outputs(x + error)


def probed(folder, network, *, samples=10):
    rng = np.random.default_rng(0)
    batches = [{"x": one[None]} for one in rng.normal(size=(samples, 3)).astype(np.float32)]
    folder.mkdir(exist_ok=True)
    journal = Journal(folder / "journal.jsonl", {"network": "n"})
    probe = OutputErrorProbe(network, {4: Statistics({}, 4)}, batches, journal)
    try:
        return probe(CONFIG), np.concatenate([batch["x"] for batch in batches])
    finally:
        journal.close()


def softmax(x):
    e = np.exp(x * [1.0, 2.0, 3.0])
    return e / e.sum(-1, keepdims=True)


def test_the_error_is_that_of_all_samples(tmp_path):
    network = Network(lambda x: [x])
    error, x = probed(tmp_path, network)
    assert error == pytest.approx(x.size * 0.01**2 / np.sum(x**2), rel=1e-4)


def test_batches_go_together_where_the_network_takes_any_number(tmp_path):
    network = Network(lambda x: [x])
    probed(tmp_path, network)
    assert network.runs == [8, 2, 8, 2]  # references, then int8


@pytest.mark.parametrize("outputs", [lambda x: [x], lambda x: [softmax(x)]])
@pytest.mark.parametrize("options", [{"free": False}, {"batch": 1}])
def test_a_batch_of_one_that_is_built_in_gives_the_same_error(tmp_path, outputs, options):
    network = Network(outputs, **options)
    single, _ = probed(tmp_path / "single", network)
    assert set(network.runs) == {1}
    assert probed(tmp_path / "joined", Network(outputs))[0] == pytest.approx(single, rel=1e-5)


def test_probabilities_are_compared_by_divergence(tmp_path):
    error, x = probed(tmp_path, Network(lambda x: [softmax(x)]))
    p, q = softmax(x.astype(np.float64)), softmax(x + np.float32(0.01))
    assert error == pytest.approx(np.mean(np.sum(p * np.log(p / q), -1)), rel=1e-2)


def test_many_outputs_of_one_shape_weigh_as_much_as_one_of_another(tmp_path):
    def outputs(count):
        return lambda x: [*[x] * count, np.repeat(x, 2, 1) + 1]

    assert probed(tmp_path / "a", Network(outputs(1)))[0] == pytest.approx(
        probed(tmp_path / "b", Network(outputs(9)))[0]
    )


def test_outputs_of_another_shape_are_as_wrong_as_can_be(tmp_path):
    network = Network(lambda x: [x])
    network.raw_outputs = lambda model, batch, reference: [np.zeros((1, 5), np.float32)]
    assert probed(tmp_path, network)[0] == 1.0
