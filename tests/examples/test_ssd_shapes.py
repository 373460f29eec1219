"""The embedded ssd_shapes topology: its network and the script that trains it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.data.shapes import render_scene
from lpot_examples.errors import DataError, EvaluationError
from lpot_examples.zoo.topologies import find_topology


@pytest.fixture(scope="module")
def topology():
    return find_topology("ssd_shapes")


def test_calibration_starts_again_and_uses_its_own_scenes(topology):
    loader = topology.q_dataloader(batch_size=40)
    first, second = list(loader), list(loader)
    assert [len(images) for images, _ in first] == [40, 40, 16]
    assert len(loader) == len(first)
    for (images, ids), (images_again, ids_again) in zip(first, second, strict=True):
        assert images.dtype == np.float32 and images.shape[1:] == (96, 96, 3)
        assert np.array_equal(images, images_again) and np.array_equal(ids, ids_again)
    images, ids = first[0]
    scene = render_scene(int(ids[3]))
    assert 2_000_000 <= ids[3] < 3_000_000
    assert np.abs((images[3] + 1) * 127.5 - scene.image).max() < 1e-4


def test_the_shipped_network_scores_what_it_promises(topology):
    expected = json.loads((topology.folder / "expected.json").read_text())
    seen = []
    evaluation = topology.eval_func()
    result = evaluation(
        load_model(topology.embedded_model), progress=lambda done, of: seen.append((done, of))
    )
    assert result.score == pytest.approx(expected["fp32"], abs=expected["tolerance"])
    assert result.score >= 0.6
    assert result.metric == expected["metric"]
    assert result.samples == evaluation.samples == 256
    assert seen[-1] == (256, 256)


def test_the_shipped_network_is_a_plain_graph_with_a_free_batch(topology):
    assert topology.embedded_model.stat().st_size <= 2_000_000
    model = load_model(topology.embedded_model)
    assert model.input_names == ("input",)
    assert set(model.output_names) == {"class_logits", "box_offsets"}
    assert not model.graph_def.library.function
    kinds = {node.op for node in model.graph_def.node}
    assert {"Pad", "MaxPool", "DepthwiseConv2dNative", "Rsqrt", "ConcatV2", "Relu6"} <= kinds
    assert not {"PartitionedCall", "StatefulPartitionedCall", "VarHandleOp"} & kinds


def test_limit_and_wrong_outputs(topology):
    evaluation = topology.eval_func(batch_size=2, limit=3)
    assert evaluation.samples == 3

    def silent(images):
        return np.full((len(images), 504, 8), -9.0), np.zeros((len(images), 504, 4))

    assert evaluation(silent).score == 0
    for wrong in (lambda x: silent(x)[::-1], lambda x: silent(x)[0], lambda x: silent(x[:1])):
        with pytest.raises(EvaluationError, match="must"):
            evaluation(wrong)
    with pytest.raises(DataError, match="0 were asked for"):
        topology.eval_func(limit=0)


@pytest.mark.slow
def test_the_training_script_runs(topology, tmp_path):
    output = tmp_path / "ssd.pb"
    command = [sys.executable, topology.folder / "train.py", "--smoke", "--split", "dev"]
    command += ["--output", output]
    environment = {**os.environ, "PYTHONPATH": str(topology.folder.parents[1])}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert run.returncode == 0, run.stderr
    assert "dev mAP" in run.stdout
    model = load_model(output, outputs=("class_logits", "box_offsets"))
    logits, offsets = model(np.zeros((3, 96, 96, 3), np.float32))
    assert (logits.shape, offsets.shape) == ((3, 504, 8), (3, 504, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["ssd.pb"]
