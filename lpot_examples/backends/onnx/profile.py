"""The latency map of a network: every op timed on this host, in fp32 and in int8.

Two networks are timed kernel by kernel, the cleaned fp32 one and one with everything in int8. ONNX
Runtime fuses and inserts nodes when it loads them, so each of its nodes is traced back:

    what makes a tensor that the network had, or is named after a node ─► the unit of that node
    a change of layout for one kernel (Transpose, ReorderInput, …)     ─► the units that read it,
                                                                          else the one before it
    QuantizeLinear, DequantizeLinear between units and what is fp32    ─► a crossing

Int8 convolutions have their channels last and fp32 ones have them in blocks, so a tensor that
crosses is also brought from one layout into the other, where both networks avoid that. Conversions
and changes of layout are timed by themselves at some sizes, which prices every tensor.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup, made_by
from lpot_examples.backends.onnx.kernels import ARITHMETIC, MOVEMENTS
from lpot_examples.backends.onnx.plan import Plan, data_inputs
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.backends.onnx.trace import Executed, trace
from lpot_examples.calibration.feed import InputSpec, channels_first
from lpot_examples.graph.latency import Crossing, LatencyMap, Unit

# Ops that ONNX Runtime may fuse into the kernel in front of them, or run by themselves.
_TAILS = frozenset(
    {"Sigmoid", "HardSigmoid", "Tanh", "Elu", "LeakyRelu", "Relu", "Clip", "Add", "Mul"}
)

_QUANTIZE = ("QuantizeLinear", "DynamicQuantizeLinear")
_LAYOUT = ("Transpose", "ReorderInput", "ReorderOutput")

# What emission and ONNX Runtime append to names.
_EMITTED = re.compile(r"/(codes|again|real|int8|dynamic|duplicated|clipped)\d*$")
_APPENDED = (re.compile(r"(_token_\d+|_nchwc|_new_reshape)$"), re.compile(r"/[^/]*$"))

# Milliseconds for what never happens: movement runs on codes only where all it reads is codes.
_NEVER = 1e6

_CHANNELS, _PIXELS = 32, ((25, 5), (50, 25), (125, 50), (250, 150))


@dataclass(frozen=True)
class _Price:
    """What a conversion takes: milliseconds measured at some sizes, ascending."""

    sizes: tuple[int, ...]
    times: tuple[float, ...]

    def at(self, size: int) -> float:
        """Return the milliseconds for so many values."""
        if size > self.sizes[-1]:
            return self.times[-1] * size / self.sizes[-1]
        return float(np.interp(size, self.sizes, self.times))


@dataclass(frozen=True)
class _Spent:
    """Where the time of a network went.

    Attributes:
        units: Milliseconds by unit.
        sizes: Values that a unit makes.
        rest: Milliseconds of what belongs to none.
        quantize: Milliseconds by tensor.
        dequantize: Likewise, for a single reader.
        tensors: Names of the tensors that there are, as the fp32 network calls them.
    """

    units: Mapping[str, float]
    sizes: Mapping[str, int]
    rest: float
    quantize: Mapping[str, float]
    dequantize: Mapping[str, float]
    tensors: frozenset[str]


@dataclass
class _Units:
    """The units of a plan, and the tensors between them.

    Attributes:
        owners: Node name to the unit that its time belongs to.
        makers: Tensor to the unit that makes it in eight bits.
        groups: Tensor to the groups that read it in eight bits.
        followers: Tensor to the ops of movement and arithmetic that do.
        inside: Names of all nodes of units.
    """

    owners: dict[str, str] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    followers: dict[str, list[str]] = field(default_factory=dict)
    inside: frozenset[str] = frozenset()


def measure(
    graph: Graph,
    groups: Mapping[str, ComputeGroup],
    *,
    int8: Any,
    plan: Plan | None,
    batch: Mapping[str, Array],
    spec: InputSpec,
) -> LatencyMap:
    """Time a network on this host.

    Args:
        graph: The cleaned fp32 graph.
        groups: The groups that are int8 in the int8 network.
        int8: The ``ModelProto`` of the same network with everything in int8 that may be.
        plan: What is in eight bits there; None where ranges are taken at run time.
        batch: One batch, by input name.
        spec: What the inputs take.
    """
    feed = {name: _fitting(array, spec[name][0]) for name, array in batch.items()}
    small, values = _conversions()
    found = trace({"fp32": (graph.proto, feed), "int8": (int8, feed), "small": (small, values)})
    units = _units(graph, groups, plan)
    fp32 = _spent(graph, units, found["fp32"])
    codes = _spent(graph, units, found["int8"])
    names = sorted(set(units.owners.values()))
    made = {
        name: Unit(
            name=name,
            group=name in groups,
            int8=codes.units.get(name, 0.0),
            fp32=fp32.units.get(name, 0.0),
        )
        for name in names
    }
    if plan is None:
        crossings = list(_at_run_time(units, codes))
    else:
        sizes = {name: array.size for name, array in feed.items()}
        sizes |= _sizes(graph, plan, units, codes)
        prices = _prices(found["small"])
        crossings = list(_crossings(graph, units, plan, sizes, fp32, codes, prices))
    return LatencyMap(units=made, crossings=tuple(crossings), rest=fp32.rest)


def _fitting(array: Array, shape: tuple[int | None, ...] | None) -> Array:
    """Return an input as the network takes it: channels first, as many samples as are built in."""
    array = channels_first(np.asarray(array), shape)
    if shape and shape[0] and array.ndim and len(array) != shape[0]:
        array = array[np.arange(shape[0]) % len(array)]
    return np.ascontiguousarray(array)


def _units(graph: Graph, groups: Mapping[str, ComputeGroup], plan: Plan | None) -> _Units:
    units = _Units()
    for group in groups.values():
        units.owners.update(dict.fromkeys(group.members, group.anchor))
        units.groups.setdefault(group.source, []).append(group.anchor)
        if plan is not None and group.op == "Conv":
            units.makers[group.output] = group.anchor
    for name in sorted(plan.followers) if plan is not None else ():
        node = graph.nodes[name]
        made: Sequence[str] = node.output
        if node.op_type in ARITHMETIC:
            output, members = made_by(graph, node)
            units.owners.update(dict.fromkeys(members, name))
            made = [output]
        elif node.op_type not in MOVEMENTS:
            continue  # an activation, which belongs to what it follows
        units.owners[name] = name
        units.makers.update(dict.fromkeys(made, name))
        for tensor in dict.fromkeys(data_inputs(node)):
            units.followers.setdefault(tensor, []).append(name)
    units.inside = frozenset(units.owners)
    for name, node in graph.nodes.items():
        if name in units.owners or node.op_type not in _TAILS:
            continue
        makers = [graph.maker(tensor) for tensor in node.input if not graph.is_constant(tensor)]
        sources = {units.owners.get(maker.name) if maker else None for maker in makers}
        if len(sources) == 1 and (owner := sources.pop()) is not None:
            units.owners[name] = owner
    return units


def _spent(graph: Graph, units: _Units, executed: Sequence[Executed]) -> _Spent:
    """Give the time of every node that was run to whom it belongs."""
    times, sizes = defaultdict[str, float](float), dict[str, int]()
    quantize, dequantize = defaultdict[str, float](float), dict[str, float]()
    rest = 0.0
    owners = _Owners(graph, units, [one.node for one in executed])
    for one, shares in zip(executed, owners.found, strict=True):
        tensor = _plain(one.node.output[0])
        converts = one.node.op_type in _QUANTIZE or one.node.output[0].startswith(f"{tensor}/clip")
        if converts and tensor not in units.makers:
            quantize[tensor] += one.milliseconds
        elif one.node.op_type == "DequantizeLinear" and tensor in units.makers:
            dequantize[tensor] = one.milliseconds
        elif shares:
            for owner in shares:
                times[owner] += one.milliseconds / len(shares)
                sizes[owner] = max(sizes.get(owner, 0), one.size)
        else:
            rest += one.milliseconds
    made = frozenset(_plain(tensor) for one in executed for tensor in one.node.output)
    return _Spent(times, sizes, rest, quantize, dequantize, made)


class _Owners:
    """The units that the nodes of a network as it was run belong to.

    Args:
        graph: The cleaned fp32 graph.
        units: Its units.
        nodes: Those nodes, in order of execution.

    Attributes:
        found: For each node its units, none for what belongs to no unit.
    """

    def __init__(self, graph: Graph, units: _Units, nodes: Sequence[Any]) -> None:
        self._graph = graph
        self.found: list[tuple[str, ...]] = [()] * len(nodes)
        origins = [self._origin(node) for node in nodes]
        readers = defaultdict[str, list[int]](list)
        makers: dict[str, int] = {}
        for index, node in enumerate(nodes):
            for tensor in node.input:
                readers[tensor].append(index)
            makers.update(dict.fromkeys(node.output, index))
        for index in reversed(range(len(nodes))):
            origin = origins[index]
            if origin is not None:
                owner = units.owners.get(origin)
                self.found[index] = () if owner is None else (owner,)
            else:
                behind = [self.found[i] for tensor in nodes[index].output for i in readers[tensor]]
                self.found[index] = tuple(dict.fromkeys(one for each in behind for one in each))
        for index, node in enumerate(nodes):
            if origins[index] is None and not self.found[index]:
                before = [self.found[makers[tensor]] for tensor in node.input if tensor in makers]
                self.found[index] = next((one for one in before if one), ())

    def _origin(self, node: Any) -> str | None:
        """Return the name of the node that a node was made of, or None if it was inserted."""
        graph = self._graph
        for tensor in node.output:
            if (maker := graph.maker(_plain(tensor))) is not None:
                return str(maker.name)
        if node.op_type in _LAYOUT:
            return None
        for text in (node.name, *node.output):
            for name in _shortened(text):
                if name in graph.nodes:
                    return name
                if (maker := graph.maker(name)) is not None:
                    return str(maker.name)
        return None


def _plain(tensor: str) -> str:
    """Return the name of the fp32 tensor that one of the emitted network is a form of."""
    while (shorter := _EMITTED.sub("", tensor)) != tensor:
        tensor = shorter
    return tensor


def _shortened(text: str) -> Iterator[str]:
    """Yield a name, and what it may have been before ONNX Runtime appended to it."""
    while text:
        yield text
        shorter = (pattern.sub("", text) for pattern in _APPENDED)
        text = next((one for one in shorter if one != text), "")


def _crossings(
    graph: Graph,
    units: _Units,
    plan: Plan,
    sizes: Mapping[str, int],
    fp32: _Spent,
    codes: _Spent,
    prices: Mapping[str, _Price],
) -> Iterator[Crossing]:
    """Yield what each tensor costs whose maker and readers differ.

    Every reader in fp32 gets a DequantizeLinear of its own from ONNX Runtime, and a change of
    layout where it had none.
    """
    for tensor in sorted(plan.encodings):
        size = sizes.get(tensor, 0)
        maker, readers = units.makers.get(tensor), units.groups.get(tensor, [])
        last = 0.0 if tensor in codes.tensors else prices["last"].at(size)
        blocks = 0.0 if maker is None or tensor in fp32.tensors else prices["blocks"].at(size)
        back = codes.dequantize.get(tensor, prices["dequantize"].at(size))
        into = codes.quantize.get(tensor, prices["quantize"].at(size))
        if maker is not None and graph.nodes[maker].op_type == "MaxPool":
            into += prices["clip"].at(size)
        outside = _outside(graph, units, tensor) if maker is not None else 0
        yield Crossing(
            tensor=tensor,
            maker=maker,
            readers=tuple(readers),
            outside=outside > 0,
            quantize=into + last + blocks,
            dequantize=last + outside * back,
        )
        if maker is None:
            continue
        single = back + blocks if readers or outside else back + blocks + last
        for reader in (*readers, *units.followers.get(tensor, ())):
            yield Crossing(
                tensor=tensor,
                maker=maker,
                readers=(reader,),
                outside=False,
                quantize=0.0 if reader in readers else _NEVER,
                dequantize=single,
            )


def _at_run_time(units: _Units, codes: _Spent) -> Iterator[Crossing]:
    """Yield what it costs to find ranges and codes, where no kernel does both at once."""
    for tensor, readers in sorted(units.groups.items()):
        yield Crossing(
            tensor=tensor,
            maker=None,
            readers=tuple(readers),
            outside=False,
            quantize=codes.quantize.get(tensor, 0.0),
            dequantize=0.0,
        )


def _outside(graph: Graph, units: _Units, tensor: str) -> int:
    """Return how many things that stay fp32 read a tensor."""
    others = [node for node in graph.readers(tensor) if node.name not in units.inside]
    return len(others) + (tensor in graph.outputs)


def _sizes(graph: Graph, plan: Plan, units: _Units, codes: _Spent) -> dict[str, int]:
    """Return how many values tensors have, by their shapes or as their makers made them."""
    found = {}
    for tensor in plan.encodings:
        shape = graph.shape(tensor)
        if shape is not None and None not in shape[1:]:
            found[tensor] = math.prod(size or 1 for size in shape)
        elif (maker := units.makers.get(tensor)) is not None:
            found[tensor] = codes.sizes.get(maker, 0)
    return found


def _conversions() -> tuple[Any, dict[str, Array]]:
    """Return a network of conversions and changes of layout of some sizes, and its inputs.

    As in a real network, an op reads what another one has just made.
    """
    maker, feed = onnx.helper, dict[str, Array]()
    nodes, inputs, outputs = [], [], []
    u8, f32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    for number, pixels in enumerate(_PIXELS):
        shape = (1, _CHANNELS, *pixels)
        given = np.linspace(0, 2, math.prod(shape), dtype=np.float32)
        feed[f"given{number}"] = given.reshape(shape)
        inputs.append(maker.make_tensor_value_info(f"given{number}", f32, shape))
        for name, read, made, op in (
            ("clip", ["given"], f32, "Relu"),
            ("blocks", ["clip"], f32, "Transpose"),
            ("quantize", ["clip"], u8, "QuantizeLinear"),
            ("last", ["quantize"], u8, "Transpose"),
            ("dequantize", ["quantize"], f32, "DequantizeLinear"),
        ):
            tensors = [f"{one}{number}" for one in read]
            tensors += ["scale", "zero"] if op.endswith("Linear") else []
            how: dict[str, Any] = {"perm": [0, 2, 3, 1]} if op == "Transpose" else {}
            nodes.append(proto.node(op, tensors, f"{name}{number}", **how))
            outputs.append(maker.make_tensor_value_info(f"{name}{number}", made, None))
    constants = [proto.tensor("scale", np.float32(0.01)), proto.tensor("zero", np.uint8(0))]
    graph = maker.make_graph(nodes, "conversions", inputs, outputs, constants)
    return maker.make_model(graph, opset_imports=[maker.make_opsetid("", 13)], ir_version=8), feed


def _prices(executed: Iterable[Executed]) -> dict[str, _Price]:
    """Return what conversions and changes of layout take."""
    points = defaultdict[str, list[tuple[int, float]]](list)
    for one in executed:
        points[one.node.output[0].rstrip("0123456789")].append((one.size, one.milliseconds))
    return {kind: _Price(*zip(*sorted(found), strict=True)) for kind, found in points.items()}
