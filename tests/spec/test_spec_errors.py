"""Every mistake ends in one clear sentence with file, line and key."""

from __future__ import annotations

import pytest

from lpot_examples.errors import SpecError
from lpot_examples.spec import load_spec


def refused(call, *args, **options) -> SpecError:
    with pytest.raises(SpecError) as caught:
        call(*args, **options)
    return caught.value


# Text after a one-line model section, the line to blame, and parts of the message.
WRONG = [
    # Unknown keys.
    ("tunning: {}", 2, ["tunning is not a known key", "Did you mean 'tuning'?"]),
    (
        "tuning:\n  exit_policy:\n    max_trial: 3",
        4,
        ["tuning.exit_policy.max_trial is not a known key", "'max_trials'"],
    ),
    ("tuning:\n  max_trials: 3", 3, ["It belongs at tuning.exit_policy.max_trials"]),
    ("tuning:\n  qqq: 3", 3, ["tuning.qqq", "Known here: strategy, accuracy_criterion"]),
    (
        "quantization:\n  op_wise:\n    a/b:\n      weight: {dtyp: int8}",
        5,
        ["quantization.op_wise['a/b'].weight.dtyp is not a known key", "'dtype'"],
    ),
    ("quantization: {model_wise: {activation: {bit: 7}}}", 2, ["activation.bit is not a known"]),
    # Values out of a list.
    ("tuning: {strategy: {name: baysian}}", 2, ["tuning.strategy.name", "'bayesian'"]),
    ("tuning: {objective: speed}", 2, ["must be one of performance, modelsize, footprint"]),
    ("quantization: {approach: static}", 2, ["post_training_static_quant"]),
    ("quantization: {model_wise: {weight: {dtype: int9}}}", 2, ["weight.dtype", "'int8'"]),
    ("quantization: {model_wise: {activation: {algorithm: kld}}}", 2, ["'kld'", "'kl'"]),
    ("quantization: {model_wise: {weight: {algorithm: percentile}}}", 2, ["minmax, mse"]),
    ("quantization: {model_wise: {weight: {granularity: []}}}", 2, ["at least one value"]),
    ("quantization: {model_wise: {weight: {scheme: symm}}}", 2, ["asym, sym"]),
    # Numbers.
    ("quantization: {model_wise: {weight: {bit: 0}}}", 2, ["from 1 to 8", "got 0"]),
    ("quantization: {model_wise: {weight: {bit: 9.0}}}", 2, ["from 1 to 8", "got 9.0"]),
    ("quantization: {model_wise: {weight: {bit: 6.5}}}", 2, ["must be an integer", "6.5"]),
    ("quantization: {calibration: {sampling_size: 0}}", 2, ["sampling_size", ">= 1"]),
    ("quantization: {calibration: {sampling_size: 'ten'}}", 2, ["must be an integer", "'ten'"]),
    ("quantization: {calibration: {sampling_size: []}}", 2, ["at least one value"]),
    ("tuning: {exit_policy: {max_trials: 0}}", 2, ["must be an integer >= 1; got 0"]),
    ("tuning: {exit_policy: {max_trials: true}}", 2, ["got true"]),
    ("tuning: {exit_policy: {timeout: -1}}", 2, ["number of seconds >= 0", "-1"]),
    ("tuning: {exit_policy: {timeout: .inf}}", 2, ["finite number"]),
    ("tuning: {exit_policy: {performance_only: 1}}", 2, ["must be true or false; got 1"]),
    ("tuning: {random_seed: -1}", 2, ["tuning.random_seed", "from 0 to 4294967295"]),
    # The criterion.
    (
        "tuning:\n  accuracy_criterion:\n    relative: 0.1\n    absolute: 1",
        5,
        ["absolute cannot be combined with relative"],
    ),
    ("tuning: {accuracy_criterion: {relative: -0.01}}", 2, ["must not be negative"]),
    ("tuning: {accuracy_criterion: {absolute: -1}}", 2, ["must not be negative"]),
    ("tuning: {accuracy_criterion: {relative: 5}}", 2, ["below 1", "write 0.05 or '5%'"]),
    ("tuning: {accuracy_criterion: {relative: 100%}}", 2, ["below 1", "whole baseline"]),
    ("tuning: {accuracy_criterion: {relative: x%}}", 2, ["finite number"]),
    ("tuning: {accuracy_criterion: {relative: .nan}}", 2, ["finite number"]),
    # Objectives.
    (
        "tuning: {objective: performance, multi_objectives: {objective: accuracy}}",
        2,
        ["tuning.objective cannot be combined with multi_objectives"],
    ),
    (
        "tuning: {multi_objectives: {objective: [accuracy, performance], weight: [1]}}",
        2,
        ["multi_objectives.weight", "each of the 2 objectives; got 1"],
    ),
    ("tuning: {multi_objectives: {weight: [1]}}", 2, ["multi_objectives.objective is required"]),
    # Structure.
    ("tuning: [1]", 2, ["tuning must be a mapping", "strategy", "[1]"]),
    ("quantization: {op_wise: [a]}", 2, ["op_wise must map op names"]),
    ("quantization:\n  op_wise:\n    'a[': {}", 4, ["op_wise['a[']", "regular expression"]),
    ("version: 2.0", 2, ["version must be 1.0"]),
    ("device: gpu", 2, ["device is gpu, which is not supported by this tool; remove it"]),
    ("device: tpu", 2, ["device must be cpu"]),
    # Evaluation.
    (
        "evaluation:\n  accuracy:\n    metric:\n      topK: 1",
        5,
        ["evaluation.accuracy.metric.topK is not a known metric", "'topk'"],
    ),
    ("evaluation: {accuracy: {metric: {topk: 3}}}", 2, ["metric.topk must be 1 or 5; got 3"]),
    ("evaluation: {accuracy: {metric: {topk: 1, MSE: {}}}}", 2, ["Use multi_metrics"]),
    ("evaluation: {accuracy: {metric: topk}}", 2, ["must map each metric's name"]),
    (
        "evaluation: {accuracy: {metric: {topk: 1}, multi_metrics: {MSE: {}}}}",
        2,
        ["multi_metrics cannot be combined with metric"],
    ),
    ("evaluation: {accuracy: {multi_metrics: {weight: 1}}}", 2, ["at least one metric"]),
    (
        "evaluation: {accuracy: {multi_metrics: {topk: 1, MSE: {}, weight: [1]}}}",
        2,
        ["multi_metrics.weight must have one value for each of the 2 metrics"],
    ),
    ("evaluation: {performance: {dataloader: {}}}", 2, ["dataloader.dataset is required"]),
    (
        "evaluation: {performance: {dataloader: {dataset: {COCORec: {}}}}}",
        2,
        ["COCORec is not a known dataset", "'COCORecord'"],
    ),
    (
        "evaluation: {performance: {dataloader: {dataset: {MNIST: {}, dummy: {}}}}}",
        2,
        ["must name exactly one dataset; got MNIST, dummy"],
    ),
    (
        "evaluation: {performance: {dataloader: {dataset: {dummy: {}}, transform: {Resise: {}}}}}",
        2,
        ["Resise is not a known transform", "'Resize'"],
    ),
    (
        "evaluation: {performance: {dataloader: {dataset: {dummy: {}}, batch_size: 0}}}",
        2,
        ["batch_size must be an integer >= 1"],
    ),
    (
        "evaluation: {performance: {dataloader: {dataset: {dummy: {}}, last_batch: keep}}}",
        2,
        ["rollover, discard"],
    ),
    (
        "evaluation:\n  performance:\n    dataloader:\n      dataset: {dummy: {}}\n"
        "      filter:\n        LabelBalance: {size: 0}",
        7,
        ["filter.LabelBalance needs a size >= 1"],
    ),
    ("evaluation: {performance: {iteration: 0}}", 2, ["an integer >= 1 or -1; got 0"]),
    ("evaluation: {performance: {configs: {num_of_instance: 0}}}", 2, ["num_of_instance"]),
    (
        "evaluation: {accuracy: {postprocess: {transform: {LabelShft: 1}}}}",
        2,
        ["is not a known postprocess transform", "'LabelShift'"],
    ),
    # Jobs of LPOT that are not done here.
    ("pruning: {}", 2, ["pruning", "not supported by this tool; remove it"]),
    ("distillation: {}", 2, ["not supported by this tool; remove it"]),
    ("nas: {}", 2, ["architecture search", "not supported by this tool; remove it"]),
    ("quantization: {approach: quant_aware_training}", 2, ["not supported by this tool; remove"]),
    ("quantization:\n  train: {}", 3, ["quantization.train", "not supported by this tool; remove"]),
]


