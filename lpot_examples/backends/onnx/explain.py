"""Why each op of a network runs in the precision that it runs in."""

from __future__ import annotations

from collections.abc import Mapping, Set

from lpot_examples.backends.base import FRAGILE, OpDecision
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import Grouping
from lpot_examples.backends.onnx.kernels import ARITHMETIC, COMPUTE, MOVEMENTS

_CHOSEN = "kept in fp32 by the configuration"


def decisions(
    graph: Graph,
    grouping: Grouping,
    *,
    weight_bits: Mapping[str, int],
    followers: Set[str],
    reverted: Mapping[str, str],
    fragile: Set[str],
    dynamic: bool = False,
) -> list[OpDecision]:
    """Explain every op of a cleaned graph under a configuration.

    Args:
        graph: The cleaned fp32 graph.
        grouping: Its fusion groups.
        weight_bits: Group name to weight bits, for the groups that run in int8.
        followers: Names of other nodes that run in eight bits.
        reverted: Group name to the reason why it stays fp32 by choice.
        fragile: Groups that could saturate on CPUs without VNNI.
        dynamic: Whether ranges are taken at run time.

    Returns:
        One decision per op, groups first, in order of execution.
    """
    result: list[OpDecision] = []
    for group in grouping.described:
        active = group.name in weight_bits
        if active:
            bits, remark = weight_bits[group.name], f", {FRAGILE}" if group.name in fragile else ""
            kernel = "DynamicQuantizeMatMul" if dynamic else COMPUTE[group.type]
            taken = "u8 input with ranges of run time" if dynamic else "u8 input"
            made = "u8" if group.type == "Conv" else "fp32"
            reason = f"{kernel}: {taken}, {bits}-bit weights, {made} result{remark}"
        else:
            reason = group.reason or reverted.get(group.name, _CHOSEN)
        result += [
            OpDecision(
                name=op.name,
                type=op.type,
                group=group.name,
                precision="int8" if active else "fp32",
                reason=reason,
            )
            for op in group.ops
        ]
    seen = {one.name for one in result}
    for name, node in graph.nodes.items():
        if name not in seen:
            precision, reason = _other(name, node.op_type, followers, dynamic=dynamic)
            result.append(
                OpDecision(
                    name=name, type=node.op_type, group="", precision=precision, reason=reason
                )
            )
    return result


def _other(name: str, kind: str, followers: Set[str], *, dynamic: bool) -> tuple[str, str]:
    if name in followers:
        if kind in ARITHMETIC:
            return "int8", f"{ARITHMETIC[kind]}: codes between int8 ops"
        if kind in MOVEMENTS:
            return "int8", "moves u8 codes between int8 ops"
        return "int8", "its bounds are those of the codes in front of it"
    if not dynamic and (kind in MOVEMENTS or kind in ARITHMETIC):
        return "fp32", "no int8 op both before and behind it"
    return "fp32", f"{kind} has no int8 kernel here"
