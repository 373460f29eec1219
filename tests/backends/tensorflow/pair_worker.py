"""Run kernels on weights chosen to saturate sums of product pairs; print the worst differences.

Every input code is 255 and the large weights of a channel have one sign. They stand side by side,
or 2, 3, 4, 8 … places apart in the order (height, width, input channel), so that a kernel which
adds other products than those of neighbours is found out. Signed inputs are 127 throughout, which
kernels shift to 255. One graph holds all cases.

Arguments are instruction sets to emit for, or ``generic:7`` for seven-bit weights whatever they
are.
"""

import itertools
import json
import sys

import numpy as np

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.oracle import emitted_weights, linear_kernel
from lpot_examples.testing.simulation import int8_session

# Kernel, input channels, output channels, stride, padding, dilation.
CONVOLUTIONS = [
    (kernel, inputs, outputs, stride, padding, dilation)
    for (kernel, stride, padding, dilation), inputs, outputs in itertools.product(
        [(1, 1, "SAME", 1), (3, 1, "SAME", 1), (3, 1, "SAME", 2), (5, 2, "VALID", 1)],
        [1, 2, 3, 4, 5, 17],
        [1, 24],
    )
]
# Kernel, channels, multiplier, stride.
DEPTHWISE = [
    (kernel, channels, multiplier, stride)
    for kernel, channels, multiplier, stride in itertools.product(
        [1, 3, 5], [1, 3, 8], [1, 2], [1, 2]
    )
]
PRODUCTS = list(itertools.product([1, 2, 3, 7, 33, 130], [1, 24]))
# How far apart large weights are. At 1 all are alike: neighbours share what fits 16 bits.
DISTANCES = (1, 2, 3, 4, 8, 16)


def _weights(rng, shape, outputs):
    """Return weights whose large ones are at a distance that differs between output channels."""
    rows = rng.uniform(0.0, 0.2, (outputs, int(np.prod(shape))))
    for channel, row in enumerate(rows):
        distance = DISTANCES[(channel + int(rng.integers(6))) % len(DISTANCES)]
        row[int(rng.integers(distance)) :: distance] = rng.uniform(0.9, 1.0)
    # At random places as well, in every third channel.
    rows[2::3] = np.where(rng.random(rows[2::3].shape) < 0.5, 1.0, 0.1)
    return (rows * rng.choice([-1.0, 1.0], (outputs, 1))).astype(np.float32)


