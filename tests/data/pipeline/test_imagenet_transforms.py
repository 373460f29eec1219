import numpy as np
import pytest

from lpot_examples.data.pipeline import imagenet
from lpot_examples.data.pipeline.transform import Context
from lpot_examples.errors import DataError, SpecError


def make(name, **arguments):
    return getattr(imagenet, name).read(arguments, where=name)


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (47, 47)])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_resize_crop_imagenet(pixels, shape, order):
    """The steps of LPOT's transform, by TensorFlow."""
    tf = pytest.importorskip("tensorflow")
    image = pixels(1, *shape)
    side = 40
    scale = tf.cast(side / min(shape), tf.float32)
    size = [int(np.rint(np.float32(one) * scale.numpy())) for one in shape]
    wanted = image[..., ::-1] if order == "BGR" else image
    wanted = tf.image.resize(wanted[None], size)[0]
    top, left = (size[0] - 32) // 2, (size[1] - 32) // 2
    wanted = tf.image.crop_to_bounding_box(wanted, top, left, 32, 32)
    wanted = (wanted - [123.68, 116.78, 103.94]) * 0.017
    found, _ = make(
        "ResizeCropImagenet",
        height=32,
        width=32,
        resize_side=side,
        subpixels=order,
        mean_value="123.68 116.78 103.94",
        scale=0.017,
    )((image, 0))
    assert found.dtype == np.float32
    assert np.allclose(found, wanted.numpy(), atol=1e-5)


def test_resize_crop_imagenet_at_random_repeats(pixels):
    image = pixels(1, 60, 90)
    transform = make(
        "ResizeCropImagenet",
        height=32,
        width=32,
        resize_side=40,
        random_crop=True,
        random_flip_left_right=True,
    )
    found = [transform.apply(image, 0, Context(seed=(seed,)))[0] for seed in range(12)]
    again = [transform.apply(image, 0, Context(seed=(seed,)))[0] for seed in range(12)]
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert len({one.tobytes() for one in found}) > 6


def test_resize_crop_imagenet_says_what_does_not_fit(pixels):
    with pytest.raises(DataError, match="at least 50x50 pixels"):
        make("ResizeCropImagenet", height=50, width=50, resize_side=40)((pixels(1), 0))
    with pytest.raises(SpecError, match="data_format must be one of channels_last; got"):
        make("ResizeCropImagenet", height=5, width=5, data_format="channels_first")


@pytest.mark.parametrize("fraction", [0.875, 0.0, 0.5])
def test_bilinear_imagenet(pixels, fraction):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1, 61, 90)
    wanted = tf.image.convert_image_dtype(image, tf.float32)
    if fraction:
        wanted = tf.image.central_crop(wanted, fraction)
    wanted = tf.image.resize(wanted[None], (32, 24))[0]
    wanted = ((wanted - 0.5) * 2 - [0.1, 0.2, 0.3]) * 3.0
    found, _ = make(
        "BilinearImagenet",
        height=32,
        width=24,
        central_fraction=fraction,
        mean_value=[0.1, 0.2, 0.3],
        scale=3.0,
    )((image, 0))
    assert np.allclose(found, wanted.numpy(), atol=1e-5)


def test_resize_with_aspect_ratio(pixels):
    found, _ = make("ResizeWithAspectRatio", height=28, width=28)((pixels(1, 64, 128), 0))
    assert found.shape == (32, 64, 3) and found.dtype == np.float32
    tall, _ = make("ResizeWithAspectRatio", height=28, width=28)((pixels(1, 128, 64), 0))
    assert tall.shape == (64, 32, 3)
    image = pixels(1, 64, 128)
    assert np.allclose(found, image.reshape(32, 2, 64, 2, 3).mean(axis=(1, 3)), atol=1e-3)
