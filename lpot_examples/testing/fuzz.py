"""Compile random networks and compare each int8 op with fp32.

Run it with ``python -m lpot_examples.testing.fuzz --graphs 1000``. A failure prints the seed, by
which the network can be made again (``--start 4711 --graphs 1``). Long runs go in slices, each in a
process of its own: ``--seconds`` ends one in time and says where the next may start.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config
from lpot_examples.host import InstructionSet
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.random_graphs import (
    Array,
    RandomGraph,
    random_config,
    random_graph,
)
from lpot_examples.testing.simulation import Simulation, int8_session

# One code is a tie of rounding; a residual sum rounds its summand's scale besides.
TOLERANCE = 1

# TensorFlow 2.21 with oneDNN confuses weights in its cache: of convolutions to one channel, and of
# others once a process has run many graphs. So such a network is judged again by itself.
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
        kinds: What the network was made of.
        applied: How often each pass rewrote something.
        moved: How many nodes of each op moved codes.
    """

    seed: int
    problems: tuple[str, ...]
    kernels: Counter[str]
    sums: int = 0
    stretched: int = 0
    simulated: float = float("inf")
    kinds: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)


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
    if not _equal(network, compilation.graph_def):
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
        kinds=network.kinds,
        applied=Counter(compilation.report.applied),
        moved=Counter(compilation.graph.nodes[name].op for name in emitted.plan.movements),
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


def _equal(network: RandomGraph, cleaned: Any) -> bool:
    """Tell whether a network computes after the passes what it did before."""
    wanted = _run(_as_given(network), network)
    return all(
        np.allclose(a, b, rtol=1e-3, atol=1e-3 * _peak(a) + 1e-6)
        for a, b in zip(wanted, _run(int8_session(cleaned), network), strict=True)
    )


def _as_given(network: RandomGraph) -> Any:
    """Open a session that knows NCHW, for which TensorFlow has few kernels on CPU."""
    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(network.graph_def, name="")
    config = session_config(threads=2, nchw="nchw" in network.kinds)
    return tf.compat.v1.Session(graph=graph, config=config)


def _run(session: Any, network: RandomGraph) -> list[Array]:
    names = [f"{name}:0" if ":" not in name else name for name in network.outputs]
    results: list[Array] = session.run(names, {f"{n}:0": v for n, v in network.probe.items()})
    return results


def _runs(seed: int, steps: int) -> bool:
    """Tell whether TensorFlow can run a network as it was made.

    Its optimizer may fuse an addition into what follows although the sum is fetched.
    """
    network = random_graph(seed, steps=steps)
    try:
        _run(_as_given(network), network)
    except import_tensorflow().errors.OpError:
        return False
    return True


def _right_in_a_fresh_process(seed: int, steps: int) -> bool:
    """Judge one network where no other one ran before, and print what is wrong with it."""
    options = ["--start", str(seed), "--graphs", "1", "--steps", str(steps)]
    command = [sys.executable, "-m", "lpot_examples.testing.fuzz", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr[-300:], flush=True)
    return done.returncode == 0


@dataclass
class _Tally:
    """What many verdicts come to."""

    graphs: int = 0
    wrong: int = 0
    skipped: int = 0
    confused: int = 0
    sums: int = 0
    stretched: int = 0
    least: float = float("inf")
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            name: Counter() for name in ("kinds", "applied", "moved", "kernels")
        }
    )

    def add(self, verdict: Verdict) -> None:
        self.wrong += bool(verdict.problems)
        self.sums += verdict.sums
        self.stretched += verdict.stretched
        self.least = min(self.least, verdict.simulated)
        for name, counter in self.counts.items():
            counter.update(getattr(verdict, name))

    def __str__(self) -> str:
        lines = [
            f"{self.graphs} networks, {self.wrong} wrong, {self.skipped} that TensorFlow cannot "
            f"run in fp32, {self.confused} judged in a process of their own; {self.sums} fused "
            f"sums, {self.stretched} stretched tensors; "
            f"least SQNR to the simulation {self.least:.1f} dB"
        ]
        lines += [f"{name}: {_listed(counts)}" for name, counts in self.counts.items()]
        return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)


def main(arguments: list[str] | None = None) -> int:
    """Judge many networks; the exit code is 1 if any is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m lpot_examples.testing.fuzz", description=__doc__
    )
    parser.add_argument("--graphs", type=int, default=100, help="how many networks")
    parser.add_argument("--start", "--seed", type=int, default=0, help="seed of the first network")
    parser.add_argument("--steps", type=int, default=12, help="random ops per network")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no network after so long"
    )
    options = parser.parse_args(arguments)
    tally, deadline = _Tally(), time.monotonic() + options.seconds
    for seed in range(options.start, options.start + options.graphs):
        if time.monotonic() > deadline:
            print(f"out of time; continue with --start {seed}", flush=True)
            break
        tally.graphs += 1
        try:
            verdict = judge(seed, steps=options.steps)
        except Exception as error:  # a crash is a finding like any other: report it, go on
            if _KNOWN in str(error) and options.graphs > 1:
                tally.confused += 1
                tally.wrong += not _right_in_a_fresh_process(seed, options.steps)
                continue
            known = not _runs(seed, options.steps)
            print(f"seed {seed}: {type(error).__name__}: {str(error)[-300:]}", flush=True)
            tally.wrong, tally.skipped = tally.wrong + (not known), tally.skipped + known
            continue
        for problem in verdict.problems:
            print(f"seed {seed}: {problem}", flush=True)
        tally.add(verdict)
    print(tally)
    return int(tally.wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
