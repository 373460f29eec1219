"""The part of the synthetic detectors behind the convolutions: anchors, decoding, suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# By which the published networks divide (y, x, height, width) before they decode.
_VARIANCES = (10.0, 10.0, 5.0, 5.0)
_IOU_THRESHOLD = 0.6


def grid_anchors(
    tf: Any, cells: tuple[Any, Any], scales: Sequence[float], ratios: Sequence[float]
) -> Any:
    """Add the anchors of one feature map, computed in the graph as in the published files.

    Args:
        tf: The ``tensorflow`` module.
        cells: Height and width of the map; integers or scalar tensors.
        scales: Sizes relative to the image.
        ratios: Aspect ratios.

    Returns:
        A tensor [cells · scales · ratios, 4] of corners (ymin, xmin, ymax, xmax).
    """
    with tf.name_scope("GridAnchors"):
        grid_scales, grid_ratios = tf.meshgrid(tf.constant(scales), tf.constant(ratios))
        flat_scales = tf.reshape(grid_scales, [-1])
        roots = tf.sqrt(tf.reshape(grid_ratios, [-1]))
        heights, widths = flat_scales / roots, flat_scales * roots
        rows, columns = (
            float(size) if isinstance(size, int) else tf.cast(size, tf.float32) for size in cells
        )
        y = (tf.cast(tf.range(cells[0]), tf.float32) + 0.5) / rows
        x = (tf.cast(tf.range(cells[1]), tf.float32) + 0.5) / columns
        x, y = tf.meshgrid(x, y)
        all_heights, all_y = tf.meshgrid(heights, tf.reshape(y, [-1]))
        all_widths, all_x = tf.meshgrid(widths, tf.reshape(x, [-1]))
        centers = tf.reshape(tf.stack([all_y, all_x], 2), [-1, 2])
        sizes = tf.reshape(tf.stack([all_heights, all_widths], 2), [-1, 2])
        return tf.concat([centers - 0.5 * sizes, centers + 0.5 * sizes], 1)


def decode(tf: Any, encoded: Any, anchors: Any, batch: Any) -> Any:
    """Add the decoding of boxes relative to anchors.

    Args:
        tf: The ``tensorflow`` module.
        encoded: Tensor [batch, anchors, 4].
        anchors: Tensor [anchors, 4] of corners, or [batch, anchors, 4] where images have their own.
        batch: Scalar tensor.

    Returns:
        A tensor [batch, anchors, 4] of corners.
    """
    with tf.name_scope("Decode"):
        if len(anchors.shape) == 2:
            anchors = tf.tile(tf.expand_dims(anchors, 0), tf.stack([batch, 1, 1]))
        tiled = tf.reshape(anchors, [-1, 4])
        y0, x0, y1, x1 = tf.unstack(tf.transpose(tiled), num=4)
        height, width = y1 - y0, x1 - x0
        y, x = y0 + height / 2.0, x0 + width / 2.0
        codes = tf.unstack(tf.transpose(tf.reshape(encoded, [-1, 4])), num=4)
        ty, tx, th, tw = (code / scale for code, scale in zip(codes, _VARIANCES, strict=True))
        w, h = tf.exp(tw) * width, tf.exp(th) * height
        cy, cx = ty * height + y, tx * width + x
        corners = [cy - h / 2.0, cx - w / 2.0, cy + h / 2.0, cx + w / 2.0]
        return tf.reshape(tf.transpose(tf.stack(corners)), tf.stack([batch, -1, 4]))


def postprocess(
    tf: Any,
    boxes: Any,
    scores: Any,
    shapes: Any,
    *,
    detections: int,
    score_threshold: float,
    scope: str = "Postprocessor",
) -> tuple[Any, ...]:
    """Add the per-image, per-class suppression: a map in control flow.

    Args:
        tf: The ``tensorflow`` module.
        boxes: Tensor [batch, anchors, 4].
        scores: Tensor [batch, anchors, classes].
        shapes: int32 tensor [batch, 3] of the resized images.
        detections: Boxes kept per class and per image.
        score_threshold: Boxes below are dropped first.
        scope: What its nodes are named after.

    Returns:
        Numbers, boxes, scores and classes of detections, padded with zeros.
    """
    classes = int(scores.shape[-1])

    def one_image(arguments: Any) -> Any:
        image_boxes, image_scores, shape = arguments
        suppression = _Suppression(tf, image_boxes, image_scores, detections, score_threshold)
        parts = [suppression.of_class(index) for index in range(classes)]
        found = [tf.concat(group, 0) for group in zip(*parts, strict=True)]
        return _sorted_and_padded(tf, found, detections, shape)

    kinds = (tf.float32,) * 4
    with tf.name_scope(f"{scope}/"), tf.name_scope("BatchMultiClassNonMaxSuppression"):
        arguments = (boxes, scores, tf.cast(shapes, tf.float32))
        return tuple(tf.compat.v1.map_fn(one_image, arguments, dtype=kinds))


class _Suppression:
    """Suppression of one image's boxes, class by class."""

    def __init__(self, tf: Any, boxes: Any, scores: Any, limit: int, threshold: float) -> None:
        self._tf = tf
        self._boxes = boxes
        self._scores = scores
        self._limit = limit
        self._threshold = threshold

    def of_class(self, index: int) -> tuple[Any, Any, Any]:
        """Return the boxes, scores and labels of one class."""
        tf = self._tf
        name = "MultiClassNonMaxSuppression" if index == 0 else None
        with tf.name_scope(name or f"MultiClassNonMaxSuppression_{index}"):
            number = tf.shape(self._scores)[0]
            scores = tf.slice(self._scores, [0, index], tf.stack([number, 1]))
            boxes, scores = self._filtered(self._boxes, tf.reshape(scores, [-1]))
            boxes, scores = self._pruned(boxes, scores)
            limit = tf.minimum(self._limit, tf.shape(boxes)[0])
            # Both forms are found in published files.
            if index % 2:
                kept = tf.raw_ops.NonMaxSuppressionV2(
                    boxes=boxes, scores=scores, max_output_size=limit, iou_threshold=_IOU_THRESHOLD
                )
            else:
                kept = tf.raw_ops.NonMaxSuppressionV3(
                    boxes=boxes,
                    scores=scores,
                    max_output_size=limit,
                    iou_threshold=_IOU_THRESHOLD,
                    score_threshold=float("-inf"),
                )
            boxes, scores = gather(tf, boxes, kept), gather(tf, scores, kept)
            labels = tf.zeros_like(scores) + float(index)
            boxes = self._in_window(boxes)
            return _best(tf, (boxes, scores, labels), self._limit)

    def _in_window(self, boxes: Any) -> Any:
        """Express boxes relative to a window, here the whole image."""
        tf = self._tf
        with tf.name_scope("ChangeCoordinateFrame"):
            top, left, bottom, right = tf.unstack(tf.constant([0.0, 0.0, 1.0, 1.0]))
            height, width = bottom - top, right - left
            y0, x0, y1, x1 = tf.split(boxes - tf.stack([top, left, top, left]), 4, axis=1)
            return tf.concat([y0 / height, x0 / width, y1 / height, x1 / width], 1)

    def _filtered(self, boxes: Any, scores: Any) -> tuple[Any, Any]:
        tf = self._tf
        with tf.name_scope("FilterGreaterThan"):
            same = tf.equal(tf.shape(boxes)[0], tf.shape(scores)[0])
            data = ["Incorrect field size: actual vs expected", tf.shape(scores)[0]]
            with tf.control_dependencies([tf.compat.v1.Assert(same, data)]):
                high = tf.where(tf.greater(scores, self._threshold))
            index = tf.cast(tf.reshape(high, [-1]), tf.int32)
            return gather(tf, boxes, index), gather(tf, scores, index)

    def _pruned(self, boxes: Any, scores: Any) -> tuple[Any, Any]:
        """Clip boxes to the window and drop those of no area."""
        tf = self._tf
        with tf.name_scope("ClipToWindow"):
            sides = tf.split(boxes, 4, axis=1)
            low, high = tf.zeros([]), tf.ones([])
            clipped = [tf.maximum(tf.minimum(side, high), low) for side in sides]
            boxes = tf.concat(clipped, 1)
            rank = tf.equal(tf.rank(boxes), 2)
            with tf.control_dependencies([tf.compat.v1.Assert(rank, ["boxes of wrong rank"])]):
                boxes = tf.identity(boxes)
            with tf.name_scope("Area"):
                y0, x0, y1, x1 = tf.split(boxes, 4, axis=1)
                areas = tf.squeeze((y1 - y0) * (x1 - x0), [1])
            index = tf.cast(tf.reshape(tf.where(tf.greater(areas, 0.0)), [-1]), tf.int32)
            return gather(tf, boxes, index), gather(tf, scores, index)


