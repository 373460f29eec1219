"""ssd_shapes scored by COCO mAP on rendered validation scenes."""

from __future__ import annotations

from pathlib import Path

from decode import decode
from preprocess import scene_batches

from lpot_examples.data.shapes import coco_annotations, render_split
from lpot_examples.evaluation.detection import DetectionEvaluation

VALIDATION_SCENES = 256


def evaluate_split(split: str, scenes: int, batch_size: int) -> DetectionEvaluation:
    """Return the evaluation of the first scenes of a split of `lpot_examples.data.shapes`."""
    rendered = render_split(split, scenes)
    return DetectionEvaluation(
        scene_batches(rendered, batch_size),
        ground_truth=coco_annotations(rendered),
        decode=decode,
    )


def build(
    *, dataset_location: Path | None = None, batch_size: int = 32, limit: int | None = None
) -> DetectionEvaluation:
    """Return the evaluation of the 256 validation scenes, or of the first ``limit`` of them.

    The scenes are rendered, so ``dataset_location`` is not needed.
    """
    del dataset_location
    scenes = VALIDATION_SCENES if limit is None else min(limit, VALIDATION_SCENES)
    return evaluate_split("validation", scenes, batch_size)
