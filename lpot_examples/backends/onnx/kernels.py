"""What ONNX Runtime's CPU kernels can do in eight bits, as data.

ONNX Runtime replaces DequantizeLinear → op → QuantizeLinear by a kernel on codes; ``tests`` look at
what it makes of each op of these tables.
"""

from __future__ import annotations

COMPUTE = {"Conv": "QLinearConv", "Gemm": "QGemm", "MatMul": "MatMulIntegerToFloat"}
"""Linear ops with constant weights, and their kernels. Products give real values."""

ARITHMETIC = {
    "Add": "QLinearAdd",
    "Mul": "QLinearMul",
    "AveragePool": "QLinearAveragePool",
    "GlobalAveragePool": "QLinearGlobalAveragePool",
    "LeakyRelu": "QLinearLeakyRelu",
}
"""Ops that compute new values from codes, in an encoding of their own."""

MOVEMENTS: dict[str, int | None] = {
    "Concat": None,
    "DepthToSpace": 1,
    "Flatten": 1,
    "Gather": 1,
    "MaxPool": 1,
    "Reshape": 1,
    "Resize": 1,
    "Slice": 1,
    "SpaceToDepth": 1,
    "Split": 1,
    "Squeeze": 1,
    "Transpose": 1,
    "Unsqueeze": 1,
}
"""Ops that move or select values, and how many of their first inputs are data; None for all."""

SHRINKING = frozenset({"MaxPool"})
"""Ops that make less than they read, so that int8 pays even if no int8 op follows.

Averages are not among them: in fp32 they take hardly longer, and average the rounding of what they
read; rounded once more, close to an output, they would lose that again."""

QUANTIZED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "QLinear",
    "QGemm",
    "QAttention",
    "DynamicQuantize",
    "MatMulNBits",
)
"""How the types of ops begin that only quantized networks have."""