def _network():
    """Return the graph, what calibrates it and what it is run on."""
    tf, rng, feed = import_tensorflow(), np.random.default_rng(3), {}
    graph, signed = tf.Graph(), set()
    with graph.as_default():

        def source(*shape, negatives=False):
            name = f"x{len(feed)}"
            feed[name] = np.full((2, *shape), 2.0, np.float32)
            if negatives:
                signed.add(name)
            return tf.compat.v1.placeholder(tf.float32, [None, *shape], name)

        for kernel, inputs, outputs, stride, padding, dilation in CONVOLUTIONS:
            rows = _weights(rng, (kernel, kernel, inputs), outputs)
            weights = rows.reshape(outputs, kernel, kernel, inputs).transpose(1, 2, 3, 0)
            name = f"conv_{kernel}_{inputs}_{outputs}_{stride}_{padding}_{dilation}"
            x = source(7, 7, inputs)
            tf.nn.conv2d(x, weights, stride, padding, dilations=dilation, name=name)
        for kernel, channels, multiplier, stride in DEPTHWISE:
            rows = _weights(rng, (kernel, kernel), channels * multiplier)
            shape = (channels, multiplier, kernel, kernel)
            weights = rows.reshape(shape).transpose(2, 3, 0, 1)
            name = f"depthwise_{kernel}_{channels}_{multiplier}_{stride}"
            x = source(7, 7, channels)
            tf.nn.depthwise_conv2d(x, weights, [1, stride, stride, 1], "SAME", name=name)
        for features, outputs in PRODUCTS:
            rows = _weights(rng, (features,), outputs)
            tf.matmul(source(features), rows.T.copy(), name=f"matmul_{features}_{outputs}")
        for channels in (2, 5, 16):
            # One source for all: the padded windows make it signed, for the product as well.
            same = np.eye(channels, dtype=np.float32)[None, None]
            x = source(7, 7, channels, negatives=True)
            x = tf.nn.conv2d(x, same, 1, "SAME", name=f"same_{channels}")
            rows = _weights(rng, (3, 3, channels), 24)
            weights = rows.reshape(24, 3, 3, channels).transpose(1, 2, 3, 0)
            tf.nn.conv2d(x, weights, 1, "SAME", name=f"signed_conv_{channels}")
            rows = _weights(rng, (3, 3), channels).reshape(channels, 1, 3, 3)
            weights, name = rows.transpose(2, 3, 0, 1), f"signed_depthwise_{channels}"
            tf.nn.depthwise_conv2d(x, weights, [1] * 4, "SAME", name=name)
            weights, flat = (
                _weights(rng, (49 * channels,), 24).T,
                tf.reshape(x, [-1, 49 * channels]),
            )
            tf.matmul(flat, weights.copy(), name=f"signed_matmul_{channels}")
    calibrating = {k: np.concatenate([v, -v]) if k in signed else v for k, v in feed.items()}
    half = {k: v if k in signed else np.concatenate([v, v]) for k, v in calibrating.items()}
    return graph.as_graph_def(), half, feed


def measure(isa, bits=8):
    """Return anchor → the greatest difference from the oracle.

    In codes; for the real values of a MatMul, in 1/255 of their peak.
    """
    graph_def, calibrating, feed = _network()
    outputs = [n.name for n in graph_def.node if n.op in ("Conv2D", "DepthwiseConv2dNative")]
    outputs += [n.name for n in graph_def.node if n.op == "MatMul"]
    compilation = compile_graph(
        graph_def,
        inputs=tuple(feed),
        outputs=outputs,
        batches=[calibrating],
        isa=INSTRUCTION_SETS[isa],
    )
    config = TuningConfig(weight_bits=dict.fromkeys(outputs, bits))
    emitted = compilation.emit(config)
    int8 = Graph(emitted.graph_def, inputs=tuple(feed), outputs=outputs)
    names, plan = Builder(compilation.graph, emitted.plan), emitted.plan
    made = {a: names.codes(plan.output(g)) for a, g in plan.groups.items() if g.op != "MatMul"}
    made |= {a: g.output for a, g in plan.groups.items() if g.op == "MatMul"}
    sources = {group.source: names.codes(group.source) for group in plan.groups.values()}
    fetches = {key: f"{name}:0" for key, name in sources.items()}
    with int8_session(emitted.graph_def) as session:
        values, codes = session.run(
            ([f"{made[anchor]}:0" for anchor in plan.groups], fetches),
            {f"{name}:0": value for name, value in feed.items()},
        )
    results = {}
    for (anchor, group), got in zip(plan.groups.items(), values, strict=True):
        kernel = linear_kernel(compilation, emitted, emitted_weights(int8, names, group), group)
        assert plan.encodings[group.source].dtype == ("s8" if "signed" in anchor else "u8")
        wanted = kernel(_plain(codes[group.source]))
        if kernel.makes is None:
            results[anchor] = float(np.abs(got - wanted).max() / np.abs(wanted).max() * 255)
            continue
        results[anchor] = float(np.abs(_plain(got).astype(int) - wanted.astype(int)).max())
    return results


def _plain(codes):
    return codes[codes.dtype.names[0]] if codes.dtype.names else codes


def main():
    results = {}
    for wanted in sys.argv[1:]:
        isa, _, bits = wanted.partition(":")
        results[wanted] = measure(isa, int(bits or 8))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
