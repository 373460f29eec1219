"""The latency map of a network: every unit and crossing of its plan, at plausible costs."""

import statistics
import time
from dataclasses import replace

import pytest
from graphs import build, data, placeholder

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.graph import LatencyMap, TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, host_info
from lpot_examples.search.allocation import allocate, predict

pytestmark = pytest.mark.alone  # measures time

# Costs are compared with measurements on machines that do other things as well.
GENEROUS = 12
CONFIG = TuningConfig()
BATCH = {"x": data(1, 40, 40, 16)}


def conv(tf, constant, x, channels=32, kernel=3, name=None):
    weights = constant(kernel, kernel, int(x.shape[3]), channels, scale=0.3 / kernel)
    made = tf.nn.conv2d(x, weights, 1, "SAME", name=name)
    return tf.nn.bias_add(made, constant(channels), name=f"{name}_biased")


def residual(tf, constant):
    """A residual sum, a pool, a mean and an output in the middle, all in eight bits."""
    x = tf.nn.relu(conv(tf, constant, placeholder(tf, 40, 40, 16), name="stem"), name="stem_out")
    y = conv(tf, constant, x, name="branch")
    x = tf.nn.max_pool2d(tf.nn.relu(x + y, name="sum_out"), 3, 2, "SAME", name="pool")
    x = tf.nn.relu(conv(tf, constant, x, name="last"), name="features")
    pixels = tf.reshape(x, [-1, 20 * 20 * 32], name="flat")
    scores = tf.matmul(pixels, constant(20 * 20 * 32, 4, scale=0.01), name="dense")
    tf.nn.softmax(scores, name="o")


def gated(tf, constant):
    """A plain trunk, then swish and squeeze-and-excite around small convolutions."""
    x = tf.nn.relu(conv(tf, constant, placeholder(tf, 40, 40, 16), name="first"))
    x = tf.nn.relu(conv(tf, constant, x, name="second"))
    x = conv(tf, constant, x, 16, name="third")
    x = x * tf.sigmoid(x)
    y = conv(tf, constant, x, 16, 1, name="swished")
    y = y * tf.sigmoid(y)
    squeezed = tf.reduce_max(y, [1, 2], keepdims=True)
    gate = conv(tf, constant, squeezed, 4, 1, name="squeeze")
    gate = conv(tf, constant, gate * tf.sigmoid(gate), 16, 1, name="excite")
    z = conv(tf, constant, y * tf.sigmoid(gate), 16, 1, name="gated")
    tf.multiply(z, tf.sigmoid(z), name="o")


def backend(function, outputs=("o",)):
    model = TensorFlowModel(build(function), inputs=("x",), outputs=outputs)
    return TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])


def measured(function, outputs=("o",)):
    made = backend(function, outputs)
    found = made.calibrate([{"x": data(2, 40, 40, 16, seed=1)}], sizes=[2])[2]
    return made, found, made.latencies(CONFIG, found, BATCH)


@pytest.fixture(scope="module")
def plain():
    return measured(residual, ("o", "features"))


@pytest.fixture(scope="module")
def swish():
    return measured(gated)


@pytest.mark.parametrize("network", ["plain", "swish"])
def test_every_group_and_movement_has_a_unit(network, request):
    made, found, costs = request.getfixturevalue(network)
    plan = made._emitter.plan(CONFIG, found)
    assert costs.groups == set(plan.groups) == {g.name for g in made.op_graph.quantizable}
    assert set(costs.units) == {*plan.groups, *plan.movements}
    assert all(name == unit.name for name, unit in costs.units.items())
    assert all(unit.int8 >= 0 and unit.fp32 >= 0 for unit in costs.units.values())
    assert all(costs.units[name].int8 > 0 for name in costs.groups)
    assert all(costs.units[name].fp32 > 0 for name in costs.groups)
    assert all(c.quantize > 0 and c.dequantize > 0 for c in costs.crossings)
    assert costs.rest >= 0
    assert LatencyMap.from_dict(costs.to_dict()) == costs


def crossings(costs):
    return {c.tensor: (c.maker, c.readers, c.outside) for c in costs.crossings}


def test_crossings_are_those_of_the_graph(plain):
    assert crossings(plain[2]) == {
        "x": (None, ("stem",), False),
        "stem_out": ("stem", ("branch",), False),
        "sum_out": ("branch", ("pool",), False),
        "pool": ("pool", ("last",), False),
        "features": ("last", ("flat",), True),
        "flat": ("flat", ("dense",), False),
    }


def test_crossings_at_gates_are_read_by_what_stays_fp32(swish):
    made, collected, costs = swish
    found = crossings(costs)
    fp32 = {name: readers for name, (maker, readers, _) in found.items() if maker is None}
    assert set(fp32) == set(made._emitter.plan(CONFIG, collected).boundaries)
    assert sorted(fp32.values()) == [
        ("excite",),
        ("first",),
        ("gated",),
        ("squeeze",),
        ("swished",),
    ]
    gates = ("third", "swished", "squeeze", "excite", "gated")
    assert {found[f"{name}_biased"] for name in gates} == {(name, (), True) for name in gates}


def seconds(model, made):
    times = []
    for _ in range(15):
        started = time.perf_counter()
        model(BATCH)
        times.append(time.perf_counter() - started)
    model.close()
    return statistics.median(times[5:])


def test_predictions_are_near_what_runs_take(plain):
    made, found, costs = plain
    for config in (CONFIG, TuningConfig(fp32=costs.groups)):
        taken = 1000 * seconds(made.emit(config, found), made)
        predicted = predict(costs, config.fp32)
        assert taken / GENEROUS < predicted < taken * GENEROUS


def test_larger_tensors_cost_more_to_convert(plain):
    by_tensor = {c.tensor: c for c in plain[2].crossings}
    assert by_tensor["sum_out"].quantize >= by_tensor["pool"].quantize
    assert by_tensor["sum_out"].dequantize >= by_tensor["pool"].dequantize


def test_groups_between_gates_go_back_to_fp32_where_boundaries_cost_more_than_int8_gains(swish):
    """The costs are given, so that the outcome depends on the map's structure alone."""
    costs = swish[2]
    fast, slow = {"int8": 1.0, "fp32": 2.0}, {"int8": 0.9, "fp32": 1.0}
    trunk = {"first", "second", "third"}
    assert {"swished", "squeeze", "excite", "gated"} | trunk == costs.groups
    units = {n: replace(u, **(fast if n in trunk else slow)) for n, u in costs.units.items()}
    conversions = [replace(c, quantize=0.2, dequantize=0.2) for c in costs.crossings]
    known = replace(costs, units=units, crossings=tuple(conversions), rest=0.0)
    assert allocate(known) & costs.groups == trunk
    free = [replace(c, quantize=0.0, dequantize=0.0) for c in costs.crossings]
    assert allocate(replace(known, crossings=tuple(free))) >= costs.groups
