import numpy as np
import pytest

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.ssd import decode_boxes, square_anchors, ssd_detections

ANCHORS = square_anchors(64, ((4, (16.0, 24.0)), (2, (32.0,))))


def outputs(images=1):
    return (
        np.full((images, len(ANCHORS), 3), -9, np.float32),
        np.zeros((images, len(ANCHORS), 4), np.float32),
    )


def test_anchors_follow_the_layout_of_convolutional_heads():
    assert ANCHORS.shape == (4 * 4 * 2 + 2 * 2, 4)
    assert ANCHORS[:3].tolist() == [[8, 8, 16, 16], [8, 8, 24, 24], [24, 8, 16, 16]]
    assert ANCHORS[32:34].tolist() == [[16, 16, 32, 32], [48, 16, 32, 32]]


def test_decoding_inverts_the_encoding_of_the_paper():
    rng = np.random.default_rng(5)
    corner, side = rng.uniform(0, 40, (len(ANCHORS), 2)), rng.uniform(4, 30, (len(ANCHORS), 2))
    centre_offset = (corner + side / 2 - ANCHORS[:, :2]) / ANCHORS[:, 2:] / 0.1
    size_offset = np.log(side / ANCHORS[:, 2:]) / 0.2
    offsets = np.concatenate([centre_offset, size_offset], axis=1).astype(np.float32)
    boxes = decode_boxes(offsets, ANCHORS)
    assert boxes == pytest.approx(np.concatenate([corner, corner + side], axis=1), abs=1e-4)


def test_detections_of_each_image():
    logits, offsets = outputs(2)
    logits[1, 34, 2], logits[1, 0, 1] = 2, 0
    offsets[1, 34, 0] = 20  # centre (16 + 2 * 32, 48): partly outside
    nothing, found = ssd_detections((logits, offsets), ANCHORS, classes=3, image_size=64)
    assert len(nothing.scores) == 0
    assert found.scores == pytest.approx([1 / (1 + np.exp(-2)), 0.5])
    assert found.categories.tolist() == [3, 2]
    assert found.boxes.tolist() == [[64, 32, 64, 64], [0, 0, 16, 16]]


def test_only_overlaps_within_a_class_are_suppressed():
    logits, offsets = outputs()
    logits[0, 0, 0], logits[0, 1, 0], logits[0, 1, 1] = 3, 2, 1
    offsets[0, 1, 2:] = np.log(16 / 24) / 0.2  # now both anchors mean the same box
    (found,) = ssd_detections((logits, offsets), ANCHORS, classes=3, image_size=64)
    assert found.categories.tolist() == [1, 2]


def test_extreme_and_broken_values_do_no_harm():
    logits, offsets = outputs()
    logits[0, 0, 0], logits[0, 2, 0], offsets[0, 0], offsets[0, 2] = 1e9, 1e9, 1e9, np.nan
    (found,) = ssd_detections((logits, offsets), ANCHORS, classes=3, image_size=64)
    assert np.isfinite(found.boxes).all()
    assert found.scores.tolist() == [1.0]


@pytest.mark.parametrize(
    "output",
    [
        outputs()[0],
        outputs()[::-1],
        (outputs(2)[0], outputs(1)[1]),
        (outputs()[0][..., :2], outputs()[1]),
        (*outputs(), 0),
    ],
)
def test_outputs_that_do_not_fit_are_an_error(output):
    with pytest.raises(EvaluationError, match=r"\[batch, 36, 3\] and box offsets \[batch, 36, 4\]"):
        ssd_detections(output, ANCHORS, classes=3, image_size=64)