def gather(tf: Any, values: Any, index: Any) -> Any:
    """Add the Gather of one input less that old files have."""
    return tf.raw_ops.Gather(params=values, indices=index)


def _best(tf: Any, fields: Sequence[Any], limit: int) -> tuple[Any, ...]:
    """Return (boxes, scores, labels) of the best boxes, sorted by score."""
    scores = fields[1]
    with tf.name_scope("SortByField"):
        number = tf.shape(scores)[0]
        same = tf.equal(tf.shape(fields[0])[0], number)
        data = ["Incorrect field size: actual vs expected", tf.shape(fields[0])[0], number]
        with tf.control_dependencies([tf.compat.v1.Assert(same, data)]):
            _, order = tf.nn.top_k(scores, tf.minimum(limit, number))
        return tuple(gather(tf, field, order) for field in fields)


def _sorted_and_padded(tf: Any, found: list[Any], limit: int, shape: Any) -> tuple[Any, ...]:
    """Return number, boxes, scores and labels of the best boxes, padded to ``limit``."""
    positive = tf.greater(tf.reduce_prod(shape), 0.0)
    with tf.control_dependencies([tf.compat.v1.Assert(positive, ["empty image"])]):
        boxes, scores, labels = _best(tf, found, limit)
    with tf.name_scope("PadOrClip"):
        count = tf.shape(scores)[0]
        missing = limit - count
        boxes = tf.pad(boxes, tf.stack([tf.stack([0, missing]), tf.constant([0, 0])]))
        scores, labels = (tf.pad(field, [[0, missing]]) for field in (scores, labels))
        sized = [tf.reshape(boxes, [limit, 4]), *(tf.reshape(f, [limit]) for f in (scores, labels))]
    return tf.cast(count, tf.float32), *sized
