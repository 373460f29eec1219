"""Compile and run every recipe in this process's environment; print the figures as JSON.

All recipes are one graph, so that one session starts instead of two hundred.
"""

import json
import sys
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from recipes import RECIPES, Net

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.graphdef import Graph, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, onednn_enabled
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.oracle import emitted_weights, linear_kernel
from lpot_examples.testing.simulation import Simulation, int8_session


@dataclass
class Everything:
    """The graph of all recipes and data for it."""

    graph_def: object
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    feed: dict[str, np.ndarray]


def build(names):
    tf = import_tensorflow()
    graph, feed = tf.Graph(), {}
    with graph.as_default():
        for name in names:
            recipe, rng = RECIPES[name], np.random.default_rng(crc32(name.encode()))
            with tf.name_scope(name):
                x = tf.compat.v1.placeholder(tf.float32, [None, *recipe.shape], "x")
                made = recipe.build(Net(tf, rng), x)
                if made is not None:
                    tf.identity(made, name="o")
            feed[f"{name}/x"] = recipe.data(rng, 4)
    graph_def = graph.as_graph_def()
    ends = {n.name: n.name.rsplit("/", 1)[-1] for n in graph_def.node}
    outputs = [name for name, end in ends.items() if end == "o" or end.startswith("reader")]
    return Everything(graph_def, tuple(feed), tuple(outputs), feed)


def measure(network, isa):
    compilation = compile_graph(
        network.graph_def,
        inputs=network.inputs,
        outputs=network.outputs,
        batches=[network.feed],
        isa=INSTRUCTION_SETS[isa],
    )
    emitted = compilation.emit(TuningConfig())
    simulation = Simulation(compilation, emitted)
    deviation = simulation.check(network.feed)
    fp32 = int8_session(compilation.graph_def, optimize=False)
    wanted = fp32.run(
        [f"{name}:0" for name in network.outputs],
        {f"{name}:0": value for name, value in network.feed.items()},
    )
    per_tensor = _per_tensor(compilation, emitted)
    figures = {
        "simulation": dict(deviation.codes),
        "oracle": oracle(compilation, emitted, deviation, network.feed),
        "encodings": {name: kind(e) for name, e in emitted.plan.encodings.items()},
        "bits": emitted.weight_bits,
        "sums": sorted(emitted.plan.sums),
        "onednn": onednn_enabled(),
        "sqnr": {},
        "decibels": {
            "per_channel": decibels(network, wanted, deviation.outputs, simulation),
            "per_tensor": decibels(network, wanted, per_tensor.run_int8(network.feed), per_tensor),
        },
        "forced": {},
        "judged": {},
    }
    for name, fp, int8, forced in zip(
        network.outputs, wanted, deviation.outputs, deviation.forced, strict=True
    ):
        figures["sqnr"][name] = sqnr(fp, int8)
        figures["forced"][name] = float(np.abs(int8 - forced).max() / np.abs(fp).max())
        figures["judged"][name] = tensor_name(
            *compilation.graph.data_inputs(compilation.graph.nodes[name])[0]
        )
    return figures


def decibels(network, wanted, found, simulation):
    """Return output → SQNR against fp32 of the int8 graph, and of its simulation run freely."""
    pairs = zip(found, simulation.run(network.feed), strict=True)
    return {
        name: [sqnr(fp32, int8), sqnr(fp32, simulated)]
        for name, fp32, (int8, simulated) in zip(network.outputs, wanted, pairs, strict=True)
    }


def _per_tensor(compilation, emitted):
    config = TuningConfig(per_tensor=frozenset(emitted.plan.groups), bias_correction=True)
    return Simulation(compilation, compilation.emit(config), config, optimize=False)


def oracle(compilation, emitted, deviation, feed):
    """Return anchor → greatest difference in codes; for real values, in 1/1000 of the peak."""
    graph = compilation.graph
    int8 = Graph(emitted.graph_def, inputs=graph.inputs, outputs=graph.outputs)
    names, results = Builder(graph, emitted.plan), {}
    real = [g.output for g in emitted.plan.groups.values() if g.op == "MatMul"]
    values = dict(
        zip(
            real,
            int8_session(emitted.graph_def).run(
                [f"{name}:0" for name in real], {f"{n}:0": v for n, v in feed.items()}
            ),
            strict=True,
        )
    )
    for anchor, group in emitted.plan.groups.items():
        kernel = linear_kernel(compilation, emitted, emitted_weights(int8, names, group), group)
        added = deviation.int8[group.summand] if kernel.summand is not None else None
        wanted = kernel(deviation.int8[group.source], added)
        if kernel.makes is None:
            difference = np.abs(values[group.output] - wanted).max() / np.abs(wanted).max() * 1000
        else:
            got = deviation.int8[emitted.plan.output(group)].astype(int)
            difference = np.abs(got - wanted.astype(int)).max()
        results[anchor] = float(difference)
    return results


def kind(encoding):
    if encoding.dtype == "s8":
        return "s8"
    return "asymmetric" if encoding.zero_point else "u8"


def main():
    isa = sys.argv[1]
    figures = measure(build(list(RECIPES)), isa)
    # What happens to the same recipes when the weights use all eight bits regardless.
    if INSTRUCTION_SETS[isa].u8s8_saturates:
        saturating = [name for name in RECIPES if name.startswith("saturating")]
        figures["eight_bits"] = measure(build(saturating), "generic")["oracle"]
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
