"""Two-stage synthetic detectors, in the form of TF1's faster_rcnn and mask_rcnn.

    images ─► first-stage features ─► proposals (per image, by suppression)
                    │                     │
                    └──► CropAndResize ◄──┘ ─► [batch · proposals, h, w, c] ─► second stage
                                                        boxes, classes (and masks) ◄──┘

Images keep their aspect ratio, so height and width are known at run time only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.testing.detector_boxes import decode, grid_anchors, postprocess
from lpot_examples.testing.detector_trunks import Layers, bottleneck

_SCALES, _RATIOS = (0.25, 0.5, 1.0), (0.5, 1.0, 2.0)
# Side of a crop, which a max-pool halves, as in the published networks.
_CROP = 14


@dataclass(frozen=True, kw_only=True)
class TwoStageSpec:
    """What a two-stage network needs beside its layers.

    Attributes:
        classes: Number of classes.
        units: Residual units of each of ResNet's four blocks; the last is the second stage.
        proposals: Boxes kept by the first stage.
        detections: Boxes kept by the second.
        score_threshold: Boxes below are dropped before the second suppression.
        masks: Whether there is a third branch, of masks.
    """

    classes: int
    units: tuple[int, int, int, int]
    proposals: int
    detections: int
    score_threshold: float
    masks: bool


def two_stage(layers: Layers, images: Any, shapes: Any, spec: TwoStageSpec) -> tuple[Any, ...]:
    """Add a two-stage detector.

    Args:
        layers: Builds its layers.
        images: Tensor [batch, ?, ?, 3].
        shapes: int32 tensor [batch, 3] of the resized images.
        spec: What to build.

    Returns:
        Numbers, boxes, scores and classes of detections, and their masks
        [batch, detections, 28, 28] where the spec has them.
    """
    features = _first_features(layers, images, spec.units)
    proposals = _proposals(layers, features, shapes, spec.proposals)
    found = _second_stage(layers, features, proposals, shapes, spec)
    if not spec.masks:
        return found
    return (*found, _masks(layers, features, found[1], found[3], spec))


def _first_features(layers: Layers, x: Any, units: tuple[int, ...]) -> Any:
    """Return features of stride 16; the last block is dilated as in the atrous networks."""
    tf, scope = layers.tf, "FirstStageFeatureExtractor/resnet_v1"
    x = layers.block(
        x, f"{scope}/conv1", layers.channels(64), kernel=7, stride=2, activation="relu"
    )
    x = tf.nn.max_pool2d(x, 3, 2, "SAME", name=f"{scope}/pool1/MaxPool")
    for block, (count, depth) in enumerate(zip(units[:3], (64, 128, 256), strict=True), 1):
        name = f"{scope}/block{block}"
        if block > 1:
            x = tf.nn.max_pool2d(x, 1, 2, "SAME", name=f"{name}/MaxPool")
        for unit in range(1, count + 1):
            x = bottleneck(layers, x, f"{name}/unit_{unit}/bottleneck_v1", layers.channels(depth))
    with tf.name_scope("Atrous"):
        x = tf.space_to_batch(x, [2, 2], _dilation_padding(tf, x))
        x = layers.block(x, f"{scope}/atrous", layers.channels(512), kernel=3, activation="relu")
        return tf.batch_to_space(x, [2, 2], [[0, 0], [0, 0]])


def _dilation_padding(tf: Any, x: Any) -> Any:
    """Return what makes height and width even."""
    size = tf.shape(x)[1:3]
    return tf.stack([tf.zeros([2], tf.int32), tf.math.floormod(-size, 2)], 1)


def _proposals(layers: Layers, features: Any, shapes: Any, count: int) -> Any:
    """Return boxes [batch, count, 4], relative to the image."""
    tf = layers.tf
    x = layers.convolve(features, "Conv", layers.channels(512), kernel=3)
    x = tf.nn.relu6(layers.biased(x, "Conv"), name="Conv/Relu6")
    anchors_here = len(_SCALES) * len(_RATIOS)
    batch, size = tf.shape(x)[0], tf.shape(x)[1:3]
    predicted = []
    for kind, depth in (("BoxEncoding", 4), ("Class", 2)):
        scope = f"FirstStageBoxPredictor/{kind}Predictor"
        y = layers.biased(layers.convolve(x, scope, anchors_here * depth), scope)
        predicted.append(tf.reshape(y, tf.stack([batch, -1, depth])))
    with tf.name_scope("GridAnchorGenerator/"):
        anchors = grid_anchors(tf, (size[0], size[1]), _SCALES, _RATIOS)
    boxes = decode(tf, predicted[0], anchors, batch)
    scores = tf.slice(tf.nn.softmax(predicted[1]), [0, 0, 1], [-1, -1, -1])
    return postprocess(
        tf,
        boxes,
        tf.ensure_shape(scores, [None, None, 1]),
        shapes,
        detections=count,
        score_threshold=0.0,
        scope="FirstStagePostprocessor",
    )[1]


def _cropped(tf: Any, features: Any, boxes: Any) -> Any:
    """Return crops [batch · boxes, 7, 7, c] of the boxes of every image."""
    with tf.name_scope("CropAndResize"):
        shape = tf.shape(boxes)
        index = tf.tile(tf.expand_dims(tf.range(shape[0]), 1), tf.stack([1, shape[1]]))
        crops = tf.raw_ops.CropAndResize(
            image=features,
            boxes=tf.reshape(boxes, [-1, 4]),
            box_ind=tf.reshape(index, [-1]),
            crop_size=[_CROP, _CROP],
        )
    return tf.nn.max_pool2d(crops, 2, 2, "SAME", name="MaxPool2D/MaxPool")


def _second_features(layers: Layers, crops: Any, units: int) -> Any:
    x, scope = crops, "SecondStageFeatureExtractor/resnet_v1/block4"
    for unit in range(1, units + 1):
        x = bottleneck(layers, x, f"{scope}/unit_{unit}/bottleneck_v1", layers.channels(512))
    return x


def _second_stage(
    layers: Layers, features: Any, proposals: Any, shapes: Any, spec: TwoStageSpec
) -> tuple[Any, ...]:
    tf = layers.tf
    batch = tf.shape(proposals)[0]
    x = _second_features(layers, _cropped(tf, features, proposals), spec.units[3])
    x = tf.reduce_mean(x, [1, 2], keepdims=True, name="SecondStageBoxPredictor/AvgPool")
    x = tf.reshape(x, [-1, int(x.shape[-1])], name="SecondStageBoxPredictor/Flatten")
    predicted = []
    for kind, depth in (("BoxEncoding", 4), ("Class", spec.classes + 1)):
        y = _dense(layers, x, f"SecondStageBoxPredictor/{kind}Predictor", depth)
        predicted.append(tf.reshape(y, tf.stack([batch, spec.proposals, depth])))
    names = ("raw_boxes", "raw_scores")
    joined = [tf.identity(y, name=name) for name, y in zip(names, predicted, strict=True)]
    with tf.name_scope("SecondStagePostprocessor"):
        boxes = decode(tf, joined[0], proposals, batch)
        scores = tf.slice(tf.nn.softmax(joined[1]), [0, 0, 1], [-1, -1, -1])
    return postprocess(
        tf,
        boxes,
        tf.ensure_shape(scores, [None, None, spec.classes]),
        shapes,
        detections=spec.detections,
        score_threshold=spec.score_threshold,
        scope="SecondStagePostprocessor",
    )


def _dense(layers: Layers, x: Any, scope: str, depth: int) -> Any:
    shape = (int(x.shape[-1]), depth)
    weights = layers.variable(
        f"{scope}/weights", lambda rng: rng.normal(0, np.sqrt(2 / shape[0]), shape)
    )
    return layers.biased(layers.tf.matmul(x, weights, name=f"{scope}/MatMul"), scope)


def _masks(layers: Layers, features: Any, boxes: Any, labels: Any, spec: TwoStageSpec) -> Any:
    """Return the mask of each detection, of its own class: [batch, detections, 28, 28]."""
    tf, root = layers.tf, "MaskPredictor"
    x = _second_features(layers, _cropped(tf, features, boxes), spec.units[3])
    for name in ("Conv2d_transpose", "Conv2d_transpose_1"):
        x = _upsampled(layers, x, f"{root}/{name}", layers.channels(256))
    x = layers.block(x, f"{root}/Conv", layers.channels(256), kernel=3, activation="relu")
    x = layers.biased(layers.convolve(x, f"{root}/Conv_1", spec.classes), f"{root}/Conv_1")
    side = 2 * _CROP
    by_class = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, side, side])
    flat = tf.cast(tf.reshape(labels, [-1]), tf.int32)
    index = flat + spec.classes * tf.range(tf.shape(flat)[0])
    chosen = tf.raw_ops.Gather(params=by_class, indices=index)
    shape = tf.stack([tf.shape(boxes)[0], spec.detections, side, side])
    return tf.sigmoid(tf.reshape(chosen, shape))


def _upsampled(layers: Layers, x: Any, scope: str, depth: int) -> Any:
    """Double height and width by a transposed convolution, with bias and ReLU."""
    tf = layers.tf
    _, height, width, channels = x.shape.as_list()
    shape = (2, 2, depth, channels)
    weights = layers.variable(
        f"{scope}/weights", lambda rng: rng.normal(0, np.sqrt(2 / channels), shape)
    )
    size = tf.stack([tf.shape(x)[0], 2 * height, 2 * width, depth])
    x = tf.nn.conv2d_transpose(x, weights, size, 2, name=f"{scope}/conv2d_transpose")
    return tf.nn.relu(layers.biased(x, scope))
