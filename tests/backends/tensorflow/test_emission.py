"""What holds of every emitted graph: names, dtypes, determinism, any subset in fp32, odd cases."""

import os
import subprocess
import sys

import numpy as np
import pytest
from graphs import build, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.fuzz import judge
from lpot_examples.testing.simulation import Simulation


def small_network(tf, constant):
    def conv(x, channels, kernel=3, stride=1):
        weights = constant(kernel, kernel, int(x.shape[3]), channels, scale=0.5 / kernel)
        return tf.nn.bias_add(tf.nn.conv2d(x, weights, stride, "SAME"), constant(channels))

    x = tf.nn.relu(conv(placeholder(tf, 12, 12, 3), 8, stride=2))
    left = tf.nn.relu6(tf.nn.depthwise_conv2d(x, constant(3, 3, 8, 1), [1] * 4, "SAME"))
    right = conv(x, 8, 1)
    x = tf.nn.relu(conv(left, 8) + right)
    parts = tf.split(tf.concat([x, left], 3), 2, 3)
    x = tf.nn.max_pool2d(tf.concat([parts[1], conv(parts[0], 4, 1)], 3), 2, 2, "SAME")
    tf.identity(x, name="features")
    flat = tf.reshape(x, [-1, 9 * 12])
    tf.identity(tf.matmul(flat, constant(108, 5, scale=0.1)) + constant(5), name="o")


@pytest.fixture(scope="module")
def network():
    return compiled(build(small_network), {"x": data(8, 12, 12, 3)}, outputs=("o", "features"))


@pytest.mark.parametrize("seed", range(12))
def test_any_subset_may_stay_fp32(network, seed):
    rng = np.random.default_rng(seed)
    anchors = list(network.grouping.compute)
    config = TuningConfig(
        fp32=frozenset(a for a in anchors if rng.random() < rng.random()),
        equalization=float(seed % 3) / 2,
        bias_correction=seed % 2 == 1,
    )
    before = network.graph.to_graph_def().SerializeToString(deterministic=True)
    emitted, again = network.emit(config), network.emit(config)
    assert network.graph.to_graph_def().SerializeToString(deterministic=True) == before
    assert again.graph_def.SerializeToString(deterministic=True) == (
        emitted.graph_def.SerializeToString(deterministic=True)
    )
    assert set(emitted.plan.groups) == set(anchors) - config.fp32
    simulation = Simulation(network, emitted, config)
    for batch in (1, 5):
        feed = {"x": data(batch, 12, 12, 3, seed=seed)}
        assert simulation.check(feed).worst[1] <= 1
        wanted, got = simulation.run(feed), simulation.run_int8(feed)
        assert [a.shape for a in got] == [(batch, 5), (batch, 3, 3, 12)]
        assert all(sqnr(a, b) > 30 for a, b in zip(wanted, got, strict=True))


def test_everything_in_fp32_is_the_cleaned_graph(network):
    emitted = network.emit(TuningConfig(fp32=frozenset(network.grouping.compute)))
    assert {n.name: n for n in emitted.graph_def.node} == {
        n.name: n for n in network.graph_def.node
    }


def test_inputs_keep_name_dtype_and_dynamic_batch(network):
    graph_def = network.emit().graph_def
    (node,) = [node for node in graph_def.node if node.op == "Placeholder"]
    assert node == next(n for n in network.graph_def.node if n.op == "Placeholder")


def test_emission_is_equal_across_processes():
    """Sets of names have another order in every process."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import hashlib, test_emission as t\n"
        "n = t.compiled(t.build(t.small_network), {'x': t.data(8, 12, 12, 3)})\n"
        "c = t.TuningConfig(equalization=0.5, bias_correction=True)\n"
        "b = n.emit(c).graph_def.SerializeToString(deterministic=True)\n"
        "print(hashlib.sha256(b).hexdigest())"
    )
    folder = os.path.dirname(__file__)  # noqa: PTH120
    started = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        command = [sys.executable, "-c", script, folder]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, env=environment, **pipes))
    digests = {process.communicate(timeout=120)[0] for process in started}
    assert all(digests)
    assert len(digests) == 1


def test_names_that_look_like_ours_do_no_harm():
    """Port 1 of ``s`` and node ``s_1`` are both quantized, and ``s_1/int8`` is the user's."""

    def function(tf, constant):
        x = placeholder(tf, 8, 8, 8)
        first = tf.split(tf.sin(x), 2, 3, name="s")[1]
        second = tf.multiply(x, 3.0, name="s_1")
        third = tf.sin(second, name="s_1/int8")
        a = tf.nn.conv2d(first, constant(3, 3, 4, 4), 1, "SAME")
        b = tf.nn.conv2d(second, constant(3, 3, 8, 4), 1, "SAME")
        c = tf.nn.conv2d(third, constant(1, 1, 8, 4), 1, "SAME", name="s_1/quantize")
        tf.add_n([a, b, c], name="o")

    feed = {"x": data(4, 8, 8, 8)}
    network = compiled(build(function), feed)
    emitted = network.emit()
    assert Simulation(network, emitted).check(feed).worst[1] <= 1
    fp32, int8 = (run(g, ("o",), feed)[0] for g in (network.graph_def, emitted.graph_def))
    assert sqnr(fp32, int8) > 30


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-3), (-1e-3, 1e-3), (-1e-3, 1.3e-3)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_tiny_ranges_at_a_boundary(low, high, kernel):
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        tf.nn.conv2d(x, constant(kernel, kernel, 4, 4), 1, "SAME", name="o")

    feed = {"x": data(4, 8, 8, 4, low=low, high=high)}
    network = compiled(build(function), feed)
    emitted = network.emit()
    assert Simulation(network, emitted).check(feed).worst[1] <= 1
    fp32, int8 = (run(g, ("o",), feed)[0] for g in (network.graph_def, emitted.graph_def))
    assert sqnr(fp32, int8) > 30


