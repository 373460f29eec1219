"""Train ssd_shapes on rendered scenes and freeze it to ssd_shapes.pb.

The same seed on the same machine gives the same network. Takes about half an hour on 2 cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from decode import ANCHORS, FEATURE_MAPS
from eval_func import VALIDATION_SCENES, evaluate_split
from keras import layers
from numpy.typing import NDArray
from preprocess import preprocess

from lpot_examples.backends.tensorflow.keras_export import freeze_keras
from lpot_examples.data.shapes import CLASSES, IMAGE_SIZE, Scene, render_split
from lpot_examples.evaluation.ssd import MAX_LOG_SCALE, VARIANCES

OUTPUT_NAMES = ("class_logits", "box_offsets")
BACKGROUND, IGNORED = -1, -2
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4
PRIOR = 0.02  # initial score of every class, so that the many background anchors start right


# The network


def conv_bn(x: Any, filters: int, name: str, *, size: int = 1, stride: int = 1, act: bool = True):
    """Convolution, batch normalization, ReLU6."""
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    padding = "valid" if stride == 2 else "same"
    x = layers.Conv2D(filters, size, stride, padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.97, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if act else x


def depthwise_bn(x: Any, name: str, *, stride: int = 1):
    """Depthwise 3x3 convolution, batch normalization, ReLU6."""
    x = layers.DepthwiseConv2D(3, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.97, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def inverted_residual(x: Any, expansion: int, name: str):
    """MobileNetV2's block: expand, depthwise, project without activation, add."""
    channels = x.shape[-1]
    y = conv_bn(x, channels * expansion, f"{name}_expand")
    y = depthwise_bn(y, f"{name}_depthwise")
    y = conv_bn(y, channels, f"{name}_project", act=False)
    return layers.Add(name=f"{name}_add")([x, y])


def fire(x: Any, squeeze: int, expand: int, name: str):
    """SqueezeNet's block: squeeze, then 1x1 and 3x3 side by side, joined on channels."""
    x = conv_bn(x, squeeze, f"{name}_squeeze")
    wide = conv_bn(x, expand, f"{name}_expand3x3", size=3)
    narrow = conv_bn(x, expand, f"{name}_expand1x1")
    return layers.Concatenate(name=f"{name}_concat")([narrow, wide])


def downsample(x: Any, filters: int, name: str):
    """Depthwise convolution with stride 2, then 1x1."""
    return conv_bn(depthwise_bn(x, f"{name}_depthwise", stride=2), filters, f"{name}_pointwise")


def head(x: Any, values: int, count: int, name: str, bias: float = 0.0):
    """Depthwise 3x3 and 1x1 prediction of ``count`` anchors per cell: [batch, anchors, values]."""
    x = depthwise_bn(x, f"{name}_depthwise")
    x = layers.Conv2D(
        values * count, 1, bias_initializer=keras.initializers.Constant(bias), name=name
    )(x)
    return layers.Reshape((-1, values), name=f"{name}_reshape")(x)


def build_network() -> keras.Model:
    """Return the detector: two feature maps of 12 x 12 and 6 x 6 cells."""
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="input")
    x = conv_bn(image, 16, "stem1", size=3, stride=2)
    x = conv_bn(x, 32, "stem2", size=3)
    x = layers.MaxPooling2D(name="stem_pool")(x)
    x = fire(x, 48, 64, "fire1")
    x = inverted_residual(x, 2, "block1")
    x = fire(x, 48, 64, "fire2")
    x = downsample(x, 96, "down1")
    x = inverted_residual(x, 2, "block2")
    x = fine = inverted_residual(x, 2, "block3")
    x = downsample(x, 96, "down2")
    coarse = inverted_residual(x, 2, "block4")
    logits, offsets = [], []
    for tag, features, (_, sides) in zip("ab", (fine, coarse), FEATURE_MAPS, strict=True):
        bias = float(np.log(PRIOR / (1 - PRIOR)))
        logits.append(head(features, len(CLASSES), len(sides), f"class_{tag}", bias))
        offsets.append(head(features, 4, len(sides), f"box_{tag}"))
    joined = [
        layers.Concatenate(axis=1, name=f"{name}_concat")(parts)
        for name, parts in (("class", logits), ("box", offsets))
    ]
    return keras.Model(image, joined, name="ssd_shapes")


# Training data


@dataclass(frozen=True, kw_only=True)
class SceneArrays:
    """Scenes as arrays; missing boxes have label -1."""

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]  # x0, y0, x1, y1
    labels: NDArray[np.int64]


