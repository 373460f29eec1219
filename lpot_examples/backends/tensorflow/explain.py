"""Why each op of a network runs in the precision that it runs in."""

from __future__ import annotations

from collections.abc import Mapping, Set

from lpot_examples.backends.base import FRAGILE, OpDecision
from lpot_examples.backends.tensorflow.emit import Emitted
from lpot_examples.backends.tensorflow.graphdef import Graph, tensor_name
from lpot_examples.backends.tensorflow.groups import ComputeGroup, Grouping
from lpot_examples.backends.tensorflow.kernels import COMPUTE, MOVEMENTS
from lpot_examples.graph import Group

_NO_KERNEL = "{op} has no int8 kernel here"
_SILENT = frozenset({"Const", "Placeholder", "NoOp"})


def decisions(
    graph: Graph,
    grouping: Grouping,
    emitted: Emitted,
    reverted: Mapping[str, str],
    fragile: Set[str],
) -> list[OpDecision]:
    """Explain every op of a cleaned graph under an emitted configuration.

    Args:
        graph: The cleaned fp32 graph.
        grouping: Its fusion groups.
        emitted: What was emitted.
        reverted: Group name to the reason why it stays fp32 by choice.
        fragile: Groups that could saturate on CPUs without VNNI.

    Returns:
        One decision per op, groups first, in order of execution.
    """
    result: list[OpDecision] = []
    seen: set[str] = set()
    for group in grouping.described:
        result += _group(group, emitted, reverted, fragile)
        seen.update(op.name for op in group.ops)
    for node in graph:
        if node.name in seen or node.op in _SILENT:
            continue
        precision, reason = _other(node.name, node.op, emitted)
        result.append(
            OpDecision(name=node.name, type=node.op, group="", precision=precision, reason=reason)
        )
    return result


def _group(
    group: Group, emitted: Emitted, reverted: Mapping[str, str], fragile: Set[str]
) -> list[OpDecision]:
    plan = emitted.plan
    found = []
    active = plan.groups.get(group.name)
    for op in group.ops:
        if active is None:
            precision = "fp32"
            reason = group.reason or reverted.get(group.name, "kept in fp32 by the configuration")
        elif _outside(active, op.name, emitted):
            precision = "fp32"
            reason = "its summand cannot be unsigned, so the addition stays outside the kernel"
        else:
            precision, reason = "int8", _kernel(active, emitted, fragile)
        found.append(
            OpDecision(
                name=op.name, type=op.type, group=group.name, precision=precision, reason=reason
            )
        )
    return found


def _outside(group: ComputeGroup, op: str, emitted: Emitted) -> bool:
    """Tell whether a member runs outside the kernel because the sum could not be fused."""
    if group.sum_node is None or group.anchor in emitted.plan.sums:
        return False
    return group.members.index(op) >= group.members.index(group.sum_node)


def _kernel(group: ComputeGroup, emitted: Emitted, fragile: Set[str]) -> str:
    plan = emitted.plan
    reads = plan.encodings[group.source]
    bits = emitted.weight_bits[group.anchor]
    made = plan.encodings.get(plan.output(group))
    result = made.dtype if made is not None and group.op != "MatMul" else "fp32"
    remark = f", {FRAGILE}" if group.anchor in fragile else ""
    kernel = f"{COMPUTE[group.op]}: {reads.dtype} input, {bits}-bit weights, {result} result"
    return kernel + remark


def _other(name: str, op: str, emitted: Emitted) -> tuple[str, str]:
    plan = emitted.plan
    if name in plan.movements:
        encoding = plan.encodings[tensor_name(name)]
        return "int8", f"moves {encoding.dtype} codes between int8 ops"
    if op in MOVEMENTS:
        return "fp32", "no int8 op both before and behind it"
    return "fp32", _NO_KERNEL.format(op=op)
