"""A network that names the colour of an image, and folders of images: all that a yaml needs."""

import numpy as np
from PIL import Image

COLOURS = ("blue", "green", "red")

YAML = """\
model: {name: colours, framework: tensorflow, inputs: image, outputs: scores}
quantization:
  calibration:
    sampling_size: 12
    dataloader:
      batch_size: 4
      dataset:
        ImageFolder: {root: train}
      transform:
        Rescale: {}
evaluation:
  accuracy:
    metric: {topk: 1}
    dataloader:
      batch_size: 4
      dataset:
        ImageFolder: {root: val}
      transform:
        Rescale: {}
tuning:
  accuracy_criterion: {relative: 0.05}
"""


def write_network(path):
    """Write a graph of two convolutions and a mean; class i is the i-th of `COLOURS`."""
    import tensorflow as tf

    rng = np.random.default_rng(4)
    first = rng.normal(scale=0.05, size=(3, 3, 3, 6))
    first[1, 1] += np.tile(np.eye(3)[:, ::-1], (1, 2))
    second = rng.normal(scale=0.02, size=(1, 1, 6, 3))
    second[0, 0] += np.tile(np.eye(3), (2, 1))
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], name="image")
        values = image
        for weights in (first, second):
            values = tf.nn.relu(tf.nn.conv2d(values, weights.astype(np.float32), 1, "SAME"))
        tf.reshape(tf.reduce_mean(values, [1, 2]), [-1, 3], name="scores")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def write_all(folder):
    """Write ``net.pb`` and the images of ``train`` and ``val``."""
    write_network(folder / "net.pb")
    write_images(folder / "train", 6, seed=1)
    write_images(folder / "val", 8, seed=2)
    return folder


def write_images(folder, count, *, seed):
    """Write noisy images, each brightest in the channel of its colour."""
    rng = np.random.default_rng(seed)
    for channel, name in zip((2, 1, 0), COLOURS, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 120, (16, 16, 3))
            pixels[..., channel] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