def as_arrays(scenes: list[Scene]) -> SceneArrays:
    """Pad the scenes' shapes to a common count."""
    most = max(len(s.labels) for s in scenes)
    boxes = np.zeros((len(scenes), most, 4), np.float32)
    labels = np.full((len(scenes), most), -1)
    for i, scene in enumerate(scenes):
        boxes[i, : len(scene.labels)] = scene.boxes
        labels[i, : len(scene.labels)] = scene.labels
    boxes[..., 2:] += boxes[..., :2]
    return SceneArrays(images=np.stack([s.image for s in scenes]), boxes=boxes, labels=labels)


def augment(images: NDArray[np.uint8], boxes: NDArray[np.float32], rng: np.random.Generator):
    """Flip, transpose and exchange colour channels of a whole batch at random."""
    x0, y0, x1, y1 = np.moveaxis(boxes, -1, 0)
    if rng.random() < 0.5:
        images, (x0, x1) = images[:, :, ::-1], (IMAGE_SIZE - x1, IMAGE_SIZE - x0)
    if rng.random() < 0.5:
        images, (y0, y1) = images[:, ::-1], (IMAGE_SIZE - y1, IMAGE_SIZE - y0)
    if rng.random() < 0.5:
        images, (x0, y0, x1, y1) = images.transpose(0, 2, 1, 3), (y0, x0, y1, x1)
    images = images[..., rng.permutation(3)]
    return images, np.stack([x0, y0, x1, y1], axis=-1)


def pairwise_iou(first: NDArray[np.float32], second: NDArray[np.float32]):
    """Return the overlaps [..., m, n] of boxes [..., m, 4] with boxes [..., n, 4]."""
    a, b = first[..., :, None, :], second[..., None, :, :]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared)


def assign(boxes: NDArray[np.float32], labels: NDArray[np.int64], grid: NDArray[np.float32]):
    """Assign shapes to anchors: SSD's rule, with a band of ignored overlaps.

    Returns:
        int64 [batch, anchors] class, BACKGROUND or IGNORED; float32 [batch, anchors, 4] boxes.
    """
    half = grid[:, 2:] / 2
    corners = np.concatenate([grid[:, :2] - half, grid[:, :2] + half], axis=1)
    iou = pairwise_iou(corners[None], boxes) * (labels >= 0)[:, None]
    best_anchor = iou.argmax(axis=1)
    rows, shapes = np.nonzero(labels >= 0)
    # Every shape keeps its best anchor, however small the overlap.
    iou[rows, best_anchor[rows, shapes], shapes] = 2
    best_shape, overlap = iou.argmax(axis=2), iou.max(axis=2)
    classes = np.take_along_axis(labels, best_shape, axis=1)
    classes = np.where(overlap >= POSITIVE_IOU, classes, IGNORED)
    classes = np.where(overlap < NEGATIVE_IOU, BACKGROUND, classes)
    return classes, np.take_along_axis(boxes, best_shape[..., None], axis=1)


def batches(data: SceneArrays, batch_size: int, steps: int, seed: int) -> Iterator[Any]:
    """Yield ``steps`` augmented batches: images, class targets, box targets."""
    rng = np.random.default_rng(seed)
    order = np.empty(0, np.int64)
    for _ in range(steps):
        if len(order) < batch_size:
            order = np.concatenate([order, rng.permutation(len(data.images))])
        chosen, order = order[:batch_size], order[batch_size:]
        images, boxes = augment(data.images[chosen], data.boxes[chosen], rng)
        yield preprocess(images), *assign(boxes, data.labels[chosen], ANCHORS)


# Loss


