"""The networks that ship with the repository, op by op against fp32."""

from pathlib import Path

import numpy as np
import pytest
from graphs import compiled

from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.graph import TuningConfig
from lpot_examples.testing.simulation import Simulation

ROOT = Path(__file__).parents[3]
NETWORKS = ("object_detection/ssd_shapes/ssd_shapes.pb", "classification/digits/digits.pb")


@pytest.mark.parametrize("path", NETWORKS)
@pytest.mark.parametrize("refined", [False, True])
def test_every_op_is_right(path, refined):
    model = load_model(ROOT / path)
    (name,) = model.input_names
    shape, dtype = model.input_spec(name)
    rng = np.random.default_rng(0)
    sizes = [3, *(extent or 32 for extent in shape[1:])]
    if dtype == np.uint8:
        feed = {name: rng.integers(0, 256, sizes).astype(np.uint8)}
    else:
        feed = {name: rng.uniform(0, 1, sizes).astype(dtype)}
    network = compiled(model.graph_def, feed, outputs=model.output_names)
    config = TuningConfig(equalization=0.5, bias_correction=True) if refined else TuningConfig()
    emitted = network.emit(config)
    assert len(emitted.plan.groups) == len(network.grouping.compute) > 2
    deviation = Simulation(network, emitted, config).check(feed)
    assert deviation.worst[1] <= 1, deviation.worst
