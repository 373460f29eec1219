"""Synthetic detectors in the form in which TF1's object detection networks were published.

    image_tensor uint8 [?, ?, ?, 3] ─► Preprocessor (a map in TF1 control flow)
        ─► backbone ─► box and class predictors, level by level ─► concat
        ─► decoded boxes, sigmoid scores ─► Postprocessor (a map; per-class suppression)
        ─► num_detections, detection_boxes, detection_scores, detection_classes

They are frozen in the TF1 manner: every weight is a ``Const`` behind an ``Identity`` of the name
``.../read``. Weights are random but damped, so that values neither explode nor vanish; what such
a network detects means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.testing.detector_boxes import decode, grid_anchors, postprocess
from lpot_examples.testing.detector_trunks import TRUNKS, Layers, Prediction

INPUT = "image_tensor"
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
# The tensors in front of the post-processing, in which int8 can be compared with fp32.
RAW_OUTPUTS = ("concat", "concat_1")


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """What to build.

    Attributes:
        network: ``ssd_resnet50_fpn`` or ``ssd_mobilenet_v1``.
        size: Height and width that images are resized to.
        classes: Number of classes, each with its own suppression.
        width: Multiplier of all channel counts.
        units: Residual units of each of ResNet's four blocks.
        batch_norm: ``FusedBatchNorm``, ``FusedBatchNormV3``, or ``arithmetic`` (Mul, Sub, Add).
        upsampling: How the feature pyramid doubles a map: ``ones`` (Reshape, Mul by ones,
            Reshape), ``stack`` (Pack, Pack, Reshape), ``tile`` (Reshape, Tile, Reshape) or
            ``resize`` (ResizeNearestNeighbor).
        add_v2: Whether additions are ``AddV2``; older files have ``Add``.
        detections: Boxes kept per class and image.
        score_threshold: Boxes below are dropped before suppression.
        seed: Of the weights.
    """

    network: str = "ssd_resnet50_fpn"
    size: int = 640
    classes: int = 90
    width: float = 1.0
    units: tuple[int, int, int, int] = (3, 4, 6, 3)
    batch_norm: str = "FusedBatchNorm"
    upsampling: str = "ones"
    add_v2: bool = False
    detections: int = 100
    score_threshold: float = 0.3
    seed: int = 0


FULL_SIZE = {
    "ssd_resnet50_fpn": DetectorSpec(),
    "ssd_mobilenet_v1": DetectorSpec(network="ssd_mobilenet_v1", size=300),
}


def build_detector(spec: DetectorSpec) -> Any:
    """Build a frozen detector.

    Args:
        spec: What to build.

    Returns:
        A ``GraphDef`` of input `INPUT` and outputs `OUTPUTS`, all float32: [batch],
        [batch, detections, 4], [batch, detections] and [batch, detections].
    """
    tf = import_tensorflow()
    with _tf1_control_flow(tf), tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], INPUT)
        images, shapes = _preprocess(tf, tf.cast(image, tf.float32, name="ToFloat"), spec.size)
        layers = Layers(
            tf=tf,
            width=spec.width,
            batch_norm=spec.batch_norm,
            upsampling=spec.upsampling,
            seed=spec.seed,
        )
        predictions = TRUNKS[spec.network](layers, images, spec.classes, spec.units)
        boxes, scores = _assemble(tf, predictions, spec)
        found = postprocess(
            tf,
            boxes,
            scores,
            shapes,
            detections=spec.detections,
            score_threshold=spec.score_threshold,
        )
        for name, value in zip(OUTPUTS, found, strict=True):
            tf.identity(value, name=name)
    # As freezing does: what no output needs is left out.
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), OUTPUTS)
    if not spec.add_v2:
        for node in graph_def.node:
            node.op = "Add" if node.op == "AddV2" else node.op
    return graph_def


@contextmanager
def _tf1_control_flow(tf: Any) -> Iterator[None]:
    """Build loops of Enter, Merge, Switch and Exit, not functions, within the block."""
    before = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if before:
            tf.compat.v1.enable_control_flow_v2()


def _preprocess(tf: Any, images: Any, size: int) -> tuple[Any, Any]:
    """Resize image by image in a loop, then normalise."""

    def resize(image: Any) -> tuple[Any, Any]:
        with tf.name_scope("ResizeImage"):
            resized = tf.compat.v1.image.resize_images(image, [size, size])
            return resized, tf.constant([size, size, 3])

    with tf.name_scope("Preprocessor"):
        known = tf.compat.v1.assert_greater(tf.shape(images)[1], 0, message="empty image")
        with tf.control_dependencies([known]):
            images = tf.identity(images)
        kinds = (tf.float32, tf.int32)
        resized, shapes = tf.compat.v1.map_fn(resize, images, dtype=kinds, parallel_iterations=32)
        scaled = tf.multiply(resized, 2.0 / 255.0, name="mul")
        return tf.subtract(scaled, 1.0, name="sub"), shapes


def _assemble(tf: Any, predictions: list[Prediction], spec: DetectorSpec) -> tuple[Any, Any]:
    """Join the levels and decode; returns boxes [b, anchors, 4] and scores [b, anchors, c]."""
    batch = tf.shape(predictions[0].boxes)[0]
    encoded, logits, anchors = [], [], []
    for level, found in enumerate(predictions):
        with tf.name_scope(f"BoxPredictor_{level}"):
            shape = tf.stack([batch, -1, 1, 4])
            encoded.append(tf.reshape(found.boxes, shape, name="Reshape"))
            shape = tf.stack([batch, -1, spec.classes + 1])
            logits.append(tf.reshape(found.classes, shape, name="Reshape_1"))
        with tf.name_scope("MultipleGridAnchorGenerator/"):
            _, height, width, _ = found.boxes.shape.as_list()
            anchors.append(grid_anchors(tf, (height, width), found.scales, found.ratios))
    joined = tf.concat(encoded, 1, name="concat")
    scores = tf.concat(logits, 1, name="concat_1")
    with tf.name_scope("Postprocessor"):
        boxes = decode(tf, tf.squeeze(joined, 2), tf.concat(anchors, 0), batch)
        scores = tf.slice(tf.sigmoid(scores, name="convert_scores"), [0, 0, 1], [-1, -1, -1])
    return boxes, scores
