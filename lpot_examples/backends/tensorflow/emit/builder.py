"""Small pieces shared by the lowering of every op: names, ranges, bit casts, boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.emit.plan import Plan
from lpot_examples.backends.tensorflow.graphdef import Array, Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.quantize.encoding import Encoding

# How (De)Quantize ops map reals to codes. For a range symmetric in codes SCALED gives the same, but
# with oneDNN takes up to twice the time (TensorFlow 2.21: 0.45 for 0.29 ms on 1.2 M values).
_MODE = "MIN_COMBINED"


class Builder:
    """A graph under construction, with the plan it follows.

    Args:
        original: The cleaned fp32 graph; not changed.
        plan: What runs in eight bits.

    Attributes:
        graph: The fork that nodes are added to. Names of the original may stand for other nodes
            there, so what an op was is asked of ``original``.
        tag: The last part of the names of eight-bit nodes.
    """

    def __init__(self, original: Graph, plan: Plan) -> None:
        self.original = original
        self.graph = original.fork()
        self.plan = plan
        self._constants: dict[tuple[str, bytes], str] = {}
        self.tag = "int8"
        while any(f"/{self.tag}" in name for name in original.nodes):
            self.tag += "_"
        tf = import_tensorflow()
        self.quantized = {"u8": tf.quint8, "s8": tf.qint8}
        self.plain = {"u8": tf.uint8, "s8": tf.int8}

    def codes(self, tensor: str) -> str:
        """Return the eight-bit form of a tensor that the plan carries."""
        node, port = split_name(tensor)
        if tensor in self.plan.boundaries:
            return f"{self.name(node)}/quantize_{port}"
        return tensor_name(self.name(node), port)

    def name(self, node: str) -> str:
        """Return the name of a node's eight-bit form, which no node of the original has."""
        return f"{node}/{self.tag}"

    def constant(self, value: Array | np.generic, *, hint: str, dtype: Any = None) -> str:
        """Return a Const of that value, shared by all who ask for it.

        Args:
            value: The value.
            hint: Part of its name.
            dtype: A TensorFlow type to store it as, such as ``tf.qint8``.
        """
        array = np.asarray(value)
        key = (f"{dtype}{array.dtype}{array.shape}", array.tobytes())
        if key not in self._constants:
            name = f"int8_constants/{hint}_{len(self._constants)}"
            self._constants[key] = self.graph.add_constant(name, array, dtype=dtype)
        return self._constants[key]

    def bounds(self, encoding: Encoding) -> list[str]:
        """Return the (min, max) that TensorFlow's SCALED kernels want for an encoding's scale.

        The zero point is not theirs to know: kernels see plain unsigned codes.
        """
        low = -127 * encoding.scale if encoding.dtype == "s8" else 0.0
        high = (127 if encoding.dtype == "s8" else 255) * encoding.scale
        return [
            self.constant(np.float32(low), hint="min"),
            self.constant(np.float32(high), hint="max"),
        ]

    def quantize(self, tensor: str) -> str:
        """Add the QuantizeV2 of an fp32 tensor at a boundary."""
        encoding = self.plan.encodings[tensor]
        attrs: dict[str, Any] = {"T": self.quantized[encoding.dtype], "mode": _MODE}
        attrs["round_mode"] = "HALF_AWAY_FROM_ZERO"  # the mode knows no other
        # By default the op widens any range below 0.01 to 0.01.
        attrs["ensure_minimum_range"] = 0.0
        real = self._shrunk(tensor)
        inputs = [real, *self._ends(encoding)]
        return self.graph.add("QuantizeV2", self.codes(tensor), inputs, **attrs)

    def _shrunk(self, tensor: str) -> str:
        """Divide an fp32 tensor by its channel factors, if it has any."""
        factors = self.plan.factors.get(tensor)
        if factors is None:
            return tensor
        by = self.constant(np.float32(1) / factors, hint="factors")
        name = f"{self.codes(tensor)}/shrunk"
        return self.graph.add("Mul", name, [tensor, by], T=import_tensorflow().float32)

    def dequantize(self, tensor: str, name: str) -> str:
        """Add a Dequantize of a carried tensor, under the name that fp32 readers use."""
        encoding = self.plan.encodings[tensor]
        dtype = self.quantized[encoding.dtype]
        factors = self.plan.factors.get(tensor)
        codes = [self.codes(tensor), *self._ends(encoding)]
        if factors is None:
            return self.graph.add("Dequantize", name, codes, T=dtype, mode=_MODE)
        stretched = f"{self.codes(tensor).replace(':', '_')}/stretched"
        self.graph.add("Dequantize", stretched, codes, T=dtype, mode=_MODE)
        by = self.constant(factors, hint="factors")
        return self.graph.add("Mul", name, [stretched, by], T=import_tensorflow().float32)

    def bitcast(self, source: str, name: str, source_type: Any, target_type: Any) -> str:
        """Add a Bitcast between types of one size."""
        return self.graph.add("Bitcast", name, [source], T=source_type, type=target_type)

    def pad(self, source: str, name: str, paddings: Array, encoding: Encoding) -> str:
        """Add padding of codes with the code of zero.

        TensorFlow pads eight-bit tensors one element at a time; four channels at once, seen as
        int32, take a fraction of that time.
        """
        rank = paddings.shape[0]
        channels = self._channels
        quantized, plain = self.quantized[encoding.dtype], self.plain[encoding.dtype]
        codes = self.bitcast(source, f"{name}/plain", quantized, plain)
        pads = self.constant(paddings.astype(np.int32), hint="paddings")
        if channels and channels % 4 == 0 and rank == 4 and not paddings[-1].any():
            padded = self._pad_words(codes, name, pads, plain, encoding.zero_point, channels)
        else:
            fill = self.constant(
                np.asarray(encoding.zero_point, plain.as_numpy_dtype), hint="zero_point"
            )
            padded = self.graph.add(
                "PadV2", f"{name}/pad", [codes, pads, fill], T=plain, Tpaddings=_int32()
            )
        return self.bitcast(padded, name, plain, quantized)

    _channels: int = 0

    def with_channels(self, channels: int | None) -> Builder:
        """Tell how many channels the next padded tensor has (0 if unknown); return self."""
        self._channels = channels or 0
        return self

    def _pad_words(
        self, codes: str, name: str, pads: str, plain: Any, zero_point: int, channels: int
    ) -> str:
        tf = import_tensorflow()
        shape = self.graph.add("Shape", f"{name}/shape", [codes], T=plain, out_type=tf.int32)
        first3 = self.graph.add(
            "Slice",
            f"{name}/leading",
            [
                shape,
                self.constant(np.array([0], np.int32), hint="begin"),
                self.constant(np.array([3], np.int32), hint="size"),
            ],
            T=tf.int32,
            Index=tf.int32,
        )
        axis = self.constant(np.int32(0), hint="axis")
        tail = self.constant(np.array([channels // 4, 4], np.int32), hint="words")
        words_shape = self.graph.add(
            "ConcatV2", f"{name}/words_shape", [first3, tail, axis], T=tf.int32, Tidx=tf.int32, N=2
        )
        split = self.graph.add(
            "Reshape", f"{name}/split", [codes, words_shape], T=plain, Tshape=tf.int32
        )
        words = self.bitcast(split, f"{name}/words", plain, tf.int32)
        fill = np.frombuffer(bytes([zero_point % 256] * 4), np.int32)[0]
        padded = self.graph.add(
            "PadV2",
            f"{name}/pad",
            [words, pads, self.constant(np.int32(fill), hint="zero_word")],
            T=tf.int32,
            Tpaddings=tf.int32,
        )
        whole = self.bitcast(padded, f"{name}/bytes", tf.int32, plain)
        target = self._joined_shape(padded, name, channels)
        return self.graph.add("Reshape", f"{name}/join", [whole, target], T=plain, Tshape=tf.int32)

    def _joined_shape(self, padded: str, name: str, channels: int) -> str:
        tf = import_tensorflow()
        shape = self.graph.add(
            "Shape", f"{name}/padded_shape", [padded], T=tf.int32, out_type=tf.int32
        )
        return self.graph.add(
            "Mul",
            f"{name}/joined_shape",
            [shape, self.constant(np.array([1, 1, 1, 4], np.int32), hint="word")],
            T=tf.int32,
        )

    def _ends(self, encoding: Encoding) -> list[str]:
        """Return the reals of an encoding's first and last code, which `_MODE` maps between."""
        codes = np.array([-128, 127] if encoding.dtype == "s8" else [0, 255])
        low, high = (codes - encoding.zero_point) * encoding.scale
        return [
            self.constant(np.float32(low), hint="min"),
            self.constant(np.float32(high), hint="max"),
        ]


def _int32() -> Any:
    return import_tensorflow().int32
