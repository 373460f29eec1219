"""The convolutional part of the synthetic detectors: backbones, feature pyramid, predictors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array

# Of a residual branch's last batch-norm; 1 would let the sums of 16 units grow without bound.
_RESIDUAL_GAIN = 0.3
# The sums of a pyramid's levels have no batch-norm behind them.
_PROJECTION_GAIN = 0.35
# About one box in a hundred then scores above 0.3, as after training.
_CLASS_BIAS = -3.5

Trunk = Callable[["Layers", Any, int, tuple[int, ...]], "list[Prediction]"]


@dataclass(frozen=True)
class Prediction:
    """What is predicted on one feature map of H × W with A anchors at each place.

    Attributes:
        boxes: Tensor [batch, H, W, 4·A].
        classes: Tensor [batch, H, W, (classes + 1)·A].
        scales: Sizes of the anchors relative to the image.
        ratios: Their aspect ratios; A = len(scales) · len(ratios).
    """

    boxes: Any
    classes: Any
    scales: tuple[float, ...]
    ratios: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Builds layers with random weights, by the naming of TF1's slim.

    Attributes:
        tf: The ``tensorflow`` module.
        width: Multiplier of channel counts.
        batch_norm: See `detectors.DetectorSpec`.
        upsampling: Likewise.
        seed: Of the weights.
        trainable: Whether weights are variables, as before freezing, and not constants.
    """

    tf: Any
    width: float
    batch_norm: str
    upsampling: str
    seed: int
    trainable: bool = False
    _variables: dict[str, Any] = field(default_factory=dict)

    def channels(self, count: int) -> int:
        """Return a channel count after the width multiplier: a multiple of 8."""
        return max(8, int(count * self.width) // 8 * 8)

    def variable(self, name: str, make: Callable[[Any], Array]) -> Any:
        """Return the value of a variable, the same one for all who name it.

        Args:
            name: Full name; the tensor is ``<name>/read``.
            make: Makes the value from a random generator.
        """
        if name not in self._variables:
            rng = np.random.default_rng([self.seed, len(self._variables)])
            scope, _, last = name.rpartition("/")
            with self.tf.compat.v1.name_scope(f"{scope}/"):
                initial = make(rng).astype(np.float32)
                if self.trainable:
                    made = self.tf.compat.v1.Variable(initial, name=last, use_resource=False)
                    self._variables[name] = made.value()
                else:
                    value = self.tf.constant(initial, name=last)
                    self._variables[name] = self.tf.identity(value, name=f"{last}/read")
        return self._variables[name]

    def convolve(
        self,
        x: Any,
        scope: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        gain: float = 1.0,
    ) -> Any:
        """Add a Conv2D of weights ``<scope>/weights``; ResNet's first one is padded by a Pad."""
        shape = (kernel, kernel, int(x.shape[-1]), channels)
        weights = self.variable(
            f"{scope}/weights",
            lambda rng: rng.normal(0, gain * np.sqrt(2 / np.prod(shape[:3])), shape),
        )
        padding = "SAME"
        if stride > 1 and kernel == 7:
            x, padding = self.tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]]), "VALID"
        return self.tf.nn.conv2d(x, weights, stride, padding, name=f"{scope}/Conv2D")

    def depthwise(self, x: Any, scope: str, stride: int) -> Any:
        """Add a 3 × 3 depthwise convolution with SAME padding."""
        shape = (3, 3, int(x.shape[-1]), 1)
        weights = self.variable(
            f"{scope}/depthwise_weights", lambda rng: rng.normal(0, np.sqrt(2 / 9), shape)
        )
        strides = [1, stride, stride, 1]
        return self.tf.nn.depthwise_conv2d(x, weights, strides, "SAME", name=f"{scope}/depthwise")

    def biased(self, x: Any, scope: str, value: float = 0.0) -> Any:
        """Add a BiasAdd of ``<scope>/biases``."""
        size = int(x.shape[-1])
        bias = self.variable(f"{scope}/biases", lambda rng: value + rng.normal(0, 0.1, size))
        return self.tf.nn.bias_add(x, bias, name=f"{scope}/BiasAdd")

    def normalised(self, x: Any, scope: str, *, gain: float = 1.0) -> Any:
        """Add an inference batch-norm in the chosen form."""
        tf, size = self.tf, int(x.shape[-1])
        gamma = self.variable(f"{scope}/gamma", lambda rng: gain * rng.uniform(0.7, 1.3, size))
        beta = self.variable(f"{scope}/beta", lambda rng: rng.normal(0, 0.1, size))
        mean = self.variable(f"{scope}/moving_mean", lambda rng: rng.normal(0, 0.1, size))
        variance = self.variable(
            f"{scope}/moving_variance", lambda rng: rng.uniform(0.7, 1.3, size)
        )
        if self.batch_norm == "arithmetic":
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)
        return getattr(tf.raw_ops, self.batch_norm)(
            x=x,
            scale=gamma,
            offset=beta,
            mean=mean,
            variance=variance,
            epsilon=1e-3,
            is_training=False,
            name=f"{scope}/FusedBatchNorm",
        ).y

    def block(
        self,
        x: Any,
        scope: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        activation: str | None = "relu6",
        gain: float = 1.0,
    ) -> Any:
        """Add convolution, batch-norm and activation."""
        x = self.convolve(x, scope, channels, kernel=kernel, stride=stride)
        x = self.normalised(x, f"{scope}/BatchNorm", gain=gain)
        return getattr(self.tf.nn, activation)(x, name=f"{scope}/Act") if activation else x

    def doubled(self, x: Any) -> Any:
        """Upsample a map by 2, to the nearest neighbour, in the chosen form."""
        tf = self.tf
        _, height, width, channels = x.shape.as_list()
        with tf.name_scope("nearest_neighbor_upsampling"):
            if self.upsampling == "resize":
                return tf.compat.v1.image.resize_nearest_neighbor(x, [2 * height, 2 * width])
            batch = tf.shape(x)[0]
            if self.upsampling == "stack":
                x = tf.stack([tf.stack([x] * 2, axis=3)] * 2, axis=2)
            else:
                x = tf.reshape(x, tf.stack([batch, height, 1, width, 1, channels]))
                tile = self.upsampling == "tile"
                twice = [1, 1, 2, 1, 2, 1]
                x = tf.tile(x, twice) if tile else tf.multiply(x, tf.ones(twice))
            return tf.reshape(x, tf.stack([batch, 2 * height, 2 * width, channels]))