@pytest.mark.parametrize(("text", "line", "parts"), WRONG, ids=[case[0][:60] for case in WRONG])
def test_a_wrong_spec(load, text, line, parts):
    error = refused(load, text + "\n")
    assert error.line == line
    assert f"spec.yaml:{line}: " in str(error)
    for part in parts:
        assert part in str(error)
    assert "\n" not in str(error)


# The whole file, the line, and a part of the message.
BROKEN = [
    (b"", None, "The spec is empty"),
    (b"# nothing\n", None, "The spec is empty"),
    (b"- a\n", 1, "this file holds a list"),
    (b"text\n", 1, "this file holds a single value"),
    (b"model:\n\tname: x\n", 2, "A tab is used for indentation"),
    (b"model: {name: x\nother: 1\n", 2, "Not valid yaml"),
    (b"model:\n  name: x\n framework: y\n", 3, "Not valid yaml"),
    (b"model: {name: a}\nmodel: {}\n", 2, "'model' is written twice, first on line 1"),
    (b"tuning:\n  random_seed: 1\n  random_seed: 2\n", 3, "'random_seed' is written twice"),
    (b"a: 1\nb: \xff\n", 2, "byte 0xff is not. Save the file as UTF-8"),
    (b"a: 1\nb: \x01\n", 2, "control character U+0001"),
    (b"a: 1\n---\nb: 1\n", 2, "one yaml document"),
    (b"a: *other\n", 1, "undefined alias"),
    (b"a: &x [*x]\n", 1, "expand without end"),
    (b"? [a]\n: 1\n", 1, "A key must be a single word"),
    (b"tuning: {}\n", None, "model is required. A spec needs at least"),
    (b"model:\n", 1, "model is required"),
    (b"model:\n  framework: tensorflow\n", 1, "model.name is required"),
    (b"model:\n  name: x\n", 1, "model.framework is required"),
    (b"model: {name: 3, framework: tensorflow}\n", 1, "must be text; got 3. Put numbers in quotes"),
    (b"model: {name: x, framework: pytorch}\n", 1, "pytorch, which this tool does not support"),
    (b"model: {name: x, framework: tensorflw}\n", 1, "Did you mean 'tensorflow'?"),
    (b"model: {name: x, framework: tensorflow, inputs: 'a,a'}\n", 1, "'a' is there 2 times"),
]


