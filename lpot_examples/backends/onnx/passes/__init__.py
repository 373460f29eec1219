"""Rewrites of a cleaned network into what runs faster on ONNX Runtime and computes the same.

Each is one module with ``check``, which returns a match or the reason why it declines, ``rewrite``,
and ``run``, which does it wherever it can be done.
"""

from __future__ import annotations

from typing import Any

from onnx import shape_inference

from lpot_examples.backends.onnx.passes import (
    average_to_depthwise,
    bias_into_product,
    shuffles_to_gathers,
    softmax_of_rows,
)

_PASSES = (bias_into_product, average_to_depthwise, softmax_of_rows, shuffles_to_gathers)


def run_all(model: Any) -> Any:
    """Return what the passes make of a model; the same one if that is nothing.

    Args:
        model: A cleaned network whose shapes are inferred. It is not changed. Constants that are
            no longer read stay in what is returned.
    """
    for one in _PASSES:
        found = one.run(model)
        if found is not model:
            model = shape_inference.infer_shapes(found, data_prop=True)
    return model
