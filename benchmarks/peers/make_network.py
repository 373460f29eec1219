"""Makes the fp32 graph of a network and its images.

An application of Keras gets seeded random weights. Its batch-norms are given random gammas and
betas, and moving statistics near the real ones of its activations, so that no add or multiply can
be optimized away and values stay of order one through any depth. Gammas that end a residual branch
are damped to 0.3, as trained networks have them; otherwise noise grows with every block.
"""

from __future__ import annotations

import re
import shutil
from itertools import islice
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.keras_export import freeze_keras
from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.zoo.topologies import find_topology
from peers.networks import NETWORKS, Network, model_file
from peers.task import CALIBRATION, CHECK, Images, Task, run

_SEED = 9527
_ENDS_BRANCH = re.compile(r"(_3_bn|_project_bn)$", re.IGNORECASE)
_DAMPING = 0.3
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def make(task: Task) -> None:
    """Write the fp32 graph and the images."""
    network = NETWORKS[task.network]
    if network.application:
        images = preprocess(smooth_images(CALIBRATION + CHECK, size=network.size), network)
        with task.stage("build"):
            model = freeze_keras(
                random_application(network, images[:16]),
                input_name="input",
                output_names=["output"],
            )
            model.save(task.target)
    else:
        images = _topology_images(task, network)
        file = model_file(task.network, task.data)
        assert file is not None, f"{task.network} is not there"
        shutil.copyfile(file, task.target)
        model = load_model(task.target)
    np.savez(task.images, calibration=images[:CALIBRATION], check=images[CALIBRATION:])
    task.facts = {"inputs": list(model.input_names), "outputs": list(model.output_names)}


def smooth_images(count: int, *, size: int) -> Images:
    """Return RGB images [count, size, size, 3], float32 in 0-255, with shapes of several sizes."""
    from PIL import Image

    rng = np.random.default_rng(_SEED)
    images = np.zeros((count, size, size, 3), np.float32)
    for image in images:
        for cells, weight in ((4, 0.5), (16, 0.3), (56, 0.2)):
            coarse = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
            resized = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
            image += weight * np.asarray(resized, np.float32)
        image[:] = (image - 127.5) * rng.uniform(0.8, 1.8) + rng.uniform(90, 165)
    return np.clip(images, 0, 255)


def preprocess(images: Images, network: Network) -> Images:
    """Return what the network's input takes of RGB images in 0-255."""
    if network.preprocessing == "tf":
        return images / np.float32(127.5) - np.float32(1)
    if network.preprocessing == "caffe":
        return np.ascontiguousarray(images[..., ::-1]) - np.asarray(_CAFFE_MEAN, np.float32)
    return images


def random_application(network: Network, images: Images) -> Any:
    """Return a ``keras.Model`` with seeded random weights, ending in logits.

    Args:
        network: One with an application.
        images: Preprocessed images that the moving statistics are taken of.
    """
    import keras

    keras.utils.set_random_seed(_SEED)
    build = getattr(keras.applications, network.application)
    model = build(weights=None, classifier_activation=None)
    rng = np.random.default_rng(_SEED)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        _randomize(layer, rng, has_norms=bool(norms))
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)  # with no momentum, the moving statistics are this batch's
    for norm in norms:
        mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
        offset = 0.1 * rng.standard_normal(mean.shape) * np.sqrt(variance)
        norm.moving_mean.assign(mean + offset)
        norm.moving_variance.assign(variance * rng.uniform(0.8, 1.25, variance.shape))
    return model


def _randomize(layer: Any, rng: np.random.Generator, *, has_norms: bool) -> None:
    import keras

    if isinstance(layer, keras.layers.BatchNormalization):
        if layer.gamma is not None:
            gamma = rng.uniform(0.7, 1.3, layer.gamma.shape)
            layer.gamma.assign(gamma * (_DAMPING if _ENDS_BRANCH.search(layer.name) else 1.0))
        layer.beta.assign(0.2 * rng.standard_normal(layer.beta.shape))
        return
    if getattr(layer, "bias", None) is not None:
        layer.bias.assign(0.1 * rng.standard_normal(layer.bias.shape))
    kernel = getattr(layer, "kernel", None)
    if kernel is not None and not has_norms:
        # Glorot halves the variance at each ReLU; without batch-norm nothing brings it back.
        layer.kernel.assign(np.asarray(kernel) * np.sqrt(2.0))


def _topology_images(task: Task, network: Network) -> Images:
    dataset = task.data / network.dataset if task.data and network.dataset else None
    loader = find_topology(network.topology).q_dataloader(dataset, batch_size=1)
    batches = [np.asarray(images) for images, _ in islice(iter(loader), CALIBRATION + CHECK)]
    return np.concatenate(batches).astype(np.float32)


if __name__ == "__main__":
    run(make)
