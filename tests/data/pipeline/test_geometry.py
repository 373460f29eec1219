import numpy as np
import pytest

from lpot_examples.data.pipeline import geometry
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.data.pipeline.transform import Context
from lpot_examples.errors import DataError, SpecError


def label(*boxes):
    count = len(boxes)
    return DetectionLabel(
        image_id=1,
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        classes=np.ones(count, np.int64),
        texts=("cat",) * count,
        is_crowd=np.zeros(count, bool),
        difficult=np.zeros(count, bool),
        area=np.ones(count, np.float32),
        size=(20, 30),
    )


def make(name, **arguments):
    return getattr(geometry, name).read(arguments, where=name)


def test_resize(pixels):
    image, same = make("Resize", size=[8, 12])((pixels(1), "label"))
    assert image.shape == (8, 12, 3) and image.dtype == np.float32 and same == "label"
    assert make("Resize", size=8, interpolation="nearest")((pixels(1), 0))[0].dtype == np.uint8


def test_center_crop(pixels):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1)
    found, moved = make("CenterCrop", size=[10, 15])((image, label((0, 0, 1, 1), (0, 0, 0.1, 0.1))))
    assert np.array_equal(found, tf.image.crop_to_bounding_box(image, 5, 7, 10, 15).numpy())
    assert np.allclose(moved.boxes, [[0, 0, 1, 1]])
    whole, untouched = make("CenterCrop", size=[20, 30])((image, label((0, 0, 0.5, 0.5))))
    assert np.array_equal(whole, image) and np.allclose(untouched.boxes, [[0, 0, 0.5, 0.5]])
    with pytest.raises(DataError, match=r"at least 21x5 pixels .* this one has 20x30.*Resize"):
        make("CenterCrop", size=[21, 5])((image, 0))


def test_padded_center_crop(pixels):
    image = pixels(1, 64, 100)
    found, _ = make("PaddedCenterCrop", size=224, crop_padding=32)((image, 0))
    side = int(224 / 256 * 64)
    assert np.array_equal(found, image[4 : 4 + side, 22 : 22 + side])
    with pytest.raises(SpecError, match=r"PaddedCenterCrop.size must be a square; got \[3, 4\]"):
        make("PaddedCenterCrop", size=[3, 4])


def test_random_crop_is_a_part_and_repeats(pixels):
    image = pixels(1)
    crop = make("RandomCrop", size=8)
    found = {seed: crop.apply(image, 0, Context(seed=(seed,)))[0].tobytes() for seed in range(20)}
    assert len(set(found.values())) > 10
    for seed, data in found.items():
        again, _ = crop.apply(image, 0, Context(seed=(seed,)))
        assert again.tobytes() == data
        places = np.argwhere((image == again[0, 0]).all(axis=-1))
        assert any(np.array_equal(image[y : y + 8, x : x + 8], again) for y, x in places)


def test_random_resized_crop_stays_within_its_ranges(pixels):
    crop = make("RandomResizedCrop", size=[8, 6], scale=[0.2, 0.5], ratio=[0.5, 2])
    for seed in range(50):
        _, _, down, across = crop._part(40, 60, np.random.default_rng(seed))
        assert 0.15 < down * across / 2400 < 0.55 and 0.4 < across / down < 2.4
    assert crop((pixels(1), 0))[0].shape == (8, 6, 3)
    # No part of that aspect has the area: the middle is taken.
    wide = make("RandomResizedCrop", size=4, scale=[1, 1], ratio=[3, 4])
    top, left, down, across = wide._part(40, 40, np.random.default_rng(0))
    assert (down, across) == (13, 40) and (top, left) == (13, 0)


@pytest.mark.parametrize(
    ("scale", "message"),
    [([1, 0.5], "smaller first"), ([0.5], "two positive numbers"), ("a", "finite number")],
)
def test_random_resized_crop_checks_its_ranges(scale, message):
    with pytest.raises(SpecError, match=message):
        make("RandomResizedCrop", size=4, scale=scale)


@pytest.mark.parametrize(
    ("name", "axis", "box"),
    [
        ("RandomHorizontalFlip", 1, [0.1, 0.4, 0.5, 0.8]),
        ("RandomVerticalFlip", 0, [0.5, 0.2, 0.9, 0.6]),
    ],
)
def test_flips_half_of_the_images_with_their_boxes(pixels, name, axis, box):
    image, flip = pixels(1), make(name)
    flipped = 0
    for seed in range(200):
        found, moved = flip.apply(image, label((0.1, 0.2, 0.5, 0.6)), Context(seed=(seed,)))
        if np.array_equal(found, image):
            assert np.allclose(moved.boxes, [[0.1, 0.2, 0.5, 0.6]])
        else:
            flipped += 1
            assert np.array_equal(found, np.flip(image, axis))
            assert np.allclose(moved.boxes, [box])
    assert 70 < flipped < 130


def test_crop_to_bounding_box(pixels):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1)
    crop = make(
        "CropToBoundingBox", offset_height=2, offset_width=3, target_height=10, target_width=20
    )
    wanted = tf.image.crop_to_bounding_box(image, 2, 3, 10, 20).numpy()
    assert np.array_equal(crop((image, 0))[0], wanted)
    with pytest.raises(DataError, match=r"rows 2 to 12 and columns 3 to 23 .* has 11x30 pixels"):
        crop((image[:11], 0))


def test_crop_resize(pixels):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1)
    crop = make("CropResize", x=3, y=2, width=20, height=10, size=[7, 9])
    wanted = tf.image.resize(tf.image.crop_to_bounding_box(image, 2, 3, 10, 20), (7, 9)).numpy()
    assert np.array_equal(crop((image, 0))[0], wanted)


@pytest.mark.parametrize(
    ("shape", "options", "wanted"),
    [
        ((100, 200), {"min_dim": 200, "max_dim": 1000}, (200, 400)),
        ((100, 200), {"min_dim": 200, "max_dim": 300}, (150, 300)),
        ((100, 200), {"min_dim": 50, "max_dim": 1000}, (100, 200)),  # never smaller for min_dim
        ((100, 200), {"min_dim": 0, "max_dim": 100}, (50, 100)),
        ((37, 53), {"min_dim": 100, "max_dim": 0}, (100, 143)),
    ],
)
def test_resize_with_ratio(pixels, shape, options, wanted):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1, *shape)
    found, _ = make("ResizeWithRatio", **options)((image, 0))
    assert found.shape[:2] == wanted
    assert np.allclose(found, tf.image.resize(image[None], wanted).numpy()[0], atol=1e-4)


def test_resize_with_ratio_pads_and_moves_boxes(pixels):
    image = pixels(1, 20, 40)
    pad = make("ResizeWithRatio", min_dim=40, max_dim=40, padding=True, constant_value=128)
    found, moved = pad((image, label((0, 0, 1, 1), (0.5, 0.25, 1, 0.5))))
    assert found.shape == (40, 40, 3)
    assert np.array_equal(found[10:30], image.astype(np.float32))
    assert (found[:10] == 128).all() and (found[30:] == 128).all()
    assert np.allclose(moved.boxes, [[0.25, 0, 0.75, 1], [0.5, 0.25, 0.75, 0.5]])
    assert np.allclose(moved.area, 1)
    with pytest.raises(DataError, match="max_dim is 0"):
        make("ResizeWithRatio", max_dim=0, padding=True)((image, 0))
