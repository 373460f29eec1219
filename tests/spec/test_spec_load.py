"""What loads, and into which normal form."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import pytest

from lpot_examples.errors import SpecError
from lpot_examples.spec import Spec, load_spec
from lpot_examples.spec.notes import WITHOUT_EFFECT
from lpot_examples.spec.problems import places

# The yaml of LPOT's own tutorial for ssd_resnet50_v1, to the letter.
SEED = """\
model:                                               # mandatory. lpot uses this model name and framework name to decide where to save tuning history and deploy yaml.
  name: ssd_resnet50_v1
  framework: tensorflow                              # mandatory. supported values are tensorflow, pytorch, or mxnet; allow new framework backend extension.
  inputs: image_tensor
  outputs: num_detections,detection_boxes,detection_scores,detection_classes

quantization:                                        # optional. tuning constraints on model-wise for advance user to reduce tuning space.
  calibration:
    sampling_size: 100                               # optional. default value is the size of whole dataset. used to set how many portions of calibration dataset is used. exclusive with iterations field.
  model_wise:                                        # optional. tuning constraints on model-wise for advance user to reduce tuning space.
    activation:
      algorithm: minmax
    weight:
      algorithm: minmax
  op_wise: {
             'FeatureExtractor/resnet_v1_50/fpn/bottom_up_block5/Conv2D': {
               'activation':  {'dtype': ['fp32']},
             },
             'WeightSharedConvolutionalBoxPredictor_2/ClassPredictionTower/conv2d_0/Conv2D': {
               'activation':  {'dtype': ['fp32']},
             }
           }

tuning:
  accuracy_criterion:
    relative:  0.01                                  # optional. default value is relative, other value is absolute. this example allows relative accuracy loss: 1%.
  exit_policy:
    timeout: 0                                       # optional. tuning timeout (seconds). default value is 0 which means early stop. combine with max_trials field to decide when to exit.
    max_trials: 100                                  # optional. max tune times. default value is 100. combine with timeout field to decide when to exit.
  random_seed: 9527                                  # optional. random seed for deterministic tuning.
"""  # noqa: E501

EVERYTHING = """\
version: 1.0
model: {name: net, framework: onnxrt_qdq, inputs: [x], outputs: "y z"}
device: cpu
quantization:
  approach: post_training_dynamic_quant
  calibration:
    sampling_size: 10, 50, 100
    dataloader:
      batch_size: 4
      last_batch: discard
      dataset: {COCORecord: {root: /data}}
      filter: {LabelBalance: {size: 1}}
      transform:
        ParseDecodeCoco:
        ResizeWithRatio: {min_dim: 416, max_dim: 416, padding: True}
      shuffle: yes
  recipes: {scale_propagation_max_pooling: off, fast_bias_correction: true}
  advance: {bias_correction: weight_empirical}
  model_wise:
    weight: {granularity: per_channel, scheme: sym, dtype: int8, algorithm: minmax, bit: 7.0}
    activation: {granularity: per_tensor, dtype: "uint8, fp32", algorithm: [kl, percentile, mse]}
  optype_wise: {MatMul: {activation: {dtype: [fp32]}}}
  op_wise: {'conv1': {weight: {algorithm: ['kl']}}, 'block/.*': }
tuning:
  strategy: {name: bayesian, accuracy_weight: 2}
  accuracy_criterion: {absolute: 2%, higher_is_better: false}
  multi_objectives:
    objective: [accuracy, performance]
    weight: [0.8, 0.2]
    higher_is_better: [True, False]
  exit_policy: {timeout: 60, max_trials: 7, performance_only: true}
  random_seed: 3
  tensorboard: true
  workspace: {path: ./w, resume: ./w/journal}
  diagnosis: {diagnosis_after_tuning: true, op_list: a b, iteration_list: 1, inspect_type: weight}
evaluation:
  accuracy:
    multi_metrics: {topk: 5, MSE: {compare_label: false}, weight: [0.5, 0.5]}
    configs: {cores_per_instance: 4, num_of_instance: 7, kmp_blocktime: 1}
    dataloader: {dataset: {dummy: {shape: [[1, 3], [1]]}}}
    postprocess: {transform: {LabelShift: -1}}
  performance: {warmup: 10, iteration: 100, dataloader: {dataset: {dummy: {shape: '1,3'}}}}
