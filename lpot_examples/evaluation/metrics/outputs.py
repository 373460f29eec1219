"""Which of a detector's outputs are boxes, scores and classes, and what they say of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.detection import Detections
from lpot_examples.evaluation.metrics.arguments import ArgumentError

_NAMED = {"num_detections": "num", "boxes": "boxes", "scores": "scores", "classes": "classes"}
_REQUIRED = ("boxes", "scores", "classes")


class OutputReader:
    """Reads a detector's outputs.

    Without a mapping the outputs are found by their names (``detection_boxes`` and the like), where
    these are known and tell them apart; else three are boxes, scores and classes, and four or more
    num_detections, boxes, scores and classes.

    Args:
        mapping: LPOT's ``output_index_mapping``: ``num_detections``, ``boxes``, ``scores`` and
            ``classes`` → the output's index; -1 where there is none.

    Raises:
        ArgumentError: If the mapping names something else or lacks one of the last three.
    """

    def __init__(self, mapping: Mapping[str, int] | None = None) -> None:
        self._given = None if mapping is None else _checked(mapping)
        self._named: dict[str, int] | None = None

    def expect(self, names: Sequence[str]) -> None:
        """Be told the outputs' names."""
        plain = [name.rsplit("/", 1)[-1].split(":")[0] for name in names]
        found: dict[str, int] = {}
        for part, word in _NAMED.items():
            places = [at for at, name in enumerate(plain) if word in name.lower()]
            if word != "num":  # such as raw_detection_boxes beside detection_boxes
                exact = [at for at in places if plain[at] == f"detection_{word}"]
                places = exact or places
            if len(places) == 1:
                found[part] = places[0]
        told_apart = len(set(found.values())) == len(found)
        self._named = found if told_apart and set(_REQUIRED) <= set(found) else None

    def __call__(self, preds: Any, images: int) -> list[Detections]:
        """Return what was found in each image; boxes are (ymin, xmin, ymax, xmax) fractions.

        Args:
            preds: A tuple of arrays, each with one entry for each image.
            images: How many there are.

        Raises:
            EvaluationError: If the outputs do not fit.
        """
        parts = self._parts(preds)
        boxes, scores, classes = (np.asarray(parts[name]) for name in _REQUIRED)
        if len(boxes) != images or boxes.ndim != 3 or boxes.shape[2] != 4:
            raise EvaluationError(
                f"mAP needs boxes [{images}, detections, 4] for this batch; the output taken for "
                f"them is {list(boxes.shape)}. Name the outputs in model.outputs in the order "
                "num_detections, boxes, scores, classes, or give output_index_mapping."
            )
        if scores.shape != boxes.shape[:2] or classes.shape != boxes.shape[:2]:
            raise EvaluationError(
                f"mAP needs scores and classes {list(boxes.shape[:2])}; the outputs taken for "
                f"them are {list(scores.shape)} and {list(classes.shape)}. Name the outputs in "
                "model.outputs in the order num_detections, boxes, scores, classes."
            )
        number = parts.get("num_detections")
        counts = np.full(images, boxes.shape[1])
        if number is not None:
            counts = np.asarray(number).reshape(-1)[:images].astype(np.int64)
        return [
            Detections(
                boxes=boxes[at, :count].astype(np.float64),
                scores=scores[at, :count].astype(np.float64),
                categories=_whole(classes[at, :count]),
            )
            for at, count in enumerate(counts)
        ]

    def _parts(self, preds: Any) -> dict[str, Any]:
        if not isinstance(preds, (tuple, list)):
            raise EvaluationError(
                "mAP needs the outputs (num_detections, boxes, scores, classes) or (boxes, scores, "
                f"classes); the model gave one, {list(np.shape(preds))}. Its detections have to be "
                "decoded in the graph; else write an eval_func."
            )
        order = self._given or self._named or _by_position(len(preds))
        missing = [name for name in _REQUIRED if order.get(name, -1) >= len(preds)]
        if not order or missing:
            raise EvaluationError(
                "mAP needs the outputs (num_detections, boxes, scores, classes) or (boxes, scores, "
                f"classes); the model gave {len(preds)}. Name them in model.outputs, or give "
                "output_index_mapping."
            )
        return {name: preds[at] for name, at in order.items() if at >= 0}


def _by_position(number: int) -> dict[str, int]:
    if number < len(_REQUIRED):
        return {}
    names = _REQUIRED if number == len(_REQUIRED) else tuple(_NAMED)
    return {name: at for at, name in enumerate(names)}


def _checked(mapping: Any) -> dict[str, int]:
    example = "{num_detections: 0, boxes: 1, scores: 2, classes: 3}"
    numbers = isinstance(mapping, Mapping) and all(
        isinstance(at, int) and not isinstance(at, bool) for at in mapping.values()
    )
    if not numbers or not set(_REQUIRED) <= set(mapping) <= set(_NAMED):
        raise ArgumentError(
            f"must map the outputs to their places, such as {example}; got {mapping!r}.",
            "output_index_mapping",
        )
    if any(mapping[name] < 0 for name in _REQUIRED):
        raise ArgumentError(
            f"must have boxes, scores and classes >= 0, such as {example}; got {mapping!r}.",
            "output_index_mapping",
        )
    return dict(mapping)


def _whole(classes: Any) -> Any:
    """Return class ids as integers; what is not finite becomes -1, a class of no one."""
    values = np.asarray(classes, dtype=np.float64)
    return np.where(np.isfinite(values), np.rint(values), -1).astype(np.int64)
