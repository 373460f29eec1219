"""Synthetic detectors in the form in which TF1's object detection networks were published.

    image_tensor uint8 [?, ?, ?, 3] ─► Preprocessor (a map in TF1 control flow)
        ─► backbone ─► box and class predictors, level by level ─► concat
        ─► decoded boxes, sigmoid scores ─► Postprocessor (a map; per-class suppression)
        ─► num_detections, detection_boxes, detection_scores, detection_classes

`detector_stages` draws the two-stage ones. They are frozen in the TF1 manner: every weight is a
``Const`` behind an ``Identity`` of the name ``.../read``; or they are written as variables. Weights
are random but damped, so that values neither explode nor vanish; what such a network detects means
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.testing.detector_boxes import decode, grid_anchors, postprocess
from lpot_examples.testing.detector_stages import TwoStageSpec, two_stage
from lpot_examples.testing.detector_trunks import TRUNKS, Layers, Prediction

INPUT = "image_tensor"
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
MASKS = "detection_masks"
# The tensors in front of the post-processing, in which int8 can be compared with fp32.
RAW_OUTPUTS = ("concat", "concat_1")
RAW_OUTPUTS_OF_TWO_STAGES = ("raw_boxes", "raw_scores")
TWO_STAGE = ("faster_rcnn", "mask_rcnn")


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """What to build.

    Attributes:
        network: ``ssd_resnet50_fpn``, ``ssd_mobilenet_v1`` or one of `TWO_STAGE`.
        size: Height and width that images are resized to; of two-stage networks, the shorter side.
        classes: Number of classes, each with its own suppression.
        width: Multiplier of all channel counts.
        units: Residual units of each of ResNet's four blocks.
        batch_norm: ``FusedBatchNorm``, ``FusedBatchNormV3``, or ``arithmetic`` (Mul, Sub, Add).
        upsampling: How the feature pyramid doubles a map: ``ones`` (Reshape, Mul by ones,
            Reshape), ``stack`` (Pack, Pack, Reshape), ``tile`` (Reshape, Tile, Reshape) or
            ``resize`` (ResizeNearestNeighbor).
        add_v2: Whether additions are ``AddV2``; older files have ``Add``.
        detections: Boxes kept per class and image.
        proposals: Boxes kept by the first stage of two-stage networks.
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
    proposals: int = 300
    score_threshold: float = 0.3
    seed: int = 0


FULL_SIZE = {
    "ssd_resnet50_fpn": DetectorSpec(),
    "ssd_mobilenet_v1": DetectorSpec(network="ssd_mobilenet_v1", size=300),
    "faster_rcnn_resnet101": DetectorSpec(network="faster_rcnn", size=600, units=(3, 4, 23, 3)),
    "mask_rcnn_resnet50": DetectorSpec(network="mask_rcnn", size=800, proposals=100),
}


def output_names(spec: DetectorSpec) -> tuple[str, ...]:
    """Return the names of a detector's outputs."""
    return (*OUTPUTS, MASKS) if spec.network == "mask_rcnn" else OUTPUTS


def build_detector(spec: DetectorSpec) -> Any:
    """Build a frozen detector.

    Args:
        spec: What to build.

    Returns:
        A ``GraphDef`` of input `INPUT` and the outputs of `output_names`, all float32: [batch],
        [batch, detections, 4], [batch, detections], [batch, detections] and the masks.
    """
    tf = import_tensorflow()
    with _tf1_control_flow(tf), tf.Graph().as_default() as graph:
        _add_detector(tf, spec, trainable=False)
    # As freezing does: what no output needs is left out.
    names = output_names(spec)
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), names)
    if not spec.add_v2:
        for node in graph_def.node:
            node.op = "Add" if node.op == "AddV2" else node.op
    return graph_def


def write_detector(spec: DetectorSpec, folder: Path) -> None:
    """Write the network of `build_detector` as it is before freezing, in two formats.

    Args:
        spec: What to build.
        folder: Gets a checkpoint ``model.ckpt`` and a TF1 SavedModel ``saved_model``, whose
            signature is that of the published ones.
    """
    tf = import_tensorflow()
    with _tf1_control_flow(tf), tf.Graph().as_default() as graph:
        _add_detector(tf, spec, trainable=True)
        tensors = {
            name: graph.get_tensor_by_name(f"{name}:0") for name in (INPUT, *output_names(spec))
        }
        signature = tf.compat.v1.saved_model.predict_signature_def(
            {"inputs": tensors.pop(INPUT)}, tensors
        )
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt"))
            builder = tf.compat.v1.saved_model.Builder(str(folder / "saved_model"))
            builder.add_meta_graph_and_variables(
                session, ["serve"], signature_def_map={"serving_default": signature}
            )
            builder.save()


def _add_detector(tf: Any, spec: DetectorSpec, *, trainable: bool) -> None:
    """Add a detector to the default graph."""
    image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], INPUT)
    layers = Layers(
        tf=tf,
        width=spec.width,
        batch_norm=spec.batch_norm,
        upsampling=spec.upsampling,
        seed=spec.seed,
        trainable=trainable,
    )
    floats = tf.cast(image, tf.float32, name="ToFloat")
    two_staged = spec.network in TWO_STAGE
    images, shapes = _preprocess(tf, floats, spec.size, keep_aspect=two_staged)
    if two_staged:
        stages = TwoStageSpec(
            classes=spec.classes,
            units=spec.units,
            proposals=spec.proposals,
            detections=spec.detections,
            score_threshold=spec.score_threshold,
            masks=spec.network == "mask_rcnn",
        )
        found = two_stage(layers, images, shapes, stages)
    else:
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
    for name, value in zip(output_names(spec), found, strict=True):
        tf.identity(value, name=name)


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


def _preprocess(tf: Any, images: Any, size: int, *, keep_aspect: bool) -> tuple[Any, Any]:
    """Resize image by image in a loop, then normalise."""

    def resize(image: Any) -> tuple[Any, Any]:
        with tf.name_scope("ResizeImage"):
            if keep_aspect:
                to = _scaled(tf, image, size)
                return tf.compat.v1.image.resize_images(image, to), tf.concat([to, [3]], 0)
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


def _scaled(tf: Any, image: Any, shorter: int) -> Any:
    """Return height and width of an image whose shorter side is to have a length."""
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    return tf.cast(tf.round(size * (shorter / tf.reduce_min(size))), tf.int32)


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