def ssd_mobilenet_v1(
    layers: Layers, x: Any, classes: int, units: tuple[int, ...]
) -> list[Prediction]:
    """MobileNet-v1 with six feature maps and predictors of their own: 34 Conv2D."""
    scope = "FeatureExtractor/MobilenetV1"
    tf = layers.tf
    x = layers.block(x, f"{scope}/Conv2d_0", layers.channels(32), kernel=3, stride=2)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    plan += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    maps = []
    for index, (count, stride) in enumerate(plan, 1):
        name = f"{scope}/Conv2d_{index}"
        x = layers.depthwise(x, f"{name}_depthwise", stride)
        x = tf.nn.relu6(layers.normalised(x, f"{name}_depthwise/BatchNorm"))
        x = layers.block(x, f"{name}_pointwise", layers.channels(count))
        if index in (11, 13):
            maps.append(x)
    for index, count in enumerate((512, 256, 256, 128), 2):
        name = f"{scope}/Conv2d_13_pointwise_{index}_Conv2d"
        x = layers.block(x, f"{name}_1x1", layers.channels(count // 2))
        x = layers.block(x, f"{name}_3x3_s2", layers.channels(count), kernel=3, stride=2)
        maps.append(x)
    return [_own_predictor(layers, x, level, classes) for level, x in enumerate(maps)]


def _own_predictor(layers: Layers, x: Any, level: int, classes: int) -> Prediction:
    scales = (0.2 + 0.15 * level,) if level == 0 else (0.2 + 0.15 * level, 0.25 + 0.15 * level)
    ratios = (1.0, 2.0, 0.5)
    anchors = len(scales) * len(ratios)
    found = []
    for kind, count, bias in (("Box", 4, 0.0), ("Class", classes + 1, _CLASS_BIAS)):
        scope = f"BoxPredictor_{level}/{kind}Predictor"
        found.append(layers.biased(layers.convolve(x, scope, anchors * count), scope, bias))
    return Prediction(found[0], found[1], scales, ratios)


def ssd_resnet50_fpn(
    layers: Layers, x: Any, classes: int, units: tuple[int, ...]
) -> list[Prediction]:
    """ResNet-50, a feature pyramid, and one predictor for its five levels: 110 Conv2D."""
    maps = _resnet(layers, x, units)
    levels = _pyramid(layers, maps)
    return [_shared_predictor(layers, x, level, classes) for level, x in enumerate(levels)]


def _resnet(layers: Layers, x: Any, units: tuple[int, ...]) -> list[Any]:
    """Return the outputs of blocks 2 to 4, of strides 8, 16 and 32.

    As in the published networks, a block's output is taken before it is subsampled.
    """
    tf, scope = layers.tf, "FeatureExtractor/resnet_v1_50"
    x = layers.block(
        x, f"{scope}/conv1", layers.channels(64), kernel=7, stride=2, activation="relu"
    )
    x = tf.nn.max_pool2d(x, 3, 2, "SAME", name=f"{scope}/pool1/MaxPool")
    maps = []
    for block, (count, depth) in enumerate(zip(units, (64, 128, 256, 512), strict=True), 1):
        name = f"{scope}/block{block}"
        if block > 1:
            x = tf.nn.max_pool2d(x, 1, 2, "SAME", name=f"{name}/MaxPool")
        for unit in range(1, count + 1):
            x = bottleneck(layers, x, f"{name}/unit_{unit}/bottleneck_v1", layers.channels(depth))
        maps.append(x)
    return maps[1:]


def bottleneck(layers: Layers, x: Any, scope: str, depth: int) -> Any:
    """Add a residual unit of three convolutions; its output has 4 · depth channels."""
    tf, shortcut = layers.tf, x
    if x.shape[-1] != 4 * depth:
        shortcut = layers.block(x, f"{scope}/shortcut", 4 * depth, activation=None, gain=0.7)
    x = layers.block(x, f"{scope}/conv1", depth, activation="relu")
    x = layers.block(x, f"{scope}/conv2", depth, kernel=3, activation="relu")
    x = layers.block(x, f"{scope}/conv3", 4 * depth, activation=None, gain=_RESIDUAL_GAIN)
    return tf.nn.relu(tf.add(shortcut, x, name=f"{scope}/add"), name=f"{scope}/Relu")


def _pyramid(layers: Layers, maps: list[Any]) -> list[Any]:
    """Return levels 3 to 7: top-down sums of projections, then two coarser maps."""
    tf, scope, depth = layers.tf, "FeatureExtractor/fpn", layers.channels(256)

    def project(x: Any, level: int) -> Any:
        name = f"{scope}/top_down/projection_{level}"
        return layers.biased(layers.convolve(x, name, depth, gain=_PROJECTION_GAIN), name)

    top = project(maps[2], 3)
    levels = [top]
    for level in (2, 1):
        with tf.name_scope(f"{scope}/top_down/"):
            upper = layers.doubled(top)
        top = tf.add(upper, project(maps[level - 1], level), name=f"{scope}/top_down/add_{level}")
        name = f"{scope}/top_down/smoothing_{level}"
        levels.insert(0, layers.block(top, name, depth, kernel=3))
    coarse = levels[-1]
    for level in (4, 5):
        coarse = layers.block(coarse, f"{scope}/bottom_up_block{level}", depth, kernel=3, stride=2)
        levels.append(coarse)
    return levels


def _shared_predictor(layers: Layers, x: Any, level: int, classes: int) -> Prediction:
    """Predict with kernels that all levels share and batch-norms of the level's own."""
    tf, root = layers.tf, "WeightSharedConvolutionalBoxPredictor"
    scales, ratios = (0.1 * 2**level / 2, 0.14 * 2**level / 2), (1.0, 2.0, 0.5)
    found = []
    for kind, count, bias in (("Box", 4, 0.0), ("Class", classes + 1, _CLASS_BIAS)):
        y = x
        for index in range(4):
            scope = f"{root}/{kind}PredictionTower/conv2d_{index}"
            y = layers.convolve(y, scope, layers.channels(256), kernel=3)
            y = tf.nn.relu6(layers.normalised(y, f"{scope}/BatchNorm/feature_{level}"))
        scope = f"{root}/{kind}Predictor"
        y = layers.convolve(y, scope, len(scales) * len(ratios) * count, kernel=3)
        found.append(layers.biased(y, scope, bias))
    return Prediction(found[0], found[1], scales, ratios)


TRUNKS: dict[str, Trunk] = {
    "ssd_mobilenet_v1": ssd_mobilenet_v1,
    "ssd_resnet50_fpn": ssd_resnet50_fpn,
}
