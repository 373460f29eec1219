import hashlib
import itertools
import json

import numpy as np
import pytest

from lpot_examples.data.shapes import (
    CLASSES,
    IMAGE_SIZE,
    SPLITS,
    coco_annotations,
    render_scene,
    render_split,
    split_seeds,
)
from lpot_examples.errors import DataError

PIXELS = "f996142e276e0114f9c9c7797611d1e589cf406e4252da0082db204578b20c39"
TABLE = "2e8a81245ebfb71f250f81b2aca43ac1bf5e8a613f3091e5da8524613876b554"


@pytest.fixture(scope="module")
def scenes():
    return render_split("dev", 60)


def test_scenes_are_the_same_bit_for_bit_everywhere():
    # The shipped network and its expected score belong to exactly these pixels.
    scenes = render_split("validation", 4)
    pixels = hashlib.sha256(b"".join(scene.image.tobytes() for scene in scenes)).hexdigest()
    table = json.dumps(coco_annotations(scenes), sort_keys=True)
    assert pixels == PIXELS
    assert hashlib.sha256(table.encode()).hexdigest() == TABLE


def test_a_seed_renders_the_same_scene_again(scenes):
    again = render_scene(scenes[7].seed)
    assert np.array_equal(again.image, scenes[7].image)
    assert np.array_equal(again.boxes, scenes[7].boxes)
    assert not np.array_equal(scenes[7].image, scenes[8].image)


def test_splits_share_no_seed():
    for first, second in itertools.combinations(SPLITS.values(), 2):
        assert not range(max(first[0], second[0]), min(first[-1], second[-1]) + 1)
    assert list(split_seeds("validation", 2)) == list(SPLITS["validation"][:2])


def test_scenes_are_what_they_say(scenes):
    for scene in scenes:
        assert scene.image.dtype == np.uint8
        assert scene.image.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
        assert 1 <= len(scene.labels) == len(scene.boxes) == len(scene.areas)
        far = scene.boxes[:, :2] + scene.boxes[:, 2:]
        assert scene.boxes.min() >= 0 and far.max() <= IMAGE_SIZE
        assert (scene.areas <= scene.boxes[:, 2:].prod(axis=1)).all()
    assert set(np.concatenate([scene.labels for scene in scenes])) == set(range(len(CLASSES)))


def test_a_shape_differs_from_what_is_behind_it(scenes):
    """A box's rim and its content have different colours, or annotations and pixels disagree."""
    contrasts = []
    for scene in scenes:
        for x, y, width, height in scene.boxes.astype(int):
            if width > 20 and height > 20:
                inside = scene.image[y + 5 : y + height - 5, x + 5 : x + width - 5]
                box = scene.image[max(0, y - 4) : y + height + 4, max(0, x - 4) : x + width + 4]
                rim = box.sum((0, 1), dtype=float) - inside.sum((0, 1), dtype=float)
                rim /= box[..., 0].size - inside[..., 0].size
                contrasts.append(np.abs(inside.mean((0, 1)) - rim).sum())
    assert np.median(contrasts) > 40


def test_annotations_are_coco(scenes):
    table = coco_annotations(scenes)
    assert [row["id"] for row in table["images"]] == [scene.seed for scene in scenes]
    assert [row["id"] for row in table["categories"]] == list(range(1, 9))
    assert len(table["annotations"]) == sum(len(scene.labels) for scene in scenes)
    first = table["annotations"][0]
    assert first["image_id"] == scenes[0].seed
    assert first["category_id"] == scenes[0].labels[0] + 1
    assert first["bbox"] == scenes[0].boxes[0].tolist()


@pytest.mark.parametrize(
    ("split", "count", "message"),
    [
        ("valdation", 3, "Did you mean 'validation'"),
        ("dev", 0, "0 were asked for"),
        ("dev", 1_000_001, "has 1000000 scenes"),
    ],
)
def test_a_split_that_does_not_exist(split, count, message):
    with pytest.raises(DataError, match=message):
        render_split(split, count)