def test_fp32_branches_of_a_concatenation_in_front_of_an_activation():
    """The tensor behind Sin is a boundary although an activation stands before its reader."""

    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        made = tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 4, 4), 1, "SAME"), constant(4))
        both = tf.nn.relu(tf.concat([made, tf.sin(x * 2.0)], 3))
        tf.nn.conv2d(both, constant(3, 3, 8, 4), 1, "SAME", name="o")

    feed = {"x": data(4, 8, 8, 4)}
    network = compiled(build(function), feed)
    emitted = network.emit()
    assert "Sin" in emitted.plan.boundaries
    assert Simulation(network, emitted).check(feed).worst[1] <= 1


def test_groups_that_no_kernel_can_run_say_why():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 8)
        grouped = tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME", name="grouped")
        dilated = tf.raw_ops.DepthwiseConv2dNative(
            input=x,
            filter=constant(3, 3, 8, 1),
            strides=[1] * 4,
            padding="SAME",
            dilations=[1, 2, 2, 1],
            name="dilated",
        )
        runtime = tf.reshape(tf.reduce_mean(x, [0, 1, 2]), [1, 1, 8, 1])
        dynamic = tf.nn.conv2d(x, runtime, 1, "SAME", name="dynamic")
        flat = tf.reshape(x, [-1, 8])
        turned = tf.matmul(flat, constant(8, 8)[:8], transpose_a=True, name="turned")
        total = tf.add_n([grouped, dilated]) + dynamic
        tf.add(total, tf.reduce_sum(turned), name="o")

    network = compiled(build(function), {"x": data(2, 8, 8, 8)})
    reasons = {group.name: group.reason for group in network.grouping.described}
    assert reasons["grouped"] == "a grouped convolution has no int8 kernel"
    assert reasons["dilated"] == "a dilated depthwise convolution has no int8 kernel"
    assert reasons["dynamic"] == "its weights are computed at run time"
    assert reasons["turned"] == "its input is transposed, which the int8 kernel does not support"


def test_signed_one_channel_input_padded_at_its_sides_alone():
    """An AVX-512 kernel gives nonsense there, so the codes are padded in front of it."""

    def function(tf, constant):
        x = placeholder(tf, 8, 8, 1)
        pads = [[0, 0], [0, 0], [1, 1], [0, 0]]
        tf.nn.conv2d(x, constant(3, 3, 1, 4), 1, pads, name="o")

    feed = {"x": data(4, 8, 8, 1)}
    network = compiled(build(function), feed)
    emitted = network.emit()
    assert emitted.plan.encodings["x"].dtype == "s8"
    assert Simulation(network, emitted).check(feed).worst[1] <= 1


def test_weights_of_signed_inputs_are_even_where_kernels_halve_them():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        tf.nn.conv2d(x, constant(3, 3, 4, 4), 1, "SAME", name="o")

    network = compiled(build(function), {"x": data(4, 8, 8, 4)}, isa=INSTRUCTION_SETS["avx2"])
    emitted = network.emit()
    (node,) = [n for n in emitted.graph_def.node if n.name.startswith("int8_weights")]
    codes = import_tensorflow().make_ndarray(node.attr["value"].tensor)
    plain = codes[codes.dtype.names[0]] if codes.dtype.names else codes
    assert not np.any(plain % 2)
    assert np.abs(plain).max() == 126


def test_the_two_quantizations_at_a_boundary_share_no_constant_by_mistake(network):
    emitted = network.emit()
    names = Builder(network.graph, emitted.plan)
    quantizers = ops(emitted.graph_def, "QuantizeV2")
    assert quantizers == [names.codes(tensor) for tensor in emitted.plan.boundaries]


@pytest.mark.parametrize("seed", range(25))
def test_random_networks(seed):
    verdict = judge(seed)
    assert verdict.problems == ()
    assert verdict.simulated > 20
