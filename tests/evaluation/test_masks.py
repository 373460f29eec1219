import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lpot_examples.evaluation.masks import THRESHOLD, encode_masks, paste

SIZE = (90, 60)  # width, height


def whole(mask, box, size=SIZE):
    rows, columns, part = paste(mask, box, size)
    image = np.zeros((size[1], size[0]), bool)
    image[rows, columns] = part
    return image


def by_tensorflow(mask, box, size=SIZE):
    """What the networks' own evaluation does: the image, cropped out of the mask."""
    import tensorflow as tf

    top, left, bottom, right = box
    high, wide = max(bottom - top, 1e-4), max(right - left, 1e-4)
    seen = [[-top / high, -left / wide, (1 - top) / high, (1 - left) / wide]]
    cropped = tf.image.crop_and_resize(
        mask[None, ..., None].astype(np.float32), seen, [0], [size[1], size[0]]
    )
    return cropped.numpy()[0, ..., 0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(15, 15), (7, 33)])
def test_pasting_is_that_of_the_networks_own_evaluation(seed, shape):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape)
    corner, side = rng.uniform(-0.2, 0.7, 2), rng.uniform(0.01, 0.6, 2)
    box = [*corner, *(corner + side)]
    expected = by_tensorflow(mask, box)
    clear = np.abs(expected - THRESHOLD) > 1e-3  # float32 there, float64 here
    # Pixels on the very edge of the box may fall to either side of it.
    differ = (whole(mask, box) != (expected > THRESHOLD)) & clear
    assert differ.sum() <= 2
    assert clear.mean() > 0.9


def test_a_full_mask_covers_its_box():
    image = whole(np.ones((15, 15)), [0.0, 0.5, 0.5, 1.0])
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max()) == (0, 29)
    assert (columns.min(), columns.max()) == (45, 89)
    assert image[:30, 45:].all()


@pytest.mark.parametrize(
    "box", [[0.5, 0.5, 0.5, 0.5], [1.2, 0.1, 1.4, 0.4], [0.3, 0.9, 0.2, 0.1], [-3, -3, -2, -2]]
)
def test_boxes_without_area_or_outside_cover_nothing(box):
    assert whole(np.ones((15, 15)), box).sum() <= 1


def test_nan_belongs_to_no_object():
    assert not whole(np.full((15, 15), np.nan), [0, 0, 1, 1]).any()


def test_run_lengths_are_those_of_the_pasted_masks():
    rng = np.random.default_rng(3)
    masks, boxes = rng.random((3, 15, 15)), [[0, 0, 0.5, 0.5], [0.2, 0.3, 0.9, 1], [0, 0, 1, 1]]
    encoded = encode_masks(masks, np.array(boxes), SIZE)
    for mask, box, run_lengths in zip(masks, boxes, encoded, strict=True):
        assert run_lengths["size"] == [60, 90]
        assert np.array_equal(coco_mask.decode(run_lengths), whole(mask, box))
    assert encode_masks(masks[:0], np.empty((0, 4)), SIZE) == ()
