"""The fingerprint changes with what can change a search's results, and with nothing else."""

from __future__ import annotations

import pytest

from lpot_examples.spec import load_spec

BASE = {
    "model": {"name": "n", "framework": "tensorflow", "inputs": "x"},
    "quantization": {
        "op_wise": {"a": {"activation": {"dtype": "fp32"}}, "b": {}},
        "calibration": {
            "dataloader": {
                "dataset": {"dummy": {"shape": [1, 2], "low": 0.0}},
                "transform": {"Rescale": {}, "Resize": {"size": 4}},
            }
        },
    },
}
LOADER = "quantization.calibration.dataloader"


def test_it_is_a_stable_sha256():
    assert load_spec(BASE).fingerprint() == load_spec(BASE).fingerprint()
    assert len(bytes.fromhex(load_spec(BASE).fingerprint())) == 32


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.inputs", "y"),
        ("model.framework", "onnxrt_qdq"),
        ("quantization.calibration.sampling_size", 50),
        ("quantization.model_wise", {"weight": {"bit": 7}}),
        ("quantization.op_wise", {}),
        (f"{LOADER}.transform", {"Resize": {"size": 4}, "Rescale": {}}),
        ("tuning.accuracy_criterion.relative", 0.02),
        ("tuning.strategy.name", "basic"),
        ("tuning.random_seed", 1),
        ("tuning.exit_policy.performance_only", True),
        ("evaluation.accuracy.metric", {"topk": 1}),
    ],
)
def test_it_changes_with(key, value):
    spec = load_spec(BASE)
    assert load_spec(spec, overrides={key: value}).fingerprint() != spec.fingerprint()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.name", "m"),
        ("model.inputs", ["x"]),
        ("quantization.op_wise", {"b": {}, "a": {"activation": {"dtype": ["fp32"]}}}),
        (f"{LOADER}.dataset", {"dummy": {"low": 0.0, "shape": [1, 2]}}),
        ("tuning.exit_policy.max_trials", 7),
        ("tuning.exit_policy.timeout", 60),
        ("tuning.workspace.path", "elsewhere"),
        ("tuning.random_seed", 1978),
        ("evaluation.performance", {"iteration": 5}),
        ("evaluation.accuracy", {"configs": {"cores_per_instance": 2}}),
    ],
)
def test_it_does_not_change_with(key, value):
    spec = load_spec(BASE)
    changed = load_spec(spec, overrides={key: value})
    if key != "evaluation.accuracy":
        assert changed.fingerprint() == spec.fingerprint()
    else:
        bare = load_spec(spec, overrides={key: {}})
        assert changed.fingerprint() == bare.fingerprint()
