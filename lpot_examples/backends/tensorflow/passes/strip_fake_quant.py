"""Drop what quantization-aware training leaves behind activations.

    Relu ─► FakeQuantWithMinMaxVars(min, max) ─► Conv2D      Relu ─► Conv2D
                                                        ══►

The nodes round to eight bits, in fp32. Int8 kernels round themselves, and could not be fused across
them; their ranges come from calibration, like those of any network. Fake quantization of constant
weights has been evaluated before this pass: the weights keep the values that training chose.
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph

ANCHORS = frozenset(
    {
        "FakeQuantWithMinMaxArgs",
        "FakeQuantWithMinMaxVars",
        "FakeQuantWithMinMaxVarsPerChannel",
        "QuantizeAndDequantizeV2",
        "QuantizeAndDequantizeV3",
        "QuantizeAndDequantizeV4",
    }
)


def check(graph: Graph, node: Any) -> Any:
    """Match a node of constant range that is no output."""
    if node.name in graph.output_nodes:
        return "it makes an output"
    if any(name.startswith("^") for name in node.input):
        return "it waits for another node"
    if any(graph.constant(source) is None for source in node.input[1:]):
        return "its range is computed at run time"
    return node


def rewrite(graph: Graph, match: Any) -> None:
    """Let the readers read the unrounded tensor."""
    graph.redirect(match.name, match.input[0])
