import pickle

import numpy as np
import pytest

from lpot_examples.data.pipeline.labels import DetectionBatch, DetectionLabel, identity


def label(**changes):
    values = {
        "image_id": 139,
        "boxes": np.array([[0.0, 0.0, 0.5, 0.5], [0.6, 0.6, 1.0, 1.0]], np.float32),
        "classes": np.array([1, 18]),
        "texts": ("person", "dog"),
        "is_crowd": np.array([False, True]),
        "difficult": np.array([False, False]),
        "area": np.array([10.0, 20.0], np.float32),
        "size": (48, 64),
    }
    return DetectionLabel(**{**values, **changes})


def test_unpacks_as_lpots_tuple():
    boxes, texts, classes, image_id = label()
    assert boxes.shape == (2, 4) and classes.tolist() == [1, 18]
    assert list(texts) == [b"person", b"dog"]
    assert image_id == b"139"


def test_a_part_of_the_image():
    part = label().windowed((0.25, 0.0, 0.75, 1.0))
    assert len(part) == 2
    assert np.allclose(part.boxes, [[0.0, 0.0, 0.5, 0.5], [0.7, 0.6, 1.0, 1.0]])
    assert np.allclose(part.area, [5.0, 20 * (0.15 / 0.4)])
    left = label().windowed((0.0, 0.0, 0.55, 0.55))
    assert left.texts == ("person",) and left.classes.tolist() == [1]
    assert left.is_crowd.tolist() == [False] and left.size == (48, 64)


def test_the_image_within_a_larger_one():
    padded = label().windowed((-0.5, 0.0, 1.5, 1.0))
    assert np.allclose(padded.boxes, [[0.25, 0.0, 0.5, 0.5], [0.55, 0.6, 0.75, 1.0]])
    assert np.allclose(padded.area, [10, 20])


def test_a_box_without_area_stays():
    flat = label(boxes=np.array([[0.2, 0.2, 0.2, 0.4], [0, 0, 1, 1]], np.float32))
    assert len(flat.windowed((0, 0, 1, 0.5))) == 2


def test_mirrored():
    wide = label().mirrored(horizontally=True)
    assert np.allclose(wide.boxes, [[0, 0.5, 0.5, 1], [0.6, 0, 1, 0.4]])
    high = label().mirrored(horizontally=False)
    assert np.allclose(high.boxes, [[0.5, 0, 1, 0.5], [0, 0.6, 0.4, 1]])
    assert np.allclose(wide.mirrored(horizontally=True).boxes, label().boxes)


@pytest.mark.parametrize("part", ["classes", "texts"])
def test_numbers_or_names_may_be_missing(part):
    empty = {"classes": np.zeros(0, np.int64), "texts": ()}
    cut = label(**{part: empty[part]}).windowed((0, 0, 0.55, 0.55))
    assert len(cut) == 1 and not len(getattr(cut, part))


def test_a_batch_unpacks_by_parts_and_keeps_its_images():
    images = [label(), label(image_id="b.jpg", boxes=np.zeros((0, 4), np.float32))]
    batch = pickle.loads(pickle.dumps(DetectionBatch(images)))
    boxes, texts, classes, ids = batch
    assert [len(one) for one in boxes] == [2, 0]
    assert ids == [b"139", b"b.jpg"] and list(texts[0]) == [b"person", b"dog"]
    assert batch.extras["height"] == [48, 48] and len(classes) == 2
    assert batch.images[1].image_id == "b.jpg"


def test_ids_are_numbers_where_they_are_written_so():
    assert identity("000139") == 139
    assert identity("2007_000027") == "2007_000027"
    assert identity("²") == "²"
