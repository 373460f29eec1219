"""The fp32 figures of the bring-your-own topologies, on public photographs and networks.

Set LPOT_REAL_DATA to a folder with ``models/<topology>.pb``, ``coco/`` and ``imagenet/``; see the
READMEs of the topologies for their layouts.
"""

import json
import os
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lpot_examples.zoo.topologies import find_topology

DATA = os.environ.get("LPOT_REAL_DATA")
DATASETS = {"fastestdet": "coco", "squeezenet": "imagenet", "mobilenet_v2": "imagenet"}

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA, reason="LPOT_REAL_DATA is not set: real networks are NOT tested"),
]


def frozen_model(path):
    """A callable of the graph, in TensorFlow alone."""
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    session = tf.compat.v1.Session(graph=graph)
    return lambda batch: session.run("output:0", {"input:0": batch})


@cache
def scored(name):
    """The evaluation of a network on all its images: result, samples, the last progress."""
    evaluation = find_topology(name).eval_func(Path(DATA) / DATASETS[name])
    done = []
    model = frozen_model(Path(DATA) / "models" / f"{name}.pb")
    return evaluation(model, progress=lambda *at: done.append(at)), evaluation.samples, done[-1]


@pytest.mark.parametrize("name", DATASETS)
def test_fp32_accuracy(name):
    expected = json.loads((find_topology(name).folder / "expected.json").read_text())
    result, samples, done = scored(name)
    assert result.metric == expected["metric"]
    assert result.score == pytest.approx(expected["fp32"], abs=expected["tolerance"])
    assert done == (samples, samples)
    assert result.samples == samples
    if name == "fastestdet":
        assert result.details["AP50"] == pytest.approx(0.338, abs=0.002)
    else:
        assert result.per_sample.mean() == result.score


@pytest.mark.parametrize("name", ["fastestdet", "squeezenet"])
def test_fp32_accuracy_in_onnx(name):
    """The same folder scores the network in ONNX, which takes channels first and one image."""
    from lpot_examples import load_model

    root = Path(DATA)
    limit = None if name == "fastestdet" else 150
    evaluation = find_topology(name).eval_func(root / DATASETS[name], limit=limit)
    result, expected = evaluation(load_model(root / "models" / f"{name}.onnx")), scored(name)[0]
    if name == "fastestdet":
        assert result.score == pytest.approx(expected.score, abs=1e-4)
    else:
        assert list(result.per_sample) == list(expected.per_sample[:limit])


@pytest.mark.parametrize("name", DATASETS)
def test_calibration_batches(name):
    batches = find_topology(name).q_dataloader(Path(DATA) / DATASETS[name], batch_size=16)
    sizes = [len(inputs) for inputs, _ in batches]
    assert len(sizes) == len(batches)
    assert sum(sizes) == (64 if name == "fastestdet" else 100)


def test_a_second_evaluation_decodes_nothing():
    """The tuner evaluates many candidates, so only the first may pay for the photographs."""
    evaluation = find_topology("fastestdet").eval_func(Path(DATA) / "coco", limit=32)
    blank = np.zeros((8, 22, 22, 85), np.float32)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        assert evaluation(lambda batch: blank[: len(batch)]).score == 0.0
        seconds.append(time.perf_counter() - start)
    assert seconds[1] < seconds[0]