@pytest.mark.parametrize(("content", "line", "part"), BROKEN)
def test_a_broken_file(write, content, line, part):
    error = refused(load_spec, write(content))
    assert (error.line, part in str(error)) == (line, True), str(error)
    assert "\n" not in str(error)
    assert "spec.yaml" in str(error)


def test_aliases_that_multiply_are_refused(write):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    assert "expand without end" in str(refused(load_spec, write("\n".join(lines))))


def test_what_is_not_a_file(tmp_path):
    assert "No such spec file" in str(refused(load_spec, tmp_path / "none.yaml"))
    assert "this is a directory" in str(refused(load_spec, tmp_path))
    assert "File name too long" in str(refused(load_spec, "x" * 5000))
    assert "got yaml text" in str(refused(load_spec, "model:\n  name: x\n"))
    assert "got int" in str(refused(load_spec, 3))


def test_all_problems_are_reported_in_the_order_of_the_file(load):
    error = refused(
        load,
        "tuning:\n  random_seed: x\n  exit_policy: {max_trial: 3}\n"
        "quantization:\n  modelwise: {}\n",
    )
    lines = str(error).splitlines()
    assert error.line == 3
    assert [line.split("spec.yaml:")[1][0] for line in lines] == ["3", "4", "6"]


def test_a_mapping_built_in_code_names_the_key_alone():
    model = {"name": "x", "framework": "tensorflow"}
    error = refused(load_spec, {"model": model, "tuning": {"exit_policy": {"max_trials": 0}}})
    assert str(error).startswith("tuning.exit_policy.max_trials must be an integer")
    bad = {"accuracy": {"metric": {"mAP": {"anno_path": object()}}}}
    assert "text, numbers" in str(refused(load_spec, {"model": model, "evaluation": bad}))
    assert "should be strings" in str(refused(load_spec, {"model": model, 3: 4}))


def test_a_wrong_override_is_not_blamed_on_a_line_of_the_file(load):
    overrides = {"tuning.exit_policy.max_trials": 0}
    error = refused(load, "tuning:\n  exit_policy:\n    max_trials: 5\n", overrides=overrides)
    assert "It comes from an override" in str(error)
    assert error.line != 4
    through = {"tuning.random_seed.x": 0}
    error = refused(load, "tuning: {random_seed: 5}\n", overrides=through)
    assert "needs random_seed to be a mapping; the spec has 5 there" in str(error)
