"""TF1 detectors as checkpoint and SavedModel: the same network as the frozen file, to the bit."""

from functools import cache

import numpy as np
import pytest
from networks import run

from lpot_examples import tune
from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.formats import open_model
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.errors import LpotError
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.spec import load_spec
from lpot_examples.testing.detectors import (
    INPUT,
    DetectorSpec,
    build_detector,
    output_names,
    write_detector,
)

SMALL = {"size": 64, "classes": 3, "width": 0.125, "score_threshold": 0.03, "detections": 8}
SPECS = {
    "ssd_resnet50_fpn": DetectorSpec(**SMALL, units=(1, 1, 1, 1)),
    "ssd_mobilenet_v1": DetectorSpec(network="ssd_mobilenet_v1", **SMALL),
    "mask_rcnn": DetectorSpec(network="mask_rcnn", proposals=6, **SMALL, units=(1, 1, 1, 1)),
}


def photos(count, seed=0, height=66, width=82):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


frozen_graph = cache(build_detector)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write a detector of SPECS once and return the folder: ``written("mask_rcnn")``."""

    @cache
    def write(name):
        folder = tmp_path_factory.mktemp(name)
        write_detector(SPECS[name], folder)
        return folder

    return write


@pytest.mark.parametrize("name", SPECS)
def test_each_format_is_the_frozen_network(name, written):
    spec, folder = SPECS[name], written(name)
    frozen = TensorFlowModel(frozen_graph(spec))
    feed = {INPUT: photos(2)}
    expected = dict(zip(frozen.output_names, run(frozen, feed), strict=True))
    for path in (folder, folder / "model.ckpt", folder / "saved_model"):
        model = open_model(path)
        assert model.input_names == (INPUT,)
        assert set(model.output_names) == set(output_names(spec))
        for name, found in zip(model.output_names, run(model, feed), strict=True):
            np.testing.assert_array_equal(found, expected[name])
        graph = Graph(model.graph_def, inputs=(INPUT,), outputs=model.output_names)
        assert len(conditional_nodes(graph)) > 300
        assert not any("Variable" in node.op for node in graph)


class Agreement:
    """How well scores of a model agree with those of the network as it was given."""

    def __init__(self, model):
        self.images = photos(8, seed=5)
        self.samples = len(self.images)
        self.expected = self._scores(model)

    def _scores(self, model):
        return np.concatenate([model(image[None])[2] for image in self.images])

    def __call__(self, model, *, progress=None):
        near = np.abs(self._scores(model) - self.expected).mean(axis=1)
        return EvaluationResult(
            score=float(1 - near.mean()),
            metric="agreement",
            samples=self.samples,
            per_sample=1 - near,
        )


@pytest.mark.slow
def test_a_detector_is_tuned_from_its_saved_model(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = SPECS["mask_rcnn"]
    source = written("mask_rcnn") / "saved_model"
    (tmp_path / "tune.yaml").write_text(
        "model:\n  name: detector\n  framework: tensorflow\n"
        "  inputs: image_tensor\n"
        f"  outputs: {', '.join(output_names(spec))}\n"
        "quantization:\n  calibration:\n    sampling_size: 4\n"
        "tuning:\n  accuracy_criterion:\n    relative: 0.3\n"
        "  exit_policy:\n    max_trials: 1\n"
    )
    frozen = TensorFlowModel(frozen_graph(spec), outputs=output_names(spec))
    result = tune(
        load_spec(tmp_path / "tune.yaml"),
        source,
        [photos(2, seed=seed) for seed in range(2)],
        eval_func=Agreement(frozen),
        output=tmp_path / "tuned.pb",
        benchmark_seconds=0.4,
    )
    assert result.met
    kept = result.report["source"]["path"]
    assert kept.endswith("fp32.pb")
    copy = load_model(kept, outputs=output_names(spec))
    feed = {INPUT: photos(2)}
    for one, two in zip(run(frozen, feed), run(copy, feed), strict=True):
        np.testing.assert_array_equal(one, two)
    tuned = load_model(result.path, outputs=output_names(spec))
    assert [array.shape for array in run(tuned, feed)] == [a.shape for a in run(frozen, feed)]
    with pytest.raises(LpotError, match="lies in the folder of the input model"):
        tune(
            load_spec(tmp_path / "tune.yaml"),
            source,
            [photos(2)],
            output=source / "tuned.pb",
        )
