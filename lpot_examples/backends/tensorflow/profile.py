"""The latency map of a network: every op timed on this host, in fp32 and in int8.

Two graphs are traced, the cleaned fp32 one and one with everything in int8, and each kernel's time
goes to the unit it belongs to. Conversions between the precisions are timed by themselves at three
sizes; a straight line through these prices every tensor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.emit import Emitted
from lpot_examples.backends.tensorflow.graphdef import Array, Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.sources import movement_inputs
from lpot_examples.graph.latency import Crossing, LatencyMap, Unit

# Runs before the first that counts, and runs that count.
_WARM_UP, _RUNS = 4, 12

# Ops that TensorFlow may fuse into the fp32 kernel in front of them, or run by themselves.
_TAILS = frozenset(
    {"Sigmoid", "Mul", "Tanh", "Elu", "LeakyRelu", "Relu", "Relu6", "Add", "AddV2", "BiasAdd"}
)

_SIZES = (4_000, 200_000, 1_200_000)


@dataclass(frozen=True)
class _Trace:
    """Median milliseconds by node name, and the sizes of what nodes made."""

    times: Mapping[str, float]
    sizes: Mapping[str, int] = field(default_factory=dict)
    ops: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Line:
    """Milliseconds of a conversion: ``fixed`` + ``each`` · values."""

    fixed: float
    each: float

    def at(self, size: int) -> float:
        return self.fixed + self.each * size


def measure(
    graph: Graph,
    shapes: Shapes,
    emitted: Emitted,
    *,
    fp32_def: Any,
    feed: Mapping[str, Array],
    outputs: Iterable[str],
) -> LatencyMap:
    """Time a network on this host.

    Args:
        graph: The cleaned fp32 graph.
        shapes: Its static shapes.
        emitted: The same network with everything in int8 that may be.
        fp32_def: The cleaned graph's ``GraphDef``.
        feed: One batch, by input name.
        outputs: Names of the outputs.
    """
    outputs = list(outputs)
    fp32 = _trace(fp32_def, feed, outputs)
    int8 = _trace(emitted.graph_def, feed, outputs)
    plan = emitted.plan
    owners = _owners(graph, plan.groups.values(), plan.movements)
    spent32, spent8 = defaultdict[str, float](float), defaultdict[str, float](float)
    rest = 0.0
    for name, time in fp32.times.items():
        owner = owners.get(name)
        if owner is None:
            rest += time
        else:
            spent32[owner] += time
    for name, time in int8.times.items():
        base, own, kind = name.partition(f"/{emitted.tag}")
        owner = owners.get(base)
        converts = kind.startswith(("/quantize_", "/dequantize_", "/stretched"))
        converts |= not own and int8.ops.get(name) == "Dequantize"
        if owner is not None and not converts:
            spent8[owner] += time
    groups = plan.groups
    units = {
        name: Unit(name=name, group=name in groups, int8=spent8[name], fp32=spent32[name])
        for name in sorted({*groups, *plan.movements})
    }
    crossings = _crossings(graph, shapes, emitted, fp32.sizes, *_conversions())
    return LatencyMap(units=units, crossings=tuple(crossings), rest=rest)


def _owners(
    graph: Graph, groups: Iterable[ComputeGroup], movements: Iterable[str]
) -> dict[str, str]:
    """Return the unit that each node's time belongs to."""
    owners = {name: name for name in movements}
    for group in groups:
        owners.update(dict.fromkeys(group.members, group.anchor))
    for name in graph.topological():
        node = graph.nodes[name]
        if name in owners or node.op not in _TAILS:
            continue
        sources = {
            owners.get(source)
            for source, _ in graph.data_inputs(node)
            if graph.nodes[source].op != "Const"
        }
        if len(sources) == 1 and (owner := sources.pop()) is not None:
            owners[name] = owner
    return owners


