"""Makes small_random: nine groups with seeded random weights, of which int8 harms some.

The channels behind the first depthwise convolution differ in loudness, so that one scale for all
does not serve the quiet ones. The last layer spreads the features evenly over ten classes. Images
that fp32 is least sure of are left out; of the others nine in ten are labelled as fp32 says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

SEED, IMAGES, SIZE, WIDTH, CLASSES = 9527, 896, 32, 64, 10
CANDIDATES = 1280  # of which the images are chosen
LOUDNESS = {"one": 6.0, "two": 0.0}  # by block, powers of two


def main() -> None:
    """Write small_random.pb and small_random.npz."""
    rng = np.random.default_rng(SEED)
    images = smooth_images(rng)
    features = build(np.random.default_rng(SEED + 1), None)(images)
    deviation = features.std(axis=0) + 1e-6
    directions = rng.normal(size=(features.shape[1], CLASSES)) / deviation[:, None]
    directions /= np.sqrt(features.shape[1])
    logits = features @ directions
    head = (directions / logits.std(axis=0), -logits.mean(axis=0) / logits.std(axis=0))
    model = build(np.random.default_rng(SEED + 1), head)
    scores = model(images)
    ranked = np.sort(scores, axis=1)
    sure = np.sort(np.argsort(ranked[:, -2] - ranked[:, -1], kind="stable")[:IMAGES])
    images, labels = images[sure], scores[sure].argmax(axis=1)
    wrong = rng.random(IMAGES) < 0.1
    labels[wrong] = (labels[wrong] + 1) % CLASSES
    folder = Path(__file__).parent
    np.savez(folder / "small_random.npz", images=images, labels=labels)
    model.save(folder / "small_random.pb")


def smooth_images(rng: np.random.Generator) -> Any:
    """Return images [n, H, W, 3] with structure of three sizes."""
    images = np.zeros((CANDIDATES, SIZE, SIZE, 3), np.float32)
    for cells, weight in ((2, 0.6), (4, 0.5), (16, 0.4)):
        coarse = rng.normal(size=(CANDIDATES, cells, cells, 3))
        images += weight * coarse.repeat(SIZE // cells, 1).repeat(SIZE // cells, 2)
    return images


def build(rng: np.random.Generator, head: Any) -> TensorFlowModel:
    """Return the network, or what is in front of its last layer if there is no ``head``."""
    tf = import_tensorflow()
    graph = tf.Graph()

    def conv(x: Any, channels: int, size: int, name: str, *, stride: int = 1) -> Any:
        shape = (size, size, int(x.shape[3]), channels)
        weights = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:3]))
        return tf.nn.conv2d(x, weights.astype(np.float32), stride, "SAME", name=name)

    def biased(x: Any) -> Any:
        return tf.nn.bias_add(x, (0.1 * rng.normal(size=x.shape[3])).astype(np.float32))

    def loud(x: Any, name: str, powers: float) -> Any:
        channels = int(x.shape[3])
        loudness = 2.0 ** rng.uniform(-powers, 0, channels)
        weights = rng.normal(size=(3, 3, channels, 1)) / 3 * loudness[:, None]
        made = tf.nn.depthwise_conv2d(x, weights.astype(np.float32), [1] * 4, "SAME", name=name)
        return tf.nn.relu(made), loudness

    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, SIZE, SIZE, 3], "input")
        x = tf.nn.relu(biased(conv(x, WIDTH, 3, "stem")))
        for block, powers in LOUDNESS.items():
            y, loudness = loud(x, f"{block}_depthwise", powers)
            shape = (1, 1, WIDTH, WIDTH)
            weights = rng.normal(size=shape) * np.sqrt(2 / WIDTH) / loudness[:, None]
            y = tf.nn.conv2d(y, weights.astype(np.float32), 1, "SAME", name=f"{block}_pointwise")
            x = tf.nn.relu(biased(y) + x)
            x = tf.nn.relu(biased(conv(x, WIDTH, 3, f"{block}_down", stride=2)))
        x = tf.reduce_mean(x, [1, 2], name="mean")
        if head is None:
            tf.identity(x, "features")
        else:
            made = tf.matmul(x, head[0].astype(np.float32), name="classes")
            tf.nn.bias_add(made, head[1].astype(np.float32), name="logits")
    return TensorFlowModel(graph.as_graph_def(), inputs=["input"])


if __name__ == "__main__":
    main()
