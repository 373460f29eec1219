"""From a tuned TensorFlow network to ONNX: same groups, same decisions, same scales."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from lpot_examples.backends.onnx.conversion.transfer import OnnxTransfer
from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.likeness import decibels

ISA = INSTRUCTION_SETS["avx512_vnni"]
CONFIG = TuningConfig(activation_algorithm="percentile", equalization=0.5, bias_correction=True)


def network():
    """Every kind of group, with what stands between groups in public networks."""
    tf, rng = import_tensorflow(), np.random.default_rng(3)
    graph = tf.Graph()

    def weights(*shape):
        scale = (2 / np.prod(shape[:-1])) ** 0.5
        return tf.constant(rng.normal(0, scale, shape).astype(np.float32))

    def conv(x, shape, stride=1, padding="SAME", name=None):
        y = tf.nn.conv2d(x, weights(*shape), stride, padding, name=name)
        return tf.nn.bias_add(y, weights(shape[-1]))

    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], "x")
        y = tf.nn.relu(conv(x, (3, 3, 3, 8), name="stem"))
        y = tf.nn.max_pool2d(y, 2, 2, "VALID")
        short = y
        y = tf.nn.relu6(conv(y, (1, 1, 8, 16), name="expand"))
        y = tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]])
        y = tf.nn.depthwise_conv2d(y, weights(3, 3, 16, 1), [1] * 4, "VALID", name="depthwise")
        y = tf.nn.relu6(tf.nn.bias_add(y, weights(16)))
        y = conv(y, (1, 1, 16, 8), name="project") + short
        left = tf.nn.relu(conv(y, (1, 1, 8, 8), name="left"))
        right = conv(y, (3, 3, 8, 8), name="right")
        y = tf.nn.avg_pool2d(tf.concat([left, right], 3), 2, 2, "VALID")
        y = tf.nn.relu(conv(y, (1, 1, 16, 12), name="last"))
        y = tf.reduce_mean(y, [1, 2])
        y = tf.matmul(y, weights(12, 5), name="classes")
        tf.identity(tf.nn.bias_add(y, weights(5)), "o")
    return TensorFlowModel(graph.as_graph_def(), inputs=["x"], outputs=["o"], source="net.pb")


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [{"x": rng.uniform(-1, 1, (8, 16, 16, 3)).astype(np.float32)} for _ in range(3)]


@pytest.fixture(scope="module")
def tuned(batches):
    backend = TensorFlowBackend(network(), ISA)
    return backend, backend.calibrate(iter(batches), sizes=[24])[24]


@pytest.fixture(scope="module")
def way(tuned):
    return OnnxTransfer(tuned[0], ISA)


def test_the_fp32_networks_are_the_same(way, batches):
    assert way.deviation(batches[0]) < 1e-5


def test_a_wrong_conversion_is_seen(tuned, batches, monkeypatch):
    import lpot_examples.backends.onnx.conversion.transfer as module

    real = module.convert_tracked

    def wrong(model, tensors):
        found = real(model, tensors)
        pools = [node for node in found.proto.graph.node if node.op_type == "MaxPool"]
        pools[0].op_type = "AveragePool"
        return found

    monkeypatch.setattr(module, "convert_tracked", wrong)
    assert OnnxTransfer(tuned[0], ISA).deviation(batches[0]) > 1e-2


def test_every_group_has_its_counterpart(tuned, way, batches):
    backend, statistics = tuned
    found = way.transfer(CONFIG, statistics, lambda: iter(batches))
    wanted = {group.name for group in backend.op_graph.quantizable}
    assert set(found.counterparts) == set(way.backend.groups)
    assert wanted <= set(found.counterparts.values())
    assert not found.config.fp32
    assert found.config.equalization == CONFIG.equalization


def test_decisions_are_the_same(tuned, way, batches):
    _, statistics = tuned
    config = replace(
        CONFIG,
        fp32=frozenset({"depthwise", "right"}),
        activation_overrides={"last": "kl"},
        per_tensor=frozenset({"expand"}),
        weight_bits={"left": 7},
        uncorrected=frozenset({"stem"}),
        samples=24,
    )
    found = way.transfer(config, statistics, lambda: iter(batches))
    before = found.counterparts

    def old(names):
        return {before[name] for name in names}

    assert old(found.config.fp32) == config.fp32
    assert {before[n]: a for n, a in found.config.activation_overrides.items()} == {"last": "kl"}
    assert old(found.config.per_tensor) == config.per_tensor
    assert {before[n]: bits for n, bits in found.config.weight_bits.items()} == {"left": 7}
    assert old(found.config.uncorrected) == config.uncorrected
    assert old(found.reasons) == config.fp32
    decided = way.backend.explain(found.config, found.statistics, found.reasons)
    assert {before[one.group] for one in decided if one.group and one.precision == "fp32"} == {
        "depthwise",
        "right",
    }


@pytest.mark.parametrize("algorithm", ["minmax", "percentile", "mse"])
def test_scales_are_those_of_the_tensorflow_statistics(tuned, way, batches, algorithm):
    """What ONNX Runtime itself would collect of the same samples is the same but for rounding."""
    _, statistics = tuned
    config = replace(CONFIG, activation_algorithm=algorithm)
    found = way.transfer(config, statistics, lambda: iter(batches)).statistics
    own = way.backend.calibrate(iter(batches), sizes=[24])[24]
    for name in way.backend.observed:
        low, high = own.range(name, "minmax")
        one, two = found.range(name, "minmax")
        # A tensor made by movement has the range of what it was made of, which is no smaller.
        slack = 1e-4 * (high - low)
        assert one <= low + slack and two >= high - slack, name
        if name in {group.output for group in way.backend.groups.values()}:
            assert (one, two) == pytest.approx((low, high), abs=1e-4), name
        low, high = found.range(name, algorithm)
        assert one - slack <= low <= high <= two + slack
    for name in way.backend.channel_axes:
        np.testing.assert_allclose(
            found.channels[name].mean, own.channels[name].mean, atol=1e-3, err_msg=name
        )


def test_only_what_tensorflow_does_not_know_is_collected(tuned, way, batches):
    _, statistics = tuned
    asked = []

    def again():
        asked.append(1)
        return iter(batches)

    found = way.transfer(CONFIG, statistics, again)
    kinds = {way.backend.graph.maker(name).op_type for name in found.collected}
    assert kinds <= {"AveragePool", "GlobalAveragePool", "ReduceMean", "Conv"}
    assert len(asked) == bool(found.collected)


def test_int8_is_as_good_and_fused(tuned, way, batches, tmp_path):
    backend, statistics = tuned
    found = way.transfer(CONFIG, statistics, lambda: iter(batches))
    here = way.backend.emit(found.config, found.statistics)
    there = backend.emit(CONFIG, statistics)
    fp32 = [[backend.baseline()(one)] for one in batches]
    assert decibels(fp32, [[there(one)] for one in batches]) > 35
    assert decibels(fp32, [[here(one)] for one in batches]) > 35
    here.save(tmp_path / "int8.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(tmp_path / "int8.onnx", options)
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    convolutions = [group for group in way.backend.groups.values() if group.op == "Conv"]
    assert kinds.count("QLinearConv") == len(convolutions)
    assert kinds.count("QGemm") == 1
    assert not {"Conv", "FusedConv", "Clip", "Relu", "Pad", "Gemm"} & set(kinds)
    # Images have their channels last, as TensorFlow's do; what is left is of a single pixel.
    assert kinds.count("Transpose") <= 1