def _crossings(
    graph: Graph,
    shapes: Shapes,
    emitted: Emitted,
    sizes: Mapping[str, int],
    quantize: _Line,
    dequantize: _Line,
) -> Iterable[Crossing]:
    plan = emitted.plan
    makers = {plan.output(g): g.anchor for g in plan.groups.values() if g.op != "MatMul"}
    readers = defaultdict[str, set[str]](set)
    for group in plan.groups.values():
        readers[group.source].add(group.anchor)
        if group.anchor in plan.sums and group.summand is not None:
            readers[group.summand].add(group.anchor)
    for name in plan.movements:
        for tensor in movement_inputs(graph, name):
            readers[tensor].add(name)
    for tensor in plan.encodings:
        name = split_name(tensor)[0]
        if name in plan.movements:
            makers[tensor] = name
    inside = set(plan.movements).union(*(group.members for group in plan.groups.values()))
    final = {tensor_name(*split_name(name)) for name in graph.outputs}
    for tensor in sorted(plan.encodings):
        node, port = split_name(tensor)
        others = {
            reader.name
            for reader in graph.readers(node)
            if (node, port) in graph.data_inputs(reader)
        } - inside
        size = sizes.get(node) or _static_size(shapes, tensor)
        yield Crossing(
            tensor=tensor,
            maker=makers.get(tensor),
            readers=tuple(sorted(readers[tensor] - {makers.get(tensor, "")})),
            outside=bool(others) or tensor in final,
            quantize=quantize.at(size),
            dequantize=dequantize.at(size),
        )


def _static_size(shapes: Shapes, tensor: str) -> int:
    return int(np.prod([size or 1 for size in shapes.of(tensor) or ()]))


def _conversions() -> tuple[_Line, _Line]:
    """Time QuantizeV2 and Dequantize by themselves."""
    tf = import_tensorflow()
    graph = tf.Graph()
    feed: dict[str, Array] = {}
    ends = {"min_range": -1.0, "max_range": 1.0, "mode": "MIN_COMBINED"}
    with graph.as_default():
        for size in _SIZES:
            x = tf.compat.v1.placeholder(tf.float32, [size], name=f"x{size}")
            raw = tf.raw_ops.QuantizeV2(input=x, T=tf.quint8, name=f"quantize{size}", **ends)
            real = tf.raw_ops.Dequantize(input=raw.output, name=f"dequantize{size}", **ends)
            tf.identity(real, name=f"y{size}")
            feed[f"x{size}"] = np.linspace(-1, 1, size, dtype=np.float32)
    found = _trace(graph.as_graph_def(), feed, [f"y{size}" for size in _SIZES])
    lines = []
    for kind in ("quantize", "dequantize"):
        times = [found.times.get(f"{kind}{size}", 0.0) for size in _SIZES]
        each, fixed = np.polyfit(_SIZES, times, 1)
        lines.append(_Line(max(float(fixed), min(times)), max(float(each), 0.0)))
    return lines[0], lines[1]


def _trace(graph_def: Any, feed: Mapping[str, Array], outputs: Iterable[str]) -> _Trace:
    """Run a graph a few times and return the median time of every node."""
    tf = import_tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    options = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
    fetches = [name if ":" in name else f"{name}:0" for name in outputs]
    values = {f"{name}:0": value for name, value in feed.items()}
    times, sizes, ops = defaultdict[str, list[float]](list), dict[str, int](), dict[str, str]()
    config = session_config(fast_start=True)
    with tf.compat.v1.Session(graph=graph, config=config) as session:
        for _ in range(_WARM_UP):
            session.run(fetches, values)
        for _ in range(_RUNS):
            metadata = tf.compat.v1.RunMetadata()
            session.run(fetches, values, options=options, run_metadata=metadata)
            for name, spent, size, label in _nodes(metadata):
                times[name].append(spent)
                sizes[name], ops[name] = size, label
    # A node that did not run every time, in a loop or conditional, counts for its share.
    medians = {name: float(np.median(each)) * len(each) / _RUNS for name, each in times.items()}
    return _Trace(medians, sizes, ops)


def _nodes(metadata: Any) -> Iterable[tuple[str, float, int, str]]:
    """Yield (name, milliseconds, values made, op) of every node that a run executed."""
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            shape = node.output[0].tensor_description.shape if node.output else None
            size = int(np.prod([d.size for d in shape.dim])) if shape is not None else 0
            label = node.timeline_label.partition(" = ")[2].partition("(")[0]
            name = node.node_name.partition(":")[0]
            spent = (node.op_end_rel_micros - node.op_start_rel_micros) / 1000
            yield name, spent, size, label.replace("_Mkl", "")
