"""COCO's segmentations as the PNG masks of records."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from lpot_examples.data.sources.annotated import Annotation
from lpot_examples.errors import DataError


def png_mask(item: Annotation, width: int, height: int) -> bytes:
    """Draw one object; return a PNG of ``width`` × ``height`` pixels, 1 on the object, 0 beside.

    Raises:
        DataError: If the object has no segmentation, or one that cannot be drawn.
    """
    import numpy as np
    from PIL import Image
    from pycocotools import mask

    segmentation: Any = item.segmentation
    if segmentation is None:
        raise DataError(f"{item.place} has no segmentation. Give COCO's own, or leave out --masks.")
    try:
        if isinstance(segmentation, list):
            runs = mask.merge(mask.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation["counts"], list):
            runs = mask.frPyObjects(segmentation, height, width)
        else:
            runs = segmentation
        pixels = np.asarray(mask.decode(runs), dtype=np.uint8)
    except Exception as error:  # pycocotools raises bare Exceptions
        raise DataError(
            f"{item.place} must have a segmentation of polygons or run lengths; it cannot be drawn "
            f"({error})."
        ) from None
    if pixels.shape != (height, width):
        raise DataError(
            f"{item.place} must have a segmentation of {width}x{height} pixels; it is of "
            f"{pixels.shape[1]}x{pixels.shape[0]}."
        )
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
