"""LeakyRelu on codes.

    codes ─► LeakyRelu(α)      codes ─► depthwise 1×1 (α) ─► Maximum ─►
                          ══►        └──────────────────────────┘

max(x, α·x) for 0 ≤ α ≤ 1. Both sides have one encoding, so that codes compare as reals do.
"""

from __future__ import annotations

import numpy as np

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.emit.convolution import convolution_attrs
from lpot_examples.backends.tensorflow.kernels import COMPUTE
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.quantize.encoding import Encoding


def lower_leaky(
    builder: Builder, source: str, name: str, *, slope: float, channels: int, encoding: Encoding
) -> str:
    """Add the eight-bit form of a LeakyRelu and return its name.

    Args:
        builder: The graph under construction.
        source: The tensor of codes that it reads, [N, H, W, channels].
        name: The name of the result.
        slope: α, in [0, 1].
        channels: Number of channels.
        encoding: Of input and result.
    """
    tf = import_tensorflow()
    quantized, plain = builder.quantized[encoding.dtype], builder.plain[encoding.dtype]
    # Code 0 of the kernel's input stands for -offset, and so must that of its result.
    bias = np.full(channels, encoding.offset * (1 - slope), np.float32)
    # An even code: kernels that halve weights would round an odd one.
    peak = np.full(channels, slope * 127 / 126, np.float32)
    weights = np.full((1, 1, channels, 1), 126, np.int8)
    inputs = [
        source,
        builder.constant(weights, hint="weights", dtype=tf.qint8),
        builder.constant(bias, hint="bias"),
        *builder.bounds(encoding),
        builder.constant(-peak, hint="weights_min"),
        builder.constant(peak, hint="weights_max"),
        *builder.bounds(encoding),
    ]
    types = [quantized, tf.qint8] + [tf.float32] * 7
    fused = ["BiasAdd", *(["Relu"] if encoding.dtype == "u8" else [])]
    scaled = builder.graph.add(
        COMPUTE["DepthwiseConv2dNative"],
        f"{name}/scaled",
        inputs,
        **convolution_attrs(builder, (encoding, encoding), types=types, fused=fused),
    )
    operands = [
        builder.bitcast(codes, f"{name}/{label}", quantized, plain)
        for codes, label in ((source, "left"), (scaled, "right"))
    ]
    larger = builder.graph.add("Maximum", f"{name}/larger", operands, T=plain)
    return builder.bitcast(larger, name, plain, quantized)
