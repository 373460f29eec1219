import numpy as np
import pytest

from lpot_examples.data.pipeline.resize import resize

SIZES = [(7, 5), (20, 30), (33, 64), (1, 1), (20, 3), (40, 60), (19, 31)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_as_tensorflow(pixels, size, method, dtype):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1).astype(dtype)
    wanted = tf.image.resize(image[None].astype(dtype), size, method=method).numpy()[0]
    found = resize(image, size, method)
    assert found.shape == (*size, 3)
    assert found.dtype == wanted.dtype if method == "nearest" else np.float32
    tolerance = {"bilinear": 1e-4, "nearest": 0, "bicubic": 1e-3}[method]  # of 255
    assert np.abs(found.astype(np.float64) - wanted).max() <= tolerance


def test_bilinear_is_equal_to_the_last_bit(pixels):
    tf = pytest.importorskip("tensorflow")
    image = pixels(2, 48, 37)
    wanted = tf.image.resize(image[None], (30, 50)).numpy()[0]
    assert np.array_equal(resize(image, (30, 50)), wanted)


def test_area_is_the_mean_of_what_is_covered():
    image = np.arange(24, dtype=np.float32).reshape(4, 6, 1)
    halves = image.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    assert np.allclose(resize(image, (2, 3), "area")[..., 0], halves)
    row = resize(np.array([[[0.0], [1.0], [2.0]]], np.float32), (1, 2), "area")
    # Each covers one and a half pixels: (0 + 0.5 · 1) / 1.5 and (0.5 · 1 + 2) / 1.5.
    assert np.allclose(row.ravel(), [1 / 3, 5 / 3])


def test_grey_images_without_a_channel_axis(pixels):
    image = pixels(3, channels=1)
    assert np.array_equal(resize(image[..., 0], (8, 9)), resize(image, (8, 9))[..., 0])


def test_what_is_given_is_not_written_to(pixels):
    image = pixels(4).astype(np.float32)
    before = image.copy()
    resize(image, (20, 30))
    resize(image, (5, 5), "bicubic")
    assert np.array_equal(image, before)
