"""Compile random networks and compare each int8 op with fp32.

Run it with ``python -m lpot_examples.testing.fuzz --graphs 1000``. A failure prints the seed, by
which the network can be made again.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.host import InstructionSet
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.random_graphs import Array, random_config, random_graph
from lpot_examples.testing.simulation import Simulation, int8_session

# One code is a tie of rounding; a residual sum rounds its summand's scale besides.
TOLERANCE = 1

# TensorFlow 2.21 with oneDNN confuses weights in its cache once a process has run many fp32 graphs.
_KNOWN = "could not create a primitive descriptor for the reorder primitive"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one random network.

    Attributes:
        seed: It makes the network again.
        problems: What is wrong, in words; empty when all is well.
        kernels: How many nodes of each int8 kernel were emitted.
        sums: How many residual additions ran inside a kernel.
        stretched: How many eight-bit tensors have channel factors.
        simulated: The least SQNR of an output against the free simulation, in dB.
    """

    seed: int
    problems: tuple[str, ...]
    kernels: Counter[str]
    sums: int = 0
    stretched: int = 0
    simulated: float = float("inf")


def judge(seed: int, *, steps: int = 12, isa: InstructionSet | None = None) -> Verdict:
    """Compile one random network and judge what was emitted.

    Args:
        seed: Not negative.
        steps: Size of the network.
        isa: What to emit for; this machine by default.
    """
    network = random_graph(seed, steps=steps)
    before = network.graph_def.SerializeToString(deterministic=True)
    compilation = compile_graph(
        network.graph_def,
        inputs=network.inputs,
        outputs=network.outputs,
        batches=network.batches,
        isa=isa,
    )
    problems = []
    if not _equal(network.graph_def, compilation.graph_def, network.outputs, network.probe):
        problems.append("the passes changed the fp32 outputs")
    cleaned = compilation.graph.to_graph_def().SerializeToString(deterministic=True)
    config = random_config(seed, list(compilation.grouping.compute))
    emitted, again = compilation.emit(config), compilation.emit(config)
    if _bytes(emitted) != _bytes(again):
        problems.append("two emissions differ")
    if compilation.graph.to_graph_def().SerializeToString(deterministic=True) != cleaned:
        problems.append("emission changed the cleaned graph")
    if network.graph_def.SerializeToString(deterministic=True) != before:
        problems.append("compilation changed its input")
    simulation = Simulation(compilation, emitted, config, inter_op=1 + seed % 4)
    problems += _deviations(simulation, network.probe)
    pairs = zip(simulation.run(network.probe), simulation.run_int8(network.probe), strict=True)
    # An output that is zero has no SQNR.
    simulated = [sqnr(wanted, got) for wanted, got in pairs if _peak(wanted) > 1e-5]
    return Verdict(
        seed=seed,
        problems=tuple(problems),
        kernels=Counter(node.op for node in emitted.graph_def.node if "Quantize" in node.op),
        sums=len(emitted.plan.sums),
        stretched=len(emitted.plan.factors),
        simulated=min(simulated, default=float("inf")),
    )


def _bytes(emitted: object) -> bytes:
    content: bytes = emitted.graph_def.SerializeToString(deterministic=True)  # type: ignore[attr-defined]
    return content


def _deviations(simulation: Simulation, probe: dict[str, Array]) -> list[str]:
    deviation = simulation.check(probe)
    problems = []
    tensor, worst = deviation.worst
    if worst > TOLERANCE:
        problems.append(f"'{tensor}' is {worst} codes off")
    for index, (got, wanted) in enumerate(zip(deviation.outputs, deviation.forced, strict=True)):
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            problems.append(f"output {index} is {got.dtype} {got.shape}, not {wanted.shape}")
        elif not np.allclose(got, wanted, rtol=0.0, atol=0.02 * _peak(wanted) + 1e-5):
            problems.append(f"output {index} is off by {np.abs(got - wanted).max():.3g}")
    for _ in range(3):
        for got, wanted in zip(simulation.run_int8(probe), deviation.outputs, strict=True):
            if not np.array_equal(got, wanted):
                problems.append("runs differ from one another")
    return problems


def _peak(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def _equal(one: object, other: object, outputs: tuple[str, ...], feed: dict[str, Array]) -> bool:
    names = [f"{name}:0" if ":" not in name else name for name in outputs]
    feeds = {f"{name}:0": value for name, value in feed.items()}
    results = [int8_session(graph).run(names, feeds) for graph in (one, other)]
    return all(
        np.allclose(a, b, rtol=1e-3, atol=1e-3 * _peak(a) + 1e-6)
        for a, b in zip(*results, strict=True)
    )


def _runs(seed: int, steps: int) -> bool:
    """Tell whether TensorFlow can run a network as it was made.

    Its optimizer may fuse an addition into what follows although the sum is fetched.
    """
    network = random_graph(seed, steps=steps)
    names = [f"{name}:0" if ":" not in name else name for name in network.outputs]
    tf = import_tensorflow()
    try:
        int8_session(network.graph_def).run(names, {"x:0": network.probe["x"]})
    except tf.errors.OpError:
        return False
    return True


def main(arguments: list[str] | None = None) -> int:
    """Judge many networks; the exit code is 1 if any is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m lpot_examples.testing.fuzz", description=__doc__
    )
    parser.add_argument("--graphs", type=int, default=100, help="how many networks")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first network")
    parser.add_argument("--steps", type=int, default=12, help="random ops per network")
    options = parser.parse_args(arguments)
    wrong, skipped, kernels, least = 0, 0, Counter[str](), float("inf")
    sums, stretched = 0, 0
    for seed in range(options.seed, options.seed + options.graphs):
        try:
            verdict = judge(seed, steps=options.steps)
        except Exception as error:  # a crash is a finding like any other: report it, go on
            known = _KNOWN in str(error) or not _runs(seed, options.steps)
            print(f"seed {seed}: {type(error).__name__}: {str(error)[-300:]}", flush=True)
            wrong, skipped = wrong + (not known), skipped + known
            continue
        kernels.update(verdict.kernels)
        sums, stretched = sums + verdict.sums, stretched + verdict.stretched
        least = min(least, verdict.simulated)
        for problem in verdict.problems:
            print(f"seed {seed}: {problem}", flush=True)
        wrong += bool(verdict.problems)
    print(
        f"{options.graphs} networks, {wrong} wrong, {skipped} that TensorFlow cannot run in fp32; "
        f"{sums} fused sums, {stretched} stretched tensors; "
        f"least SQNR to the simulation {least:.1f} dB"
    )
    print(", ".join(f"{count} {name}" for name, count in sorted(kernels.items())))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
