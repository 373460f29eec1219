"""Random small networks of everything that the int8 compiler claims to handle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.testing.random_blocks import Blocks

Array = NDArray[Any]

_SIZES = (5, 6, 7, 8, 9, 11)
_CHANNELS = (1, 2, 3, 4, 5, 8, 12)


@dataclass(frozen=True, kw_only=True)
class RandomGraph:
    """A network and data for it.

    Attributes:
        graph_def: Frozen.
        inputs: Input node names.
        outputs: Output tensor names.
        batches: Calibration batches.
        probe: A batch, of another size unless the network's is fixed, clipped to the range of the
            calibration data.
        kinds: How many of each kind of op and construct it was made of.
    """

    graph_def: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    batches: tuple[dict[str, Array], ...]
    probe: dict[str, Array]
    kinds: Counter[str]


def random_graph(seed: int, *, steps: int = 12) -> RandomGraph:
    """Make a network of about ``steps`` random ops; equal seeds give equal networks.

    Args:
        seed: Not negative.
        steps: Ops to add before the outputs are chosen.
    """
    tf = import_tensorflow()
    rng = np.random.default_rng(seed)
    graph = tf.Graph()
    with graph.as_default():
        weaver = _Weaver(tf, rng)
        for _ in range(steps):
            weaver.step()
        outputs = weaver.finish()
    graph_def = graph.as_graph_def()
    if rng.random() < 0.15:
        _forget_sizes(graph_def)
        weaver.kinds["unknown_sizes"] += 1
    positive = rng.random() < 0.4
    batches = [
        {name: _data(rng, shape, count, positive) for name, shape in weaver.inputs.items()}
        for count in ((4, 4, 3) if weaver.batch is None else (weaver.batch,) * 3)
    ]
    return RandomGraph(
        graph_def=graph_def,
        inputs=tuple(weaver.inputs),
        outputs=outputs,
        batches=(batches[0], batches[1]),
        probe=batches[2],
        kinds=weaver.kinds,
    )


def _data(rng: np.random.Generator, shape: tuple[int, ...], count: int, positive: bool) -> Array:
    values = rng.normal(0.2, 1.0, (count, *shape)).clip(-3, 3).astype(np.float32)
    return np.abs(values) if positive else values


def _forget_sizes(graph_def: Any) -> None:
    """Let images be of any size, as far as the graph says."""
    for node in graph_def.node:
        if node.op == "Placeholder":
            for dim in node.attr["shape"].shape.dim[1:3]:
                dim.size = -1


def random_config(seed: int, anchors: list[str]) -> TuningConfig:
    """Choose a configuration: all int8, a random subset in fp32, other algorithms.

    Args:
        seed: Not negative.
        anchors: Names of the groups that can run in int8.
    """
    rng = np.random.default_rng(seed)
    share = rng.choice([0.0, 0.0, 0.2, 0.5, 0.9])
    chosen = [name for name in anchors if rng.random() < share]
    return TuningConfig(
        fp32=frozenset(chosen),
        activation_algorithm=str(rng.choice(["minmax", "minmax", "percentile", "kl", "mse"])),
        weight_algorithm=str(rng.choice(["minmax", "minmax", "mse"])),
        per_tensor=frozenset(name for name in anchors if rng.random() < 0.1),
        equalization=float(rng.choice([0.0, 0.0, 0.5, 1.0])),
        bias_correction=bool(rng.random() < 0.3),
    )


class _Weaver(Blocks):
    """Grows a graph; every method that it picks adds one op and returns its outputs.

    Args:
        tf: TensorFlow.
        rng: Makes every choice.

    Attributes:
        inputs: Shape of one sample by input name.
        batch: The number of samples, if it is fixed.
        kinds: How many of each kind were added.
    """

    def __init__(self, tf: Any, rng: np.random.Generator) -> None:
        super().__init__(tf, rng)
        self.kinds: Counter[str] = Counter()
        self.batch = int(rng.integers(1, 5)) if rng.random() < 0.15 else None
        height = int(rng.choice(_SIZES))
        width = height if rng.random() < 0.6 else int(rng.choice(_SIZES))
        shape = (height, width, int(rng.choice([1, 3, 4])))
        self.inputs = {"x": shape}
        if rng.random() < 0.25:
            self.inputs["second"] = shape if rng.random() < 0.6 else (height, width, 2)
            self.kinds["two_inputs"] += 1
        self.kinds["fixed_batch"] += self.batch is not None
        self._values = [
            tf.compat.v1.placeholder(tf.float32, [self.batch, *shape], name)
            for name, shape in reversed(self.inputs.items())
        ]
        self._weights: dict[tuple[int, ...], Any] = {}
        self._ops: list[Callable[[Any], Any]] = [
            *(self._convolution,) * 6,
            *(self._depthwise,) * 2,
            *(self._residual,) * 4,
            *(self._concat,) * 2,
            self._activation,
            self._pool,
            self._pool,
            self._batch_norm,
            self._pad,
            self._resize,
            self._split,
            self._slice,
            self._interleaved,
            self._gather,
            self._transposes,
            self._reshapes,
            self._identity,
            self._mean_shift,
            *self.blocks,
        ]

    def step(self) -> None:
        """Add one op behind a value that is likely to be recent."""
        back = int(self._rng.geometric(0.6))
        source = self._values[max(len(self._values) - back, 0)]
        chosen = self._pick(self._ops)
        made = chosen(source)
        self.kinds[chosen.__name__.strip("_")] += made is not None
        made = made if isinstance(made, list) else [made]
        self._values.extend(value for value in made if value is not None)

    def finish(self) -> tuple[str, ...]:
        """Choose outputs, some behind a fully connected layer; return their names."""
        tf, count = self._tf, int(self._rng.integers(1, 4))
        unread = [value for value in self._values if not value.consumers()] or self._values[-1:]
        others = [value for value in self._values[1:] if value.consumers()]
        chosen = unread[:count]
        if others and self._rng.random() < 0.4:
            chosen.append(self._pick(others))
        names = []
        for value in chosen:
            result = self._fully_connected(value) if self._rng.random() < 0.4 else value
            if result.op.type == "Placeholder":
                result = tf.nn.relu(result)
            names.append(result.name.removesuffix(":0"))
        return tuple(dict.fromkeys(names))

    def _uneven(self, *shape: int, deviation: float) -> Any:
        """Make weights, at times with quiet and with dead channels in the last dimension."""
        loudness, rng = np.ones(shape[-1]), self._rng
        if rng.random() < 0.4:
            loudness = 2.0 ** rng.uniform(-8, 0, shape[-1]) * (rng.random(shape[-1]) < 0.9)
        values = rng.normal(0.0, deviation, shape) * loudness
        return self._tf.constant(values.astype(np.float32))

    def _tail(self, value: Any, channels: int) -> Any:
        """Put a bias or batch-norm, and an activation, behind a linear op."""
        tf, choice = self._tf, self._rng.random()
        if choice < 0.4:
            value = tf.nn.bias_add(value, self._constant(channels, deviation=0.3))
        elif choice < 0.7:
            value = self._batch_norm(value)
        choice = self._rng.random()
        if choice < 0.35:
            return tf.nn.relu(value)
        if choice > 0.9:
            return self._leaky(value)
        return tf.nn.relu6(value * 3.0) if choice < 0.5 else value

    def _padding(self, value: Any, kernel: int) -> Any:
        if value.shape[1] < kernel or value.shape[2] < kernel:
            return "SAME"
        explicit = [[0, 0], *self._rng.integers(0, 3, (2, 2)).tolist(), [0, 0]]
        return self._pick(["SAME", "SAME", "VALID", explicit])

    def _convolution(self, value: Any) -> Any:
        tf = self._tf
        kernel, stride = int(self._pick([1, 1, 3, 3, 2])), int(self._pick([1, 1, 2]))
        dilated = stride == 1 and kernel > 1 and self._rng.random() < 0.25
        dilation = int(self._pick([2, 3])) if dilated else 1
        self.kinds["dilated"] += dilated
        inputs, outputs = int(value.shape[3]), int(self._pick(_CHANNELS))
        if self._rng.random() < 0.5:
            outputs = inputs  # residuals become likely
        shape = (kernel, kernel, inputs, outputs)
        shared = self._weights.get(shape) if self._rng.random() < 0.2 else None
        fan = (kernel * kernel * inputs) ** -0.5
        weights = self._uneven(*shape, deviation=fan) if shared is None else shared
        self._weights[shape] = weights
        padding = self._padding(value, (kernel - 1) * dilation + 1)
        made = tf.nn.conv2d(value, weights, stride, padding, dilations=dilation)
        return self._tail(made, outputs)

    def _depthwise(self, value: Any) -> Any:
        tf, channels = self._tf, int(value.shape[3])
        kernel, stride = int(self._pick([1, 3, 3])), int(self._pick([1, 2]))
        multiplier = 2 if channels < 5 and self._rng.random() < 0.3 else 1
        weights = self._uneven(kernel, kernel, channels, multiplier, deviation=1 / kernel)
        if self._rng.random() < 0.3:
            pads = self._rng.integers(0, 2, (2, 2)).tolist()
            value = tf.pad(value, [[0, 0], *pads, [0, 0]])
        fits = value.shape[1] >= kernel and value.shape[2] >= kernel
        padding = self._pick(["SAME", "VALID"]) if fits else "SAME"
        strides = [1, stride, stride, 1]
        made = tf.nn.depthwise_conv2d(value, weights, strides, padding)
        return self._tail(made, channels * multiplier)

    def _residual(self, value: Any) -> Any:
        alike = [v for v in self._values if v.shape[1:] == value.shape[1:] and v is not value]
        if not alike or self._rng.random() < 0.4:
            return self._block(value)
        other = self._pick(alike)
        operands = (other, value) if self._rng.random() < 0.5 else (value, other)
        made = self._tf.add(*operands)
        choice = self._rng.random()
        if choice < 0.4:
            return self._tf.nn.relu(made)
        return self._tf.nn.relu6(made * 1.0) if choice < 0.5 else made * 0.7

    def _block(self, value: Any) -> Any:
        """Add a convolution to its own input, to an ancestor or to another convolution."""
        tf, channels = self._tf, int(value.shape[3])
        branch = value
        if self._rng.random() < 0.5:
            branch = self._linear(branch, channels)
            branch = tf.nn.relu(branch) if self._rng.random() < 0.7 else branch
        branch = self._linear(branch, channels)
        other = self._linear(value, channels) if self._rng.random() < 0.25 else value
        made = tf.add(branch, other) if self._rng.random() < 0.5 else tf.add(other, branch)
        choice = self._rng.random()
        if choice < 0.4:
            return tf.nn.relu(made)
        return tf.nn.relu6(made) if choice < 0.5 else made

    def _linear(self, value: Any, channels: int) -> Any:
        kernel = int(self._pick([1, 3]))
        if self._rng.random() < 0.7:
            return self._plain_convolution(value, channels, kernel)
        inputs = int(value.shape[3])
        fan = (kernel * kernel * inputs) ** -0.5
        weights = self._constant(kernel, kernel, inputs, channels, deviation=fan)
        return self._batch_norm(self._tf.nn.conv2d(value, weights, 1, "SAME"))

    def _concat(self, value: Any) -> Any:
        alike = [v for v in self._values if v.shape[1:3] == value.shape[1:3]]
        if self._rng.random() < 0.15:
            alike = [v for v in self._values if v.shape[1:] == value.shape[1:]]
            return self._tf.concat([value, self._pick(alike)], self._pick([1, 2]))
        parts = [value, *(self._pick(alike) for _ in range(int(self._rng.integers(1, 3))))]
        return self._tf.concat(parts, self._pick([3, -1]))

    def _activation(self, value: Any) -> Any:
        return self._pick([self._tf.nn.relu, self._tf.nn.relu6])(value)

    def _pool(self, value: Any) -> Any:
        pool = self._pick([self._tf.nn.max_pool2d, self._tf.nn.avg_pool2d])
        size = int(self._pick([2, 3]))
        fits = value.shape[1] >= size and value.shape[2] >= size
        return pool(value, size, int(self._pick([1, 2])), "VALID" if fits else "SAME")

    def _batch_norm(self, value: Any) -> Any:
        tf, channels = self._tf, int(value.shape[3])
        scale = self._constant(channels, mean=1.0, deviation=0.2)
        shift = self._constant(channels, deviation=0.3)
        if self._rng.random() < 0.5:
            mean, variance = self._constant(channels, deviation=0.2), tf.abs(scale) + 0.5
            return tf.compat.v1.nn.fused_batch_norm(
                value, scale, shift, mean, variance, is_training=False
            )[0]
        return tf.reshape(scale, [1, 1, 1, -1]) * value - shift + 0.1

    def _pad(self, value: Any) -> Any:
        pads = self._rng.integers(0, 2, (4, 2))
        pads[0] = 0
        if self._rng.random() < 0.7:
            pads[3] = 0
        padded = self._tf.pad(value, pads.astype(np.int32))
        # TensorFlow with oneDNN fuses padding of channels into a convolution, wrongly.
        return self._tf.nn.max_pool2d(padded, 2, 1, "SAME") if pads[3].any() else padded

    def _resize(self, value: Any) -> Any:
        if value.shape[1] > 10:
            return None
        tf = self._tf
        return tf.compat.v1.image.resize_nearest_neighbor(
            value, [int(value.shape[1]) * 2, int(value.shape[2]) + 1]
        )

    def _split(self, value: Any) -> Any:
        channels = int(value.shape[3])
        if channels < 2:
            return None
        if channels % 2 == 0 and self._rng.random() < 0.5:
            return list(self._tf.split(value, 2, 3))
        first = int(self._rng.integers(1, channels))
        return list(self._tf.split(value, [first, channels - first], 3))

    def _slice(self, value: Any) -> Any:
        if value.shape[1] < 4 or value.shape[2] < 4:
            return None
        if self._rng.random() < 0.3:
            return self._tf.slice(value, [0, 1, 0, 0], [-1, 3, -1, -1])
        return self._pick([value[:, ::2, 1:], value[:, 1:-1, :, :1], value[:, :, 1:4]])

    def _interleaved(self, value: Any) -> Any:
        """Take every second, fourth or eighth channel, from one place or from all."""
        steps = [step for step in (2, 4, 8) if value.shape[3] % step == 0]
        if not steps:
            return None
        step = int(self._pick(steps))
        parts = [value[..., first::step] for first in range(step)]
        return parts if step == 2 or self._rng.random() < 0.3 else self._pick(parts)

    def _gather(self, value: Any) -> Any:
        order = self._rng.permutation(int(value.shape[3])).astype(np.int32)
        return self._tf.gather(value, order, axis=3)

    def _transposes(self, value: Any) -> Any:
        """Turn to NCHW and back, shuffling channels between where they are even."""
        tf, (height, width, channels) = self._tf, value.shape[1:]
        turned = tf.transpose(value, [0, 3, 1, 2])
        if channels % 2 == 0:
            pairs = tf.reshape(turned, [-1, 2, channels // 2, height, width])
            turned = tf.reshape(tf.transpose(pairs, [0, 2, 1, 3, 4]), [-1, channels, height, width])
        return tf.transpose(turned, [0, 2, 3, 1])

    def _reshapes(self, value: Any) -> Any:
        height, width, channels = value.shape[1:]
        return self._tf.reshape(value, [-1, width, height, channels])

    def _identity(self, value: Any) -> Any:
        return self._tf.identity(value)

    def _mean_shift(self, value: Any) -> Any:
        """Add what stays fp32: squash and rescale."""
        return value / (1.0 + self._tf.abs(value)) * 1.5

    def _fully_connected(self, value: Any) -> Any:
        tf = self._tf
        features = int(np.prod(value.shape[1:]))
        flat = tf.reshape(value, [-1, features])
        transposed = self._rng.random() < 0.3
        shape = (7, features) if transposed else (features, 7)
        weights = self._constant(*shape, deviation=features**-0.5)
        made = tf.matmul(flat, weights, transpose_b=transposed)
        if self._rng.random() < 0.7:
            made = made + self._constant(7, deviation=0.3)
        choice = self._rng.random()
        if choice < 0.3:
            return tf.nn.relu(made)
        return tf.nn.relu6(made) if choice < 0.5 else made
