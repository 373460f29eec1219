"""Which nodes run inside TF1 loops or conditionals, where nothing may be rewritten."""

from __future__ import annotations

from lpot_examples.backends.tensorflow.graphdef import Graph

_OPENS = {
    "Enter": "a loop",
    "RefEnter": "a loop",
    "Switch": "a conditional",
    "RefSwitch": "a conditional",
}
_CLOSES = frozenset({"Exit", "RefExit", "Merge", "RefMerge"})


def conditional_nodes(graph: Graph) -> dict[str, str]:
    """Return node name to 'a loop' or 'a conditional' for nodes that may run never or often.

    A tensor inside a loop has a value per iteration and one behind a Switch may have none, so
    neither can be calibrated like an ordinary tensor.
    """
    inside: dict[str, str] = {}
    stack: list[tuple[str, str]] = []
    for node in graph:
        if node.op in _OPENS:
            stack.append((node.name, _OPENS[node.op]))
    while stack:
        name, kind = stack.pop()
        if name in inside:
            continue
        inside[name] = kind
        stack.extend(
            (reader.name, kind) for reader in graph.readers(name) if reader.op not in _CLOSES
        )
    return inside
