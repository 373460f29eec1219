"""The latency map of a network: every unit and crossing of its plan, and no time lost."""

import time
from dataclasses import replace

import numpy as np
import onnx
import pytest

from lpot_examples.backends.onnx import profile, trace
from lpot_examples.graph import LatencyMap, TuningConfig
from lpot_examples.search.allocation import allocate, predict
from lpot_examples.testing.onnx_networks import (
    NetworkMaker,
    encoder_network,
    image_network,
    resnet_network,
)

pytestmark = pytest.mark.alone  # measures time

# Costs are compared with measurements on machines that do other things as well.
GENEROUS = 12
CONFIG = TuningConfig()


def pooled_network(*, batch="batch", size=32):
    """A trunk with a pool, a shuffle, a sum and an output in the middle, all in eight bits."""
    maker = NetworkMaker()
    x = maker.op("Relu", [maker.conv("image", (3, 16), name="stem")], name="stem_out")
    x = maker.op("MaxPool", [x], name="pool", kernel_shape=[2, 2], strides=[2, 2])
    y = maker.op("Relu", [maker.conv(x, (16, 16), name="branch")])
    shape = maker.constant(np.array([-1, 2, 8, size // 2, size // 2]))
    turned = maker.op("Transpose", [maker.op("Reshape", [y, shape])], perm=[0, 2, 1, 3, 4])
    back = maker.constant(np.array([-1, 16, size // 2, size // 2]))
    y = maker.op("Reshape", [turned, back], name="shuffled")
    x = maker.op("Relu", [maker.op("Add", [x, y], name="sum")], name="sum_out")
    middle = maker.op("Relu", [maker.conv(x, (16, 16), name="features")])
    last = maker.op("Sigmoid", [maker.conv(middle, (16, 8), name="last")], name="gate")
    shape = [batch, None, None, None]
    return maker.model({"image": [batch, 3, size, size]}, {middle: shape, last: shape})


def batch_of(built):
    return {name: array[:1] for name, array in built.batches[0].items()}


def costs_of(built, config=CONFIG):
    return built.backend.latencies(config, built.statistics, batch_of(built))


@pytest.fixture
def counted(monkeypatch):
    """Let every node take a millisecond, and return how many each network has."""
    monkeypatch.setattr(trace, "_WARM_UP", 0)
    monkeypatch.setattr(trace, "_RUNS", 1)
    counts = {}

    def steady(networks):
        found = trace.trace(networks)
        counts.update({name: len(nodes) for name, nodes in found.items()})
        counts["nodes"] = found
        return {name: [replace(n, milliseconds=1.0) for n in own] for name, own in found.items()}

    monkeypatch.setattr(profile, "trace", steady)
    return counts


NETWORKS = {
    "pooled": (pooled_network, False),
    "image": (image_network, False),
    "resnet": (resnet_network, False),
    "encoder": (encoder_network, False),
    "dynamic": (encoder_network, True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_node_that_runs_is_paid_for_once(name, build, counted):
    network, dynamic = NETWORKS[name]
    built = build(network(), dynamic=dynamic)
    costs = costs_of(built)
    quantizable = {group.name for group in built.backend.op_graph.quantizable}
    assert costs.groups == quantizable
    assert LatencyMap.from_dict(costs.to_dict()) == costs
    assert costs.cost(frozenset()) == pytest.approx(counted["fp32"])
    rest = [n for n in counted["nodes"]["int8"] if n.node.op_type in ("Softmax", "LayerNorm")]
    everything = costs.cost(frozenset(costs.units))
    # What is no unit's is taken from the fp32 network, where other ops may have been fused.
    assert everything == pytest.approx(counted["int8"], abs=4 + len(rest))
    assert all(costs.units[group].fp32 > 0 and costs.units[group].int8 > 0 for group in quantizable)


def test_crossings_are_those_of_the_graph(build, counted):
    built = build(pooled_network())
    costs = costs_of(built)
    nodes = built.backend.graph.nodes
    (shuffled,) = (name for name, node in nodes.items() if node.op_type == "Gather")
    followers = {"pool", shuffled, "sum"}
    assert set(costs.units) == costs.groups | followers
    reading = {}
    for crossing in costs.crossings:
        maker = crossing.maker or crossing.tensor
        known = reading.setdefault(maker, (set(), False))
        reading[maker] = known[0] | set(crossing.readers), known[1] or crossing.outside
    assert reading == {
        "image": ({"stem"}, False),
        "stem": ({"pool"}, False),
        "pool": ({"branch", "sum"}, False),
        "branch": ({shuffled}, False),
        shuffled: ({"sum"}, False),
        "sum": ({"features"}, False),
        "features": ({"last"}, True),
        "last": (set(), True),
    }


def test_movement_is_in_int8_only_where_all_that_it_reads_is(build, counted):
    costs = costs_of(build(pooled_network()))
    cheap = {
        name: replace(unit, fp32=10.0 if not unit.group else unit.fp32)
        for name, unit in costs.units.items()
    }
    costs = replace(costs, units=cheap)
    assert {"pool", "sum"} <= allocate(costs, fixed_int8=costs.groups)
    without = allocate(costs, fixed_int8=costs.groups - {"branch"}, fixed_fp32={"branch"})
    assert "pool" in without
    assert "sum" not in without
    assert predict(costs, {"branch"}) < 1e4


def test_every_fp32_reader_pays_for_a_conversion_of_its_own(build, counted):
    maker = NetworkMaker()
    x = maker.conv("image", (3, 8), name="stem")
    ends = [maker.conv(x, (8, 4), name=f"end{number}") for number in range(3)]
    shape = ["batch", None, None, None]
    model = maker.model({"image": ["batch", 3, 16, 16]}, dict.fromkeys(ends, shape))
    costs = costs_of(build(model))
    behind = tuple(one for one in costs.crossings if one.maker == "stem")
    costs = LatencyMap(units={}, crossings=behind, rest=0.0)
    int8 = frozenset({"stem", "end0", "end1", "end2"})
    paid = [costs.cost(int8 - {f"end{n}" for n in range(count)}) for count in range(4)]
    steps = np.diff(paid)
    assert steps[1] == pytest.approx(steps[2])
    assert steps[1] > 0


def test_the_time_of_nodes_that_the_runtime_inserts_goes_to_the_kernels_they_are_for(build):
    """Names as ONNX Runtime gives them: layouts before and after, fused and renamed ops."""
    built = build(pooled_network())
    plan = built.backend._static.emit(CONFIG, built.statistics).plan
    graph = built.backend.graph
    units = profile._units(graph, plan.groups, plan)
    stem, branch, features = (plan.groups[one].output for one in ("stem", "branch", "features"))

    def node(kind, name, read, made):
        return onnx.helper.make_node(kind, read, made, name=name)

    nodes = [
        node("Transpose", "Transpose", ["image/codes"], ["Transpose_out0"]),
        node("QLinearConv", "stem_token_3", ["Transpose_out0"], ["stem"]),
        node("NhwcMaxPool", "pool_token_4", ["stem"], ["pool_token_4"]),
        node("ReorderInput", "ReorderInput_token_1", ["pool_token_4"], ["reorder_token_1"]),
        node("Conv", f"{branch}_nchwc", ["reorder_token_1"], ["reorder_token_2"]),
        node("ReorderOutput", "ReorderOutput", ["reorder_token_2"], [branch]),
        node("Transpose", "Transpose_token_9", ["features"], [f"{features}/codes"]),
        node("QLinearConv", "features_token_7", ["x"], ["features"]),
        node("Conv", "unknown", ["features"], ["elsewhere"]),
    ]
    assert stem
    assert profile._Owners(graph, units, nodes).found == [
        ("stem",),
        ("stem",),
        ("pool",),
        ("branch",),
        ("branch",),
        ("branch",),
        ("features",),
        ("features",),
        ("features",),
    ]


@pytest.mark.parametrize("batch", ["batch", 4])
def test_predictions_are_near_what_runs_take(batch, build):
    built = build(pooled_network(batch=batch, size=64))
    costs = costs_of(built)
    for config in (CONFIG, TuningConfig(fp32=costs.groups)):
        model = built.emit(config)
        times = []
        for _ in range(12):
            started = time.perf_counter()
            model(batch_of(built))
            times.append(1000 * (time.perf_counter() - started))
        taken = min(times[4:])
        assert taken / GENEROUS < predict(costs, config.fp32) < taken * GENEROUS
    paid = [c.quantize + c.dequantize for c in costs.crossings if c.outside or not c.maker]
    assert all(cost > 0 for cost in paid)


def test_groups_that_must_be_fp32_are_no_units(build, counted):
    costs = costs_of(build(pooled_network()), TuningConfig(fp32=frozenset({"branch"})))
    assert costs.groups == {"stem", "features", "last"}
    assert "sum" not in costs.units


def test_images_with_their_channels_last_are_taken(build, counted):
    built = build(pooled_network())
    batch = {"image": np.moveaxis(batch_of(built)["image"], 1, -1)}
    costs = built.backend.latencies(CONFIG, built.statistics, batch)
    assert costs.cost(frozenset()) == pytest.approx(counted["fp32"])


def test_a_pool_between_fp32_and_int8_runs_in_fp32(build):
    """ONNX Runtime's pool of codes takes many times as long, where their channels are first."""
    maker = NetworkMaker()
    x = maker.op("Relu", [maker.conv("image", (3, 16), name="stem")])
    x = maker.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    shape = ["batch", None, None, None]
    end = maker.conv(x, (16, 16))
    built = build(maker.model({"image": ["batch", 3, 32, 32]}, {end: shape}))
    emitted = built.emit(TuningConfig(fp32=frozenset({"stem"})))
    plain = onnx.ModelProto()
    plain.CopyFrom(emitted.proto)
    (clip,) = (node for node in plain.graph.node if node.op_type == "Clip")
    for node in plain.graph.node:
        if clip.output[0] in node.input:
            node.input[0] = clip.input[0]
    plain.graph.node.remove(clip)
    feed = batch_of(built)
    pools = {}
    for name, network in {"ours": emitted.proto, "plain": plain}.items():
        executed = trace.trace({name: (network, feed)})[name]
        read = {
            tensor for one in executed if "MaxPool" in one.node.op_type for tensor in one.node.input
        }
        made_by = {t: one.node.op_type for one in executed for t in one.node.output}
        pools[name] = {made_by[tensor] for tensor in read}
    assert "QuantizeLinear" in pools["plain"], "the runtime has changed; is the Clip still needed?"
    assert "QuantizeLinear" not in pools["ours"]
    ours, theirs = (type(emitted)(proto)(feed) for proto in (emitted.proto, plain))
    assert np.array_equal(ours, theirs)
