"""Train digits on scikit-learn's handwritten digits and freeze it to digits.pb.

The same seed on the same machine gives the same network. Takes about half a minute on 2 cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from lpot_examples.backends.tensorflow.keras_export import freeze_keras
from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.data.digits import Digits, load_digits
from lpot_examples.evaluation.classification import TopKEvaluation

DEV_DIGITS = 247  # of the training digits, for choices about the training itself


def conv_bn(x: Any, filters: int, name: str, *, size: int = 3, relu: bool = True):
    """Convolution, batch normalization, ReLU."""
    x = layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def separable_residual(x: Any, name: str):
    """Depthwise 3x3 and 1x1 convolution, added to their input."""
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    y = layers.BatchNormalization(momentum=0.95, name=f"{name}_depthwise_bn")(y)
    y = layers.ReLU(name=f"{name}_depthwise_relu")(y)
    y = conv_bn(y, x.shape[-1], f"{name}_pointwise", size=1, relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def build_network() -> keras.Model:
    """Return the classifier: 8 x 8 pixels to 10 logits."""
    image = keras.Input((8, 8, 1), name="input")
    x = conv_bn(image, 16, "conv1")
    x = conv_bn(x, 32, "conv2")
    x = separable_residual(x, "block1")
    x = layers.MaxPooling2D(name="pool")(x)
    x = conv_bn(x, 64, "conv3")
    x = separable_residual(x, "block2")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(10, name="classes")(x), name="digits")


def augment(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Shift each digit by up to one pixel and vary its contrast and noise."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = rng.integers(0, 3, (2, len(images), 1, 1))
    each = np.arange(len(images))[:, None, None]
    shifted = padded[each, rows + np.arange(8)[:, None], columns + np.arange(8)]
    contrast = rng.uniform(0.8, 1.1, (len(images), 1, 1, 1))
    noise = rng.normal(0, 0.05, images.shape)
    return np.clip(shifted * contrast + noise, 0, 1).astype(np.float32)


def batches(data: Digits, batch_size: int, epochs: int, seed: int) -> Iterator[Any]:
    """Yield augmented batches of images and classes; an epoch's incomplete batch is left out."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(data.images))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            yield augment(data.images[rows], rng), data.labels[rows]


def train(model: keras.Model, data: Digits, arguments: argparse.Namespace) -> None:
    """Train with AdamW, a cosine schedule, smoothed labels and averaged weights."""
    steps = arguments.epochs * (len(data.images) // arguments.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(arguments.learning_rate, steps, alpha=0.01)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-3, use_ema=True, ema_momentum=0.99)
    optimizer.build(model.trainable_variables)  # or the first step would be traced twice

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            targets = tf.one_hot(labels, 10) * 0.95 + 0.005
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, model(images, training=True))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    losses = []
    source = batches(data, arguments.batch_size, arguments.epochs, arguments.seed)
    for done, (images, labels) in enumerate(source, start=1):
        losses.append(float(step(images, labels)))
        if done % 200 == 0 or done == steps:
            print(f"step {done}/{steps}: loss {np.mean(losses[-200:]):.4f}", flush=True)
    optimizer.finalize_variable_values(model.trainable_variables)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    here = Path(__file__).resolve().parent
    parser.add_argument("--output", type=Path, default=here / "digits.pb", help="the network")
    parser.add_argument("--epochs", type=int, default=80, help="passes over the digits")
    parser.add_argument("--batch_size", type=int, default=64, help="digits per batch")
    parser.add_argument("--learning_rate", type=float, default=3e-3, help="at the start")
    parser.add_argument("--seed", type=int, default=20210, help="of weights and batches")
    parser.add_argument(
        "--dev", action="store_true", help=f"hold out and score {DEV_DIGITS} training digits"
    )
    parser.add_argument("--smoke", action="store_true", help="two steps, to try the script")
    return parser.parse_args()


def main() -> None:
    """Train, score and freeze."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()
    started = time.monotonic()
    data, scored, name = load_digits("train"), load_digits("validation"), "held-out"
    if arguments.dev:
        scored, name = Digits(*(part[:DEV_DIGITS] for part in data)), "dev"
        data = Digits(*(part[DEV_DIGITS:] for part in data))
    if arguments.smoke:
        data, arguments.epochs = Digits(*(part[: 2 * arguments.batch_size] for part in data)), 1
    model = build_network()
    train(model, data, arguments)
    frozen = freeze_keras(model, input_name="input", output_names=["logits"])
    frozen.save(arguments.output)
    held_out = ArrayBatches(scored.images, scored.labels, batch_size=64)
    accuracy = TopKEvaluation(held_out, samples=len(scored.images), classes=10, ks=(1,))
    result = accuracy(frozen)
    print(
        f"{name} top-1 {result.score:.4f} of {result.samples} digits, {model.count_params()} "
        f"parameters, {time.monotonic() - started:.0f} s"
    )
    print(f"wrote {arguments.output}, {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
