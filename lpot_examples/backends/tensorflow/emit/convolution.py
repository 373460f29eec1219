"""Attributes of TensorFlow's fused int8 convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.quantize.encoding import Encoding


def convolution_attrs(
    builder: Builder,
    encodings: tuple[Encoding, Encoding],
    *,
    types: Sequence[Any],
    fused: Sequence[str],
    strides: Sequence[int] = (1, 1, 1, 1),
    dilations: Sequence[int] = (1, 1, 1, 1),
    padding: str = "VALID",
    explicit_paddings: Sequence[int] = (),
) -> dict[str, Any]:
    """Return the attributes of a ``_FusedQuantized…Conv2D`` node.

    Args:
        builder: The graph under construction.
        encodings: Of the input and of the result.
        types: The type of every input.
        fused: What runs in the kernel in front of the requantization.
        strides: Four strides.
        dilations: Four dilations.
        padding: ``SAME``, ``VALID`` or ``EXPLICIT``.
        explicit_paddings: Eight paddings for ``EXPLICIT``.
    """
    tf = import_tensorflow()
    reads, makes = encodings
    out = builder.quantized[makes.dtype]
    return {
        "Tdevice_inputs": [],
        "Tdevice_outputs": [],
        "Thost_inputs": list(types),
        "Thost_outputs": [out, tf.float32, tf.float32],
        "Tinput": builder.quantized[reads.dtype],
        "Tfilter": tf.qint8,
        "Tbias": tf.float32,
        "Tsummand": out,
        "out_type": out,
        "strides": list(strides),
        "dilations": list(dilations),
        "padding": padding,
        "explicit_paddings": list(explicit_paddings),
        "data_format": "NHWC",
        "fused_ops": [*fused, "Requantize"],
        "is_filter_const": True,
        "is_bias_const": True,
    }
