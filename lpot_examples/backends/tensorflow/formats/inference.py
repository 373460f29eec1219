"""Turn a training graph into the network that it trains.

    x ─► FusedBatchNorm(is_training) ─► y            x ─► FusedBatchNorm ─► y
              │ batch mean, variance          ══►          ▲ moving mean, variance
              └─► AssignSub(moving mean, …)

    x ─► Mul(1 / keep) ─► Mul ─► y                   x ─► y
    RandomUniform ─► … ─► Floor ──┘           ══►

What is exported for inference has neither, and passes through unchanged. A batch-norm of which no
moving statistics are found stays as it is: some networks do normalise by the batch.
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.definitions import dtype_of
from lpot_examples.backends.tensorflow.formats.variables import VARIABLES
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name

_FUSED = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
_SUBTRACTIONS = frozenset({"AssignSub", "AssignSubVariableOp"})
_UPDATES = frozenset({"Assign", "AssignVariableOp"}) | _SUBTRACTIONS
# What lies between a statistic of the batch and the update of its moving average.
_ON_THE_WAY = frozenset(
    {"Identity", "Sub", "Mul", "Add", "AddV2", "Cast", "Neg", "Reshape", "Squeeze", "ExpandDims"}
)
_READS = frozenset({"Identity", "ReadVariableOp", "Cast"})
_FAR = 8
# Between a random number and the mask that dropout multiplies by, or selects with.
_MASKING = frozenset(
    {"Floor", "Cast", "GreaterEqual", "Add", "AddV2", "Sub", "Mul", "RandomUniform", "Identity"}
)
_SCALING = frozenset({"Mul", "RealDiv", "Div"})


def drop_out(graph: Graph) -> int:
    """Take dropout out of a graph; return how many times."""
    return sum(_drop_out(graph, node) for node in graph if node.op in ("Mul", "SelectV2"))


def settle_batch_norms(graph: Graph) -> int:
    """Give batch-norms in training form their moving statistics; return how many.

    Args:
        graph: With the ops that train, which tell where moving statistics are; changed in place.
    """
    fused = sum(_settle(graph, node) for node in graph if node.op in _FUSED)
    return fused + sum(_use_average(graph, node) for node in graph if node.op in _SUBTRACTIONS)


def _settle(graph: Graph, node: Any) -> bool:
    if not node.attr["is_training"].b:
        return False
    found = [_updated_by(graph, tensor_name(node.name, port)) for port in (1, 2)]
    if None in found:
        found = [_sibling(graph, node, name) for name in ("moving_mean", "moving_variance")]
    if None in found:
        return False
    for index, variable in zip((3, 4), found, strict=True):
        graph.set_input(node.name, index, _read(graph, str(variable)))
    node.attr["is_training"].b = False
    return True


def _updated_by(graph: Graph, tensor: str) -> str | None:
    """Return the variable whose update a tensor goes into."""
    frontier = [tensor]
    for _ in range(_FAR):
        reached = []
        for source in frontier:
            for reader in graph.readers(split_name(source)[0]):
                if split_name(source) not in graph.data_inputs(reader):
                    continue
                if reader.op in _UPDATES:
                    return _variable(graph, reader.input[0])
                if reader.op in _ON_THE_WAY:
                    reached.append(reader.name)
        frontier = reached
    return None


def _sibling(graph: Graph, node: Any, name: str) -> str | None:
    """Return the variable of a name beside the batch-norm's own scale or offset."""
    for source in node.input[1:3]:
        own = _variable(graph, source)
        if own is not None:
            candidate = f"{own.rpartition('/')[0]}/{name}"
            if candidate in graph.nodes and graph.nodes[candidate].op in VARIABLES:
                return candidate
    return None


def _variable(graph: Graph, source: str) -> str | None:
    """Return the variable that a tensor is the value or the handle of."""
    for _ in range(_FAR):
        node = graph.nodes.get(split_name(source)[0])
        if node is None or node.op in VARIABLES:
            return None if node is None else str(node.name)
        if node.op not in _READS:
            return None
        source = node.input[0]
    return None


def _read(graph: Graph, variable: str) -> str:
    """Add a read of a variable; return its name."""
    node = graph.nodes[variable]
    op, attr = ("ReadVariableOp", "dtype") if node.op == "VarHandleOp" else ("Identity", "T")
    name = graph.add(op, graph.free_name(f"{variable}/inference"), [variable])
    graph.nodes[name].attr[attr].type = node.attr["dtype"].type
    return name


def _use_average(graph: Graph, update: Any) -> bool:
    """Let what reads the batch's moments read the moving average that they update.

    ``AssignSub(average, Mul(Sub(average, moment), 1 - decay))``, where a moment is a Mean.
    """
    variable = _variable(graph, update.input[0])
    product = graph.nodes[split_name(update.input[1])[0]]
    if variable is None or product.op != "Mul":
        return False
    for source in product.input[:2]:
        difference = graph.nodes[split_name(source)[0]]
        if difference.op != "Sub" or _variable(graph, difference.input[0]) != variable:
            continue
        moment = difference.input[1]
        if not _is_moment(graph, moment):
            return False
        users = [r for r in graph.readers(split_name(moment)[0]) if r.name != difference.name]
        read = _read(graph, variable)
        for user in users:
            for index, name in enumerate(user.input):
                if name == moment:
                    graph.set_input(user.name, index, read)
        return bool(users)
    return False


def _is_moment(graph: Graph, source: str) -> bool:
    for _ in range(_FAR):
        node = graph.nodes[split_name(source)[0]]
        if node.op == "Mean":
            return True
        if node.op not in ("Squeeze", "Identity", "Reshape", "Cast"):
            return False
        source = node.input[0]
    return False


def _drop_out(graph: Graph, node: Any) -> bool:
    """Let what reads a dropped-out tensor read the tensor itself."""
    sources = list(node.input)
    if node.op == "SelectV2":
        mask, scaled = sources[0], sources[1]
    else:
        masks = [source for source in sources[:2] if _is_mask(graph, source)]
        if len(masks) != 1:
            return False
        mask = masks[0]
        scaled = sources[1 - sources.index(mask)]
    before = graph.nodes[split_name(scaled)[0]]
    if not _is_mask(graph, mask) or before.op not in _SCALING:
        return False
    if dtype_of(graph, scaled) != dtype_of(graph, node.name):
        return False
    graph.add("Identity", node.name, [before.input[0]], T=dtype_of(graph, scaled))
    return True


def _is_mask(graph: Graph, source: str) -> bool:
    """Tell whether a tensor is random numbers cut to zeros and ones, and nothing else."""
    node = graph.nodes[split_name(source)[0]]
    if node.op not in ("Floor", "Cast", "GreaterEqual"):
        return False
    if node.op == "Cast" and graph.nodes[split_name(node.input[0])[0]].op != "GreaterEqual":
        return False
    stack, random = [node], False
    for _ in range(4 * _FAR):
        if not stack:
            return random
        current = stack.pop()
        random |= current.op == "RandomUniform"
        if current.op == "RandomUniform":
            continue  # what it reads is a shape
        for name, _ in graph.data_inputs(current):
            other = graph.nodes[name]
            if other.op in _MASKING:
                stack.append(other)
            elif other.op not in ("Const", "Placeholder", "PlaceholderWithDefault"):
                return False
    return False
