"""Drop nodes that pass their input on unchanged.

    Conv2D ─► Identity ─► Relu      Conv2D ─► Relu
                               ══►

An IdentityN is several of them at once: Keras puts one behind each op whose gradient it defines
itself, such as swish.
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, tensor_name

ANCHORS = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot"})


def check(graph: Graph, node: Any) -> Any:
    """Match an identity that is no output, has no control edges and reads no control flow."""
    if node.name in graph.output_nodes or any(name.startswith("^") for name in node.input):
        return None
    sources = {graph.nodes[name].op for name, _ in graph.data_inputs(node)}
    # An Identity behind a Switch anchors control edges to one branch.
    if sources & {"Switch", "RefSwitch", "Merge"}:
        return None
    if any(f"^{node.name}" in reader.input for reader in graph.readers(node.name)):
        return None
    return node


def rewrite(graph: Graph, match: Any) -> None:
    """Let the readers read what the identity reads."""
    for port, source in enumerate(list(match.input)):
        graph.redirect(tensor_name(match.name, port), source)
