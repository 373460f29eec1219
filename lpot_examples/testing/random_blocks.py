"""Random constructs of several ops, as real networks have them: for `random_graphs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# Slopes of LeakyRelu, the odd ones included.
_SLOPES = (0.1, 0.2, 0.3, 0.01, 0.0, 1.0, 1.5, -0.5)

# TensorFlow 2.21 with oneDNN fuses LeakyRelu behind a convolution and a sum, and forgets its slope:
# the fused kernel has the default one. So behind these only that is used.
_MAY_BE_SUMS = frozenset({"Add", "AddV2", "Identity", "Placeholder"})

# Products over more than two dimensions: an equation for [a, b, c] and the shape of the matrix, by
# the names of its dimensions. The last four are no product with one plain matrix.
_EQUATIONS = (
    ("abc,cd->abd", "cd"),
    ("abc,cde->abde", "cde"),
    ("abc,bcd->ad", "bcd"),
    ("abc,dc->abd", "dc"),
    ("abc,cd->adb", "cd"),
    ("abc,bcd->abd", "bcd"),
    ("abc,d->abcd", "d"),
)


class Blocks:
    """Adds constructs to the default graph.

    Args:
        tf: TensorFlow.
        rng: Makes every choice.
    """

    def __init__(self, tf: Any, rng: np.random.Generator) -> None:
        self._tf = tf
        self._rng = rng
        self._values: list[Any] = []  # the first is an input of the network

    @property
    def blocks(self) -> list[Callable[[Any], Any]]:
        """Methods that take a [N, H, W, C] tensor and return one or, at times, None."""
        return [
            self._leaky,
            self._leaky,
            self._affine,
            self._preactivation,
            self._preactivation,
            self._global_mean,
            self._squeeze_excite,
            self._swish,
            self._hard_swish,
            self._atrous,
            self._sequence_product,
            self._nchw,
            self._called,
            self._conditional,
            self._loop,
        ]

    def _pick(self, items: Any) -> Any:
        return items[int(self._rng.integers(len(items)))]

    def _constant(self, *shape: int, mean: float = 0.0, deviation: float = 1.0) -> Any:
        values = self._rng.normal(mean, deviation, shape).astype(np.float32)
        return self._tf.constant(values)

    def _plain_convolution(self, value: Any, channels: int, kernel: int = 1) -> Any:
        inputs = int(value.shape[3])
        fan = (kernel * kernel * inputs) ** -0.5
        weights = self._constant(kernel, kernel, inputs, channels, deviation=fan)
        made = self._tf.nn.conv2d(value, weights, 1, "SAME")
        return self._tf.nn.bias_add(made, self._constant(channels, deviation=0.3))

    def _leaky(self, value: Any) -> Any:
        slope = self._pick(_SLOPES[:4]) if self._rng.random() < 0.8 else self._pick(_SLOPES)
        if value.op.type in _MAY_BE_SUMS:
            slope = 0.2
        return self._tf.nn.leaky_relu(value, alpha=slope)

    def _affine(self, value: Any) -> Any:
        """Scale and shift channels by themselves, in one of the ways that graphs write it."""
        tf, rng, channels = self._tf, self._rng, int(value.shape[3])
        shape = self._pick([(channels,), (1, 1, 1, channels), (1, channels), ()])
        scale = self._constant(*shape, mean=1.0, deviation=0.4)
        shift = self._constant(*shape, deviation=0.4)
        choice = rng.random()
        if choice < 0.3:
            return value * scale + shift
        if choice < 0.5:
            return shift - value * scale
        if choice < 0.6:
            return (value - shift) / (tf.abs(scale) + 0.3)
        if choice < 0.7:
            return scale * value
        vectors = [self._constant(channels, deviation=0.3) for _ in range(2)]
        return tf.compat.v1.nn.fused_batch_norm(
            value,
            self._constant(channels, mean=1.0, deviation=0.3),
            *vectors,
            tf.abs(self._constant(channels, deviation=0.3)) + 0.5,
            is_training=False,
        )[0]

    def _preactivation(self, value: Any) -> Any:
        """Normalize in front of a convolution, as ResNet-v2 (sum) and DenseNet (concat) do."""
        tf, channels = self._tf, int(value.shape[3])
        normed = self._affine(value)
        branch = tf.nn.relu(normed) if self._rng.random() < 0.8 else self._leaky(normed)
        dense = self._rng.random() < 0.4
        growth = int(self._pick([2, 4, 5])) if dense else channels
        if self._rng.random() < 0.4:
            branch = tf.nn.relu(self._plain_convolution(branch, 4))
        made = self._plain_convolution(branch, growth, int(self._pick([1, 3])))
        if dense:
            return tf.concat([value, made], 3)
        shortcut = normed if self._rng.random() < 0.2 else value
        return shortcut + made

    def _mean(self, value: Any) -> Any:
        """Average the whole image in one of three ways; [N, 1, 1, C]."""
        tf, choice = self._tf, self._rng.random()
        if choice < 0.4:
            return tf.reduce_mean(value, self._pick([[1, 2], [2, 1], [-3, -2]]), keepdims=True)
        if choice < 0.7:
            channels = int(value.shape[3])
            flat = tf.reduce_mean(value, self._pick([[1, 2], [-2, -3]]))
            return tf.reshape(flat, [-1, 1, 1, channels])
        window = [int(value.shape[1]), int(value.shape[2])]
        return tf.nn.avg_pool2d(value, window, 1, "VALID")

    def _global_mean(self, value: Any) -> Any:
        made = self._plain_convolution(self._mean(value), int(self._pick([3, 4, 8])))
        return self._tf.nn.relu(made) if self._rng.random() < 0.5 else made

    def _squeeze_excite(self, value: Any) -> Any:
        tf, channels = self._tf, int(value.shape[3])
        inner = self._plain_convolution(self._mean(value), int(self._pick([2, 4])))
        inner = inner * tf.sigmoid(inner) if self._rng.random() < 0.4 else tf.nn.relu(inner)
        gate = self._plain_convolution(inner, channels)
        if self._rng.random() < 0.7:
            return value * tf.sigmoid(gate)
        return tf.nn.relu6(gate + 3.0) * (1 / 6) * value

    def _swish(self, value: Any) -> Any:
        return value * self._tf.sigmoid(value)

    def _hard_swish(self, value: Any) -> Any:
        gate = self._tf.nn.relu6(value + 3.0)
        if self._rng.random() < 0.5:
            return value * gate / 6.0
        return value * (gate * (1 / 6))

    def _atrous(self, value: Any) -> Any:
        """Write a dilated convolution with SpaceToBatchND, as TF1 did; depthwise at times."""
        tf, rng = self._tf, self._rng
        height, width, channels = (int(size) for size in value.shape[1:])
        pads = [[2, 2 + height % 2], [2, 2 + width % 2]]
        crops = [[0, height % 2], [0, width % 2]]
        batched = tf.space_to_batch(value, [2, 2], pads)
        if rng.random() < 0.3:
            weights = self._constant(3, 3, channels, 1, deviation=0.3)
            made = tf.nn.depthwise_conv2d(batched, weights, [1] * 4, "VALID")
        else:
            weights = self._constant(3, 3, channels, 4, deviation=(9 * channels) ** -0.5)
            made = tf.nn.conv2d(batched, weights, 1, "VALID")
        made = tf.batch_to_space(made, [2, 2], crops)
        return tf.nn.relu(made) if rng.random() < 0.5 else made

    def _sequence_product(self, value: Any) -> Any:
        """Multiply a sequence of pixels with a constant, as dense layers and attention do."""
        tf, rng = self._tf, self._rng
        height, width, channels = (int(size) for size in value.shape[1:])
        sizes = {"a": 1, "b": height * width, "c": channels, "d": 6, "e": 2}
        sequence = tf.reshape(value, [-1, sizes["b"], channels])
        if rng.random() < 0.5:
            transposed = rng.random() < 0.4
            shape: tuple[int, ...] = (6, channels) if transposed else (channels, 6)
            shape = (1, *shape) if rng.random() < 0.2 else shape
            weights = self._constant(*shape, deviation=channels**-0.5)
            made = tf.matmul(sequence, weights, transpose_b=transposed)
        else:
            equation, labels = self._pick(_EQUATIONS)
            shape = tuple(sizes[label] for label in labels)
            weights = self._constant(*shape, deviation=float(np.prod(shape)) ** -0.25)
            inputs = [sequence, weights]
            made = tf.raw_ops.Einsum(inputs=inputs, equation=equation)
        if rng.random() < 0.6:
            made = made + self._constant(*made.shape[rng.integers(1, len(made.shape)) :])
        made = tf.nn.relu(made) if rng.random() < 0.3 else made
        left = int(np.prod(made.shape[1:]))
        if left % sizes["b"]:
            return tf.reshape(made, [-1, 1, 1, left])
        return tf.reshape(made, [-1, height, width, left // sizes["b"]])

    def _nchw(self, value: Any) -> Any:
        """Run a few ops in the layout NCHW between two Transposes."""
        tf, rng, channels = self._tf, self._rng, int(value.shape[3])
        x = tf.transpose(value, [0, 3, 1, 2])
        layout: dict[str, Any] = {"data_format": "NCHW"}
        for _ in range(int(rng.integers(1, 4))):
            weights = self._constant(3, 3, channels, channels, deviation=(9 * channels) ** -0.5)
            made = tf.nn.conv2d(x, weights, 1, "SAME", **layout)
            made = tf.nn.bias_add(made, self._constant(channels, deviation=0.3), **layout)
            choice = rng.random()
            if choice < 0.2:
                made = made + x
            elif choice < 0.4:
                made = made * self._constant(1, channels, 1, 1, mean=1.0, deviation=0.2)
            elif choice < 0.5:
                made = self._plain_convolution_nchw(tf.concat([made, x], 1), channels)
            elif choice < 0.6:
                made = made * tf.sigmoid(tf.reduce_mean(made, [2, 3], keepdims=True))
            elif choice < 0.7:
                made = tf.nn.max_pool2d(made, 2, 1, "SAME", **layout)
            x = tf.nn.relu(made) if rng.random() < 0.6 else self._leaky(made)
        return tf.transpose(x, [0, 2, 3, 1])

    def _plain_convolution_nchw(self, value: Any, channels: int) -> Any:
        weights = self._constant(1, 1, int(value.shape[1]), channels, deviation=0.4)
        return self._tf.nn.conv2d(value, weights, 1, "SAME", data_format="NCHW")

    def _same(self, value: Any) -> Any:
        """Do something that keeps the shape; it may stand in a function's body."""
        tf, channels = self._tf, int(value.shape[3])
        choice = self._rng.random()
        if choice < 0.5:
            made = self._plain_convolution(value, channels, int(self._pick([1, 3])))
            return tf.nn.relu(made) if self._rng.random() < 0.6 else made
        if choice < 0.6:
            weights = self._constant(3, 3, channels, 1, deviation=0.3)
            return tf.nn.depthwise_conv2d(value, weights, [1] * 4, "SAME")
        if choice < 0.7:
            return self._preactivation_kept(value)
        return self._pick([self._leaky, self._affine, self._swish])(value)

    def _preactivation_kept(self, value: Any) -> Any:
        branch = self._tf.nn.relu(self._affine(value))
        return value + self._plain_convolution(branch, int(value.shape[3]), 3)

    def _called(self, value: Any) -> Any:
        """Call a function once or twice."""
        body = self._tf.function(self._same, autograph=False)
        made = body(value)
        return body(made) if self._rng.random() < 0.3 else made

    def _conditional(self, value: Any) -> Any:
        """Choose by the data between two branches; as Switch and Merge, or as an If."""
        tf = self._tf
        # What decides must not hang on rounding: the network's input does not.
        predicate = tf.reduce_mean(self._values[0]) > float(self._rng.normal(0.2, 0.3))
        with _ControlFlow(tf, first=self._rng.random() < 0.5):
            return tf.compat.v1.cond(
                predicate, lambda: self._same(value), lambda: self._same(value)
            )

    def _loop(self, value: Any) -> Any:
        """Apply one op a few times; as Enter … Exit, or as a While."""
        tf, count = self._tf, int(self._rng.integers(1, 4))

        def body(step: Any, carried: Any) -> Any:
            return step + 1, tf.clip_by_value(self._same(carried), -4.0, 4.0)

        with _ControlFlow(tf, first=self._rng.random() < 0.5):
            loop = tf.compat.v1.while_loop(lambda i, _: i < count, body, [tf.constant(0), value])
        return loop[1]


class _ControlFlow:
    """Builds control flow of TF1 (Switch, Merge, Enter, Exit) or TF2 (functions) for a while."""

    def __init__(self, tf: Any, *, first: bool) -> None:
        self._v1, self._first = tf.compat.v1, first

    def __enter__(self) -> None:
        self._before = self._v1.control_flow_v2_enabled()
        if self._first:
            self._v1.disable_control_flow_v2()

    def __exit__(self, *_: object) -> None:
        if self._before:
            self._v1.enable_control_flow_v2()