def decode(offsets: tf.Tensor, grid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the corners (low, high) that the offsets mean; see evaluation/ssd.py."""
    centre = grid[:, :2] + offsets[..., :2] * VARIANCES[0] * grid[:, 2:]
    half = grid[:, 2:] * tf.exp(tf.minimum(offsets[..., 2:] * VARIANCES[1], MAX_LOG_SCALE)) / 2
    return centre - half, centre + half


def box_loss(low: tf.Tensor, high: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return 1 - GIoU (Rezatofighi et al., 2019) of each anchor's box."""
    target_low, target_high = target[..., :2], target[..., 2:]
    area = tf.reduce_prod(high - low, -1) + tf.reduce_prod(target_high - target_low, -1)
    overlap = tf.minimum(high, target_high) - tf.maximum(low, target_low)
    overlap = tf.reduce_prod(tf.maximum(overlap, 0), -1)
    hull = tf.reduce_prod(tf.maximum(high, target_high) - tf.minimum(low, target_low), -1)
    union = area - overlap
    return 1 - overlap / (union + 1e-6) + (hull - union) / (hull + 1e-6)


def focal_loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return the focal loss (Lin et al., 2017; alpha 0.25, gamma 2) of each anchor and class."""
    truth = tf.one_hot(classes, logits.shape[-1])
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    score = tf.sigmoid(logits)
    miss = truth * (1 - score) + (1 - truth) * score
    weight = truth * 0.25 + (1 - truth) * 0.75
    counted = tf.cast(classes != IGNORED, tf.float32)[..., None]
    return entropy * miss * miss * weight * counted


def make_step(model: keras.Model, optimizer: keras.optimizers.Optimizer):
    """Return the compiled function that learns from one batch and returns its two losses."""
    grid = tf.constant(ANCHORS)

    @tf.function(reduce_retracing=True)
    def step(images: tf.Tensor, classes: tf.Tensor, boxes: tf.Tensor):
        with tf.GradientTape() as tape:
            logits, offsets = model(images, training=True)
            positive = tf.cast(classes >= 0, tf.float32)
            count = tf.maximum(tf.reduce_sum(positive), 1)
            per_box = box_loss(*decode(offsets, grid), boxes)
            location = 2 * tf.reduce_sum(per_box * positive) / count
            category = tf.reduce_sum(focal_loss(logits, classes)) / count
            total = location + category
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return category, location

    return step


def train(model: keras.Model, data: SceneArrays, arguments: argparse.Namespace) -> None:
    """Train with AdamW, a cosine schedule and averaged weights."""
    schedule = keras.optimizers.schedules.CosineDecay(
        arguments.learning_rate / 20,
        max(1, arguments.steps - arguments.warmup),
        alpha=0.01,
        warmup_target=arguments.learning_rate,
        warmup_steps=arguments.warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=1e-3, use_ema=True, ema_momentum=0.998, clipnorm=5.0
    )
    optimizer.build(model.trainable_variables)  # or the first step would be traced twice
    step = make_step(model, optimizer)
    started, category, location = time.monotonic(), [], []
    source = batches(data, arguments.batch_size, arguments.steps, arguments.seed)
    for done, batch in enumerate(source, start=1):
        for losses, loss in zip((category, location), step(*batch), strict=True):
            losses.append(loss)
        if done % 100 == 0 or done == arguments.steps:
            means = (float(np.mean(losses[-100:])) for losses in (category, location))
            print(
                f"step {done}/{arguments.steps}: class loss {next(means):.4f}, "
                f"box loss {next(means):.4f}, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    optimizer.finalize_variable_values(model.trainable_variables)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    here = Path(__file__).resolve().parent
    parser.add_argument("--output", type=Path, default=here / "ssd_shapes.pb", help="the network")
    parser.add_argument("--scenes", type=int, default=10000, help="rendered for training")
    parser.add_argument("--steps", type=int, default=8000, help="training batches")
    parser.add_argument("--batch_size", type=int, default=16, help="scenes per batch")
    parser.add_argument("--learning_rate", type=float, default=3e-3, help="after the warm-up")
    parser.add_argument("--warmup", type=int, default=300, help="steps of rising learning rate")
    parser.add_argument("--seed", type=int, default=20210, help="of weights and batches")
    parser.add_argument(
        "--split", choices=("dev", "validation"), default="validation", help="scored at the end"
    )
    parser.add_argument("--smoke", action="store_true", help="two tiny steps, to try the script")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.scenes, arguments.steps, arguments.batch_size, arguments.warmup = 16, 2, 8, 1
    return arguments


def main() -> None:
    """Train, score and freeze."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()
    started = time.monotonic()
    data = as_arrays(render_split("train", arguments.scenes))
    print(f"rendered {arguments.scenes} scenes in {time.monotonic() - started:.0f} s", flush=True)
    model = build_network()
    print(f"{model.count_params()} parameters", flush=True)
    train(model, data, arguments)
    frozen = freeze_keras(model, input_name="input", output_names=OUTPUT_NAMES)
    frozen.save(arguments.output)
    samples = 16 if arguments.smoke else VALIDATION_SCENES
    accuracy = evaluate_split(arguments.split, samples, 32)
    result = accuracy(frozen)
    print(f"{arguments.split} mAP {result.score:.4f}", result.details)
    print(f"wrote {arguments.output}, {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
