"""Every op of the network has one decision, and the reason is the true one."""

import numpy as np
import pytest
from graphs import build, compiled, data, placeholder

from lpot_examples.backends.base import FRAGILE, OpDecision
from lpot_examples.backends.tensorflow.explain import decisions
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.simulation import Simulation


def function(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    first = tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME", name="first")
    first = tf.nn.relu(tf.nn.bias_add(first, constant(8), name="bias"), name="relu")
    pooled = tf.nn.max_pool2d(first, 2, 1, "SAME", name="pool")
    second = tf.nn.conv2d(pooled, constant(3, 3, 8, 8), 1, "SAME", name="second")
    total = tf.nn.relu(tf.add(second, pooled, name="sum"), name="out")
    depth = tf.raw_ops.DepthwiseConv2dNative(
        input=total, filter=constant(3, 3, 8, 1), strides=[1] * 4, padding="SAME", name="depth"
    )
    turned = tf.transpose(tf.sin(depth, name="sin"), [0, 2, 1, 3], name="turned")
    dilated = tf.raw_ops.DepthwiseConv2dNative(
        input=turned,
        filter=constant(3, 3, 8, 1),
        strides=[1] * 4,
        padding="SAME",
        dilations=[1, 2, 2, 1],
        name="dilated",
    )
    flat = tf.reshape(tf.reduce_mean(dilated, [1, 2], name="mean"), [-1, 8], name="flat")
    tf.matmul(flat, constant(8, 3), name="o")


@pytest.fixture(scope="module")
def network():
    return compiled(build(function), {"x": data(8, 8, 8, 4)}, isa=INSTRUCTION_SETS["avx2"])


def explained(network, config=None, *, reverted=None):
    config = config or TuningConfig()
    emitted = network.emit(config)
    fragile = network.emitter.fragile(config, emitted.plan)
    found = decisions(network.graph, network.grouping, emitted, reverted or {}, fragile)
    return emitted, {decision.name: decision for decision in found}, found


def test_every_op_has_one_decision(network):
    _, by_name, found = explained(network)
    assert len(found) == len(by_name)
    silent = {"Const", "Placeholder"}
    assert set(by_name) == {n.name for n in network.graph if n.op not in silent}
    assert all(d.reason and d.precision in ("int8", "fp32") for d in found)
    assert all(network.graph.nodes[d.name].op == d.type for d in found)


def test_kernels_say_what_they_read_and_make(network):
    _, by_name, _ = explained(network)
    first = by_name["first"]
    assert first.reason == "_FusedQuantizedConv2D: s8 input, 7-bit weights, u8 result"
    # What is fused with it has its decision.
    assert by_name["bias"] == OpDecision(
        name="bias", type="BiasAdd", group="first", precision="int8", reason=first.reason
    )
    assert by_name["second"].reason == "_FusedQuantizedConv2D: u8 input, 8-bit weights, u8 result"
    assert by_name["sum"].group == by_name["out"].group == "second"
    assert by_name["o"].reason.startswith("_QuantizedMatMul: ")
    assert by_name["o"].reason.endswith("-bit weights, fp32 result")


def test_data_movement(network):
    _, by_name, _ = explained(network)
    assert by_name["pool"].precision == "int8"
    assert by_name["pool"].reason == "moves u8 codes between int8 ops"
    assert by_name["pool"].group == ""
    assert by_name["turned"].precision == "fp32"
    assert by_name["turned"].reason == "no int8 op both before and behind it"


def test_what_has_no_kernel(network):
    _, by_name, _ = explained(network)
    assert by_name["sin"].reason == "Sin has no int8 kernel here"
    assert by_name["dilated"].precision == "fp32"
    assert by_name["dilated"].reason == "a dilated depthwise convolution has no int8 kernel"


def test_groups_kept_in_fp32_say_why(network):
    config = TuningConfig(fp32=frozenset({"first", "second"}))
    _, by_name, _ = explained(network, config, reverted={"second": "it cost too much accuracy"})
    for name in ("second", "sum", "out"):
        assert by_name[name].precision == "fp32"
        assert by_name[name].reason == "it cost too much accuracy"
    assert by_name["first"].reason == "kept in fp32 by the configuration"
    assert by_name["pool"].reason == "no int8 op both before and behind it"


def test_decisions_agree_with_the_emitted_graph(network):
    for fp32 in ((), ("first",), ("depth", "second"), ("o",)):
        emitted, by_name, _ = explained(network, TuningConfig(fp32=frozenset(fp32)))
        kept = {node.name for node in emitted.graph_def.node}
        types = {node.name: node.op for node in emitted.graph_def.node}
        for name, decision in by_name.items():
            if decision.precision == "fp32":
                assert name in kept
                assert types[name] == decision.type
            else:
                assert types.get(name) != decision.type


def test_a_sum_that_stays_outside_the_kernel():
    """Its reader pads by a size known at run time alone, and the sum has negative values."""

    def unfused(tf, constant):
        x, size = placeholder(tf, 9, 9, 4), tf.compat.v1.placeholder(tf.int32, [2], "size")
        first = tf.nn.conv2d(x, constant(1, 1, 4, 4), 1, "SAME", name="first")
        made = tf.nn.conv2d(first, constant(1, 1, 4, 4), 1, "SAME", name="made")
        total = tf.add(first, made, name="sum")
        larger = tf.compat.v1.image.resize_nearest_neighbor(total, size)
        tf.nn.conv2d(larger, constant(3, 3, 4, 4), 2, "SAME", name="o")

    feed = {"x": data(4, 9, 9, 4), "size": np.array([12, 13], np.int32)}
    network = compile_graph(build(unfused), inputs=("x", "size"), outputs=("o",), batches=[feed])
    emitted, by_name, _ = explained(network)
    assert network.grouping.compute["made"].sum_node == "sum"
    assert emitted.plan.sums == frozenset()
    assert by_name["made"].precision == "int8"
    assert by_name["sum"].precision == "fp32"
    assert by_name["sum"].group == "made"
    assert by_name["sum"].reason.startswith("its summand cannot be unsigned")
    assert Simulation(network, emitted).check(feed).worst[1] <= 1


def test_only_kernels_that_could_saturate_are_marked():
    """A network made for VNNI is marked where its weights need it, one made without nowhere."""

    def function(tf, constant):
        x = tf.nn.relu(placeholder(tf, 8, 8, 4))
        wide = tf.nn.relu(tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME", name="wide"))
        apart = np.zeros((1, 1, 8, 4), np.float32)
        apart[:, :, ::2] = 1.0
        y = tf.nn.relu(tf.nn.conv2d(wide, apart, 1, "SAME", name="apart"))
        tf.raw_ops.DepthwiseConv2dNative(
            input=y, filter=constant(3, 3, 4, 1), strides=[1] * 4, padding="SAME", name="o"
        )

    graph_def, feed = build(function), {"x": data(4, 8, 8, 4, low=0.0)}
    marked = {}
    for isa in ("avx512_vnni", "avx2"):
        network = compiled(graph_def, feed, isa=INSTRUCTION_SETS[isa])
        _, by_name, _ = explained(network)
        convolutions = [d for d in by_name.values() if d.type == "Conv2D"]
        marked[isa] = {d.name for d in convolutions if FRAGILE in d.reason}
        assert FRAGILE not in by_name["o"].reason
    assert marked == {"avx512_vnni": {"wide"}, "avx2": set()}
