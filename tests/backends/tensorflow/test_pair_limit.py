"""Eight-bit weights where products saturate: no two neighbours together may exceed 16 bits."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import build, compiled, data, placeholder

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.emit.weights import MAX_PAIR, WeightCache
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, best_isa, host_info
from lpot_examples.quantize.weights import pair_sums, quantize_weights
from lpot_examples.testing.oracle import emitted_weights

WORKER = Path(__file__).with_name("pair_worker.py")
CAPS = ("AVX2", "AVX512_CORE")
# The instruction sets that a cap makes of a CPU which has more.
EMULATED = {
    "SSE41": "sse4",
    "AVX": "avx",
    "AVX2": "avx2",
    "AVX512_CORE": "avx512",
    "AVX512_CORE_VNNI": "avx512_vnni",
    "AVX2_VNNI": "avx_vnni",
    "DEFAULT": "amx_int8",
}
SHAPES = [((1, 1, 1, 4), (3,)), ((1, 1, 2, 8), (3,)), ((3, 3, 5, 7), (3,)), ((64, 9), (1,))]


def random_weights(rng, shape):
    """Return weights of one of several distributions, with a dead channel at times."""
    kind = rng.integers(5)
    if kind == 0:
        values = rng.normal(0, 1, shape)
    elif kind == 1:
        values = rng.laplace(0, 1, shape) ** 3
    elif kind == 2:
        values = rng.uniform(0, 1, shape)
    elif kind == 3:
        values = rng.choice([-1.0, 0.0, 1.0], shape)
    else:
        values = np.where(rng.random(shape) < 0.1, rng.normal(0, 1, shape), 0.0)
    values = values * 10.0 ** rng.uniform(-6, 3, shape[-1])
    if rng.random() < 0.3:
        values[..., int(rng.integers(shape[-1]))] = 0.0
    return values.astype(np.float32)


def neighbours(codes):
    """Return |sum| of every two neighbours of each column of [weights, channels]."""
    rows = codes.reshape(-1, codes.shape[-1]).astype(int)
    return np.abs(rows[1:] + rows[:-1])


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bits", [8, 7])
def test_no_pair_exceeds_the_limit(shape, axes, per_channel, bits):
    rng = np.random.default_rng(bits)
    for _ in range(100):
        weights = random_weights(rng, shape)
        found = quantize_weights(weights, axes, bits=bits, per_channel=per_channel, pair_limit=128)
        rows = weights.reshape(-1, shape[-1]).astype(np.float64)
        peak = np.abs(rows).max(axis=0)
        if not per_channel:
            peak = np.full_like(peak, peak.max())
        most = 2 ** (bits - 1) - 1
        assert neighbours(found.codes).max(initial=0) <= 128
        assert np.abs(found.codes.astype(int)).max() <= most
        # At worst two neighbours are both the largest weight, and share 127.
        floor = 1.001e-12
        assert np.all(found.scales >= peak / most * (1 - 1e-6))
        assert np.all(found.scales <= np.maximum(peak / min(63, most) * (1 + 1e-6), floor))
        # Nothing is clipped: every weight is within half a step.
        real = found.codes.reshape(rows.shape) * found.scales.astype(np.float64)
        assert np.all(np.abs(real - rows) <= 0.5001 * found.scales)
        np.testing.assert_allclose(found.channel_sums, real.sum(axis=0), rtol=1e-6, atol=1e-9)


def test_channels_keep_what_bits_their_pairs_allow():
    rows = {
        "alike": ([1, 1, 1, 1], 63),
        "apart": ([1, 0, 1, 0], 127),
        "opposite": ([1, -1, 1, -1], 127),
        "a third": ([1, 1 / 3, 0, 0], 95),
        "negative": ([-1, -1, 0, 1], 63),
        "zero": ([0, 0, 0, 0], 0),
    }
    weights = np.array([row for row, _ in rows.values()], np.float32).T
    found = quantize_weights(weights, (1,), pair_limit=128)
    peaks = np.abs(found.codes).max(axis=0)
    assert dict(zip(rows, peaks.tolist(), strict=True)) == {k: v for k, (_, v) in rows.items()}
    assert np.all(np.isfinite(found.scales))
    assert np.all(found.scales > 0)


def test_a_single_weight_has_no_neighbour():
    weights = np.array([[[[0.5, -2.0, 0.0]]]], np.float32)
    found = quantize_weights(weights, (3,), pair_limit=128)
    np.testing.assert_array_equal(found.codes.ravel(), [127, -127, 0])
    np.testing.assert_allclose(found.scales[:2], [0.5 / 127, 2 / 127], rtol=1e-6)


def test_pair_sums_against_a_loop():
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows = rng.normal(0, 1, (4, int(rng.integers(1, 9))))
        wanted = []
        for row in rows:
            sums = [abs(a + b) for a, b in zip(row, row[1:], strict=False) if a * b > 0]
            wanted.append(max([*sums, *map(abs, row)]))
        np.testing.assert_allclose(pair_sums(rows), wanted)


def emitted_codes(function, isa, config=None, **options):
    network = compiled(build(function), {"x": data(4, 8, 8, 4, **options)}, isa=isa)
    emitted = network.emit(config)
    (group,) = [g for name, g in emitted.plan.groups.items() if name == "op"]
    int8 = Graph(emitted.graph_def, inputs=("x",), outputs=("o",))
    weights = emitted_weights(int8, Builder(network.graph, emitted.plan), group)
    return network, emitted, weights.codes.astype(int)


def ones(*shape):
    """Equal weights, which all pairs would saturate with."""
    return np.full(shape, 0.5, np.float32)


def convolution(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    tf.identity(tf.nn.relu(tf.nn.conv2d(x, ones(3, 3, 4, 8), 1, "SAME", name="op")), name="o")


def one_input(tf, constant):
    """Large weights without a large neighbour: kernels pair those of one input channel anyhow."""
    x, apart = placeholder(tf, 8, 8, 4)[..., :1], ones(3, 3, 1, 8)
    apart[:, 1] = 0.0
    apart[:, 2] = 0.0
    tf.identity(tf.nn.relu(tf.nn.conv2d(x, apart, 1, "SAME", name="op")), name="o")


def product(tf, constant):
    x = tf.reshape(placeholder(tf, 8, 8, 4), [-1, 256])
    tf.nn.relu(tf.matmul(x, ones(256, 5), name="op"), name="o")


def depthwise(multiplier):
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        y = tf.raw_ops.DepthwiseConv2dNative(
            input=x, filter=ones(3, 3, 4, multiplier), strides=[1] * 4, padding="SAME", name="op"
        )
        tf.nn.relu(y, name="o")

    return function


@pytest.mark.parametrize(
    ("function", "low", "isa", "largest"),
    [
        (convolution, 0.0, "avx2", 63),
        (convolution, 0.0, "avx512", 63),
        (convolution, 0.0, "avx512_vnni", 127),
        (convolution, 0.0, "generic", 127),
        (convolution, -1.0, "avx2", 126),  # even, and halved by the kernel
        (convolution, -1.0, "avx512_vnni", 127),
        (product, 0.0, "avx2", 63),
        (product, 0.0, "amx_int8", 127),
        (one_input, 0.0, "avx2", 63),
        (one_input, 0.0, "avx_vnni", 127),
        (depthwise(1), 0.0, "avx2", 127),  # there are no pairs to add
        (depthwise(2), 0.0, "avx2", 63),
        (depthwise(2), 0.0, "avx512_vnni", 127),
    ],
)
def test_bits_by_instruction_set(function, low, isa, largest):
    _, _, codes = emitted_codes(function, INSTRUCTION_SETS[isa], low=low)
    assert np.abs(codes).max() == largest


@pytest.mark.parametrize("equalization", [0.0, 0.5, 1.0])
def test_factors_are_multiplied_before_the_limit_applies(equalization):
    """Weights of stretched channels have other neighbours at the limit than those as given."""

    def network(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        loudness = (2.0 ** -np.arange(8)).astype(np.float32)
        y = tf.nn.relu(tf.nn.conv2d(x, constant(1, 1, 4, 8) * loudness, 1, "SAME"))
        weights = constant(3, 3, 8, 6) / loudness.reshape(8, 1)
        tf.nn.relu(tf.nn.conv2d(y, weights, 1, "SAME", name="op"), name="o")

    config = TuningConfig(equalization=equalization)
    _, emitted, codes = emitted_codes(network, INSTRUCTION_SETS["avx2"], config)
    assert bool(emitted.plan.factors) == (equalization > 0)
    assert neighbours(codes).max() <= MAX_PAIR
    # The limit is used up: a scale that keeps to seven bits would be twice as coarse.
    assert np.abs(codes).max() > 63


def test_a_dead_filter_with_a_bias_is_quantized_once():
    """Its scale is raised so that the bias fits 32 bits; the search emits hundreds of graphs."""

    def network(tf, constant):
        weights = constant(3, 3, 4, 8) * np.array([1, 1, 0, 1, 1e-9, 1, 1, 1], np.float32)
        made = tf.nn.conv2d(placeholder(tf, 8, 8, 4), weights, 1, "SAME", name="op")
        tf.nn.bias_add(made, constant(8), name="o")

    compilation = compiled(build(network), {"x": data(4, 8, 8, 4)})
    cache, config = WeightCache(INSTRUCTION_SETS["generic"]), TuningConfig()
    group, reads = compilation.grouping.compute["op"], compilation.emit().plan.encodings["x"]
    found = cache.get(group, reads, config)
    assert np.all(np.abs(group.bias) / (reads.scale * found.scales.astype(float)) < 2**30)
    assert cache.get(group, reads, config) is found
    assert cache.get(group, replace(reads, scale=reads.scale / 2), config) is not found


def _start(cap):
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "ONEDNN_MAX_CPU_ISA": cap,
    }
    root = str(WORKER.parents[3])
    environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(WORKER), "avx2", "generic", "generic:7"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def adversarial():
    """Figures of kernels without VNNI, from one process each."""
    if "avx2" not in host_info().flags:
        pytest.skip("this CPU has no AVX2")
    flags = host_info().flags
    caps = {c: isa for c, isa in EMULATED.items() if best_isa(flags, cap=c) == isa}
    results = {}
    for cap, process in [(cap, _start(cap)) for cap in caps]:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()
        results[cap] = json.loads(output)
    return results


@pytest.mark.parametrize("cap", ["AVX2", "AVX512_CORE"])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "matmul"])
def test_kernels_equal_exact_integers_on_the_worst_inputs(adversarial, cap, kind):
    if cap not in adversarial:
        pytest.skip(f"this CPU has no {cap}")
    figures = {k: v for k, v in adversarial[cap]["avx2"].items() if k.startswith(kind)}
    assert len(figures) >= 12
    assert {k: v for k, v in figures.items() if v > 1} == {}


@pytest.mark.parametrize("cap", ["AVX2", "AVX512_CORE"])
def test_the_worst_inputs_do_saturate_unlimited_weights(adversarial, cap):
    """Or the test above would show nothing."""
    if cap not in adversarial:
        pytest.skip(f"this CPU has no {cap}")
    figures = adversarial[cap]["generic"]
    for kind in ("conv", "matmul"):
        wrong = [k for k, v in figures.items() if k.startswith(kind) and v > 20]
        assert len(wrong) >= 5


@pytest.mark.parametrize("cap", EMULATED)
def test_the_table_of_instruction_sets_tells_the_truth(adversarial, cap):
    """Weights are exact up to the bits it says, and beyond them some are not.

    What halves weights is exact for those emitted for it, which are even, and not for others.
    """
    if cap not in adversarial:
        pytest.skip(f"this CPU has no {cap}")
    for entry in INSTRUCTION_SETS[EMULATED[cap]].exact:
        start = f"{'signed_' * (entry.reads == 's8')}{entry.kernel}_"
        worst = {}
        for bits, key in ((0, "avx2"), (7, "generic:7"), (8, "generic")):
            figures = {k: v for k, v in adversarial[cap][key].items() if k.startswith(start)}
            if entry.kernel == "depthwise":  # oneDNN takes the others for convolutions
                figures = {k: v for k, v in figures.items() if _truly_depthwise(k)}
            assert len(figures) >= 3
            worst[bits] = max(figures.values())
        assert worst[0] <= 1, entry
        if entry.halved:
            assert worst[7] > 1, entry
            continue
        found = 8 if worst[8] <= 1 else 7 if worst[7] <= 1 else 0
        assert (entry, found) == (entry, entry.bits), worst


def _truly_depthwise(anchor):
    if anchor.startswith("signed"):
        return True
    _, _, channels, multiplier, _ = anchor.split("_")
    return int(channels) > 1 and multiplier == "1"
