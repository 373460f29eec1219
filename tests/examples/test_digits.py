"""The embedded digits topology: its data, its network and the script that trains it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.data.digits import load_digits
from lpot_examples.errors import DataError, EvaluationError
from lpot_examples.zoo.topologies import find_topology


@pytest.fixture(scope="module")
def topology():
    return find_topology("digits")


def test_the_split_is_fixed_stratified_and_disjoint():
    train, held_out = load_digits("train"), load_digits("validation")
    assert not set(train.rows) & set(held_out.rows)
    assert len(set(train.rows) | set(held_out.rows)) == 1797
    assert np.bincount(held_out.labels).tolist() == [45] * 10
    assert held_out.rows[:5].tolist() == [571, 70, 1565, 431, 366]
    with pytest.raises(DataError, match="'train' or 'validation'"):
        load_digits("test")


def test_calibration_uses_training_digits_and_starts_again(topology):
    loader = topology.q_dataloader(batch_size=48)
    first, second = list(loader), list(loader)
    assert [len(images) for images, _ in first] == [48] * 4 + [8]
    assert len(loader) == len(first)
    for (images, labels), (images_again, labels_again) in zip(first, second, strict=True):
        assert images.dtype == np.float32 and images.shape[1:] == (8, 8, 1)
        assert np.array_equal(images, images_again) and np.array_equal(labels, labels_again)
    images = np.concatenate([images for images, _ in first])
    assert np.array_equal(images, load_digits("train").images[:200])


def test_the_shipped_network_scores_what_it_promises(topology):
    expected = json.loads((topology.folder / "expected.json").read_text())
    seen = []
    evaluation = topology.eval_func()
    result = evaluation(
        load_model(topology.embedded_model), progress=lambda done, of: seen.append((done, of))
    )
    assert result.score == pytest.approx(expected["fp32"], abs=expected["tolerance"])
    assert result.score >= 0.98
    assert result.metric == expected["metric"]
    assert len(result.per_sample) == result.samples == evaluation.samples == 450
    assert seen[-1] == (450, 450)


def test_limit(topology):
    evaluation = topology.eval_func(batch_size=8, limit=20)
    assert evaluation.samples == 20
    assert evaluation(lambda images: np.zeros((len(images), 10))).samples == 20
    with pytest.raises(DataError, match="at least 1 digit; it is 0"):
        topology.eval_func(limit=0)
    with pytest.raises(EvaluationError, match="10 class scores"):
        evaluation(lambda images: np.zeros((len(images), 9)))


@pytest.mark.slow
def test_the_training_script_runs(topology, tmp_path):
    output = tmp_path / "new" / "digits.pb"
    command = [sys.executable, topology.folder / "train.py", "--smoke", "--output", output]
    environment = {**os.environ, "PYTHONPATH": str(topology.folder.parents[1])}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert "held-out top-1" in run.stdout
    model = load_model(output)
    assert (model.input_names, model.output_names) == (("input",), ("logits",))
    assert model(np.zeros((3, 8, 8, 1), np.float32)).shape == (3, 10)
    assert [path.name for path in output.parent.iterdir()] == ["digits.pb"]