graph_optimization: {precisions: [bf16], op_wise: {activation: {dtype: bf16}}}
mixed_precision: {precisions: 'bf16, fp32'}
model_conversion: {source: QAT, destination: default}
"""


def test_the_tutorials_spec_loads_to_the_letter(write):
    spec = load_spec(write(SEED))
    assert spec.model.inputs == ("image_tensor",)
    assert spec.model.outputs == (
        "num_detections",
        "detection_boxes",
        "detection_scores",
        "detection_classes",
    )
    assert spec.quantization.calibration.sampling_size == (100,)
    assert spec.quantization.model_wise.activation.algorithm == ("minmax",)
    assert spec.tuning.accuracy_criterion.relative == 0.01
    assert spec.tuning.exit_policy.max_trials == 100
    assert spec.tuning.random_seed == 9527
    fp32 = spec.constraints_for("FeatureExtractor/resnet_v1_50/fpn/bottom_up_block5/Conv2D")
    assert (fp32.allows_int8, fp32.allows_fp32) == (False, True)
    assert spec.constraints_for("another/Conv2D").allows_int8
    assert spec.notes == ()


def test_every_key_of_lpot_loads(write):
    spec = load_spec(str(write(EVERYTHING)))
    quantization, tuning = spec.quantization, spec.tuning
    assert spec.model.backend == "onnx"
    assert spec.model.outputs == ("y", "z")
    assert quantization.calibration.sampling_size == (10, 50, 100)
    loader = quantization.calibration.dataloader
    assert loader.shuffle is True
    assert list(loader.transform.items()) == [
        ("ParseDecodeCoco", {}),
        ("ResizeWithRatio", {"min_dim": 416, "max_dim": 416, "padding": True}),
    ]
    assert quantization.recipes.scale_propagation_max_pooling is False
    assert quantization.model_wise.weight.bit == (7,)
    assert quantization.model_wise.activation.dtype == ("uint8", "fp32")
    assert quantization.op_wise["conv1"].weight.algorithm == ("minmax",)
    assert tuning.accuracy_criterion.absolute == 0.02
    assert tuning.accuracy_criterion.relative is None
    assert tuning.diagnosis.op_list == ("a", "b")
    assert tuning.multi_objectives.weight == (0.8, 0.2)
    assert spec.evaluation.accuracy.postprocess.transform == {"LabelShift": -1}
    assert spec.evaluation.performance.configs.num_of_instance == 1


def test_defaults_are_those_of_lpot_but_for_the_strategy(load):
    spec = load()
    assert spec == Spec.default(name="net")
    assert spec.device == "cpu"
    assert spec.quantization.approach == "post_training_static_quant"
    assert spec.quantization.calibration.sampling_size == (100,)
    assert spec.quantization.recipes.scale_propagation_concat is True
    assert spec.quantization.model_wise.activation.algorithm is None
    assert spec.quantization.op_wise == {}
    tuning = spec.tuning
    assert tuning.strategy.name == "bisection"
    assert tuning.accuracy_criterion.relative == 0.01
    assert tuning.accuracy_criterion.higher_is_better is True
    assert tuning.exit_policy.timeout == 0
    assert tuning.exit_policy.max_trials == 100
    assert tuning.random_seed == 1978
    assert tuning.workspace.path is None
    assert spec.evaluation.accuracy is None


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("a", ("a",)),
        ("'a,b'", ("a", "b")),
        ("'a, b'", ("a", "b")),
        ("a b", ("a", "b")),
        ("[a, b]", ("a", "b")),
        ("['x:0', scope/y]", ("x:0", "scope/y")),
        ("[]", ()),
        ("", ()),
    ],
)
def test_forms_of_inputs(write, written, names):
    path = write(f"model:\n  name: n\n  framework: tensorflow\n  inputs: {written}\n")
    assert load_spec(path).model.inputs == names


@pytest.mark.parametrize(
    ("written", "sizes"),
    [
        ("50", (50,)),
        ("[100, 500]", (100, 500)),
        ("100, 500", (100, 500)),
        ("'100 500'", (100, 500)),
        ("[10, 10]", (10,)),
        ("", (100,)),
    ],
)
def test_forms_of_sampling_size(load, written, sizes):
    spec = load(f"quantization:\n  calibration:\n    sampling_size: {written}\n")
    assert spec.quantization.calibration.sampling_size == sizes


@pytest.mark.parametrize(
    ("written", "bits"),
    [("7", (7,)), ("7.0", (7,)), ("'7.0'", (7,)), ("[7.0, 8]", (7, 8)), ("7, 8", (7, 8))],
)
def test_forms_of_bit(load, written, bits):
    spec = load(f"quantization:\n  model_wise:\n    weight:\n      bit: {written}\n")
    assert spec.quantization.model_wise.weight.bit == bits


@pytest.mark.parametrize(
    ("written", "value"),
    [("0.01", 0.01), ("1%", 0.01), ("'0.5 %'", 0.005), ("1e-2", 0.01), ("0", 0.0)],
)
def test_forms_of_relative(load, written, value):
    spec = load(f"tuning:\n  accuracy_criterion:\n    relative: {written}\n")
    assert spec.tuning.accuracy_criterion.relative == pytest.approx(value)


def test_a_criterion_that_only_states_its_sense_keeps_one_percent(load):
    criterion = load("tuning: {accuracy_criterion: {higher_is_better: false}}").tuning
    assert criterion.accuracy_criterion.relative == 0.01
    assert criterion.accuracy_criterion.higher_is_better is False


def test_yaml_anchors_and_merge_keys(load):
    spec = load(
        "evaluation:\n"
        "  accuracy:\n"
        "    dataloader: &loader\n"
        "      batch_size: 1\n"
        "      dataset: {dummy: {shape: [1, 2]}}\n"
        "  performance:\n"
        "    dataloader:\n"
        "      <<: *loader\n"
        "      batch_size: 8\n"
    )
    loader = spec.evaluation.performance.dataloader
    assert (loader.batch_size, loader.dataset["dummy"]["shape"]) == (8, (1, 2))


def test_a_mapping_or_a_spec_is_as_good_as_a_file(write):
    spec = load_spec(write(EVERYTHING))
    data = json.loads(json.dumps(spec.to_dict()))
    again = load_spec(data)
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()
    assert load_spec(spec) is spec
    assert again.source is None


def test_the_default_spec_takes_names_from_code():
    spec = Spec.default(name="m", inputs=("a",), outputs=("b", "c"))
    assert (spec.model.inputs, spec.model.outputs) == (("a",), ("b", "c"))
    with pytest.raises(SpecError, match="model.framework must be one of"):
        Spec.default(framework="tensorflo")


def test_overrides_replace_what_the_file_says(load):
    spec = load(
        "tuning: {random_seed: 5}\n",
        overrides={"tuning.random_seed": None, "tuning.accuracy_criterion.absolute": 0.3},
    )
    assert spec.tuning.random_seed == 1978
    assert spec.tuning.accuracy_criterion.absolute == 0.3
    again = load_spec(spec, overrides={"tuning.exit_policy.max_trials": 3})
    assert again.tuning.exit_policy.max_trials == 3
    assert again.tuning.accuracy_criterion.absolute == 0.3
    assert spec.tuning.exit_policy.max_trials == 100


def test_a_spec_cannot_be_changed_but_copied_and_pickled(write):
    spec = load_spec(write(EVERYTHING))
    with pytest.raises(ValueError, match="frozen"):
        spec.tuning.random_seed = 1
    with pytest.raises(TypeError, match="immutable"):
        spec.quantization.op_wise["conv1"] = None
    with pytest.raises(TypeError, match="immutable"):
        spec.quantization.calibration.dataloader.transform.update(x=1)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec
    assert hash(spec) == hash(load_spec(spec.to_dict()))


def test_the_users_file_is_not_touched(write):
    path = write(SEED)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    load_spec(path, overrides={"tuning.random_seed": 1})
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_importing_the_spec_loads_no_framework():
    code = (
        "import sys, lpot_examples.spec;"
        "bad = {'numpy', 'tensorflow', 'onnxruntime'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NOTED = [
    ("tuning: {strategy: {accuracy_weight: 2.0}}", "tuning.strategy.accuracy_weight"),
    ("mixed_precision: {precisions: bf16}", "mixed_precision"),
    ("quantization: {model_wise: {weight: {algorithm: kl}}}", "weight.algorithm kl"),
]


@pytest.mark.parametrize(("text", "start"), NOTED)
def test_keys_without_effect_are_noted(load, text, start):
    (note,) = load(text).notes
    assert note.startswith(start)


def test_every_key_without_effect_is_a_key_of_the_spec():
    for path in WITHOUT_EFFECT:
        assert path in set(places(Spec, ()))


def test_a_token_stays_out_of_what_is_printed_or_saved(load):
    spec = load("tuning: {strategy: {name: sigopt, sigopt_api_token: s3cret}}\n")
    assert spec.tuning.strategy.sigopt_api_token == "s3cret"
    assert "s3cret" not in repr(spec) + json.dumps(spec.to_dict())


def test_keys_at_their_default_are_not_noted(load):
    spec = load("tuning: {tensorboard: false, strategy: {accuracy_weight: 1.0}}\n")
    assert spec.notes == ()


def test_tensorflow_of_another_maker_is_read_as_tensorflow(write):
    spec = load_spec(write("model: {name: n, framework: tensorflow_itex}\n"))
    assert spec.model.framework == "tensorflow"
    assert "tensorflow_itex" in spec.notes[0]
