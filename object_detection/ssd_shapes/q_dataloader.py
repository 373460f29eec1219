"""Calibration batches of ssd_shapes: rendered scenes that no training or validation uses."""

from __future__ import annotations

from pathlib import Path

from preprocess import scene_batches

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.data.shapes import render_split

CALIBRATION_SCENES = 96


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> ArrayBatches:
    """Return the loader; the scenes are rendered, so ``dataset_location`` is not needed."""
    del dataset_location
    return scene_batches(render_split("calibration", CALIBRATION_SCENES), batch_size)
