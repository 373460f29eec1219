import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError


@pytest.fixture
def photo(tmp_path):
    """A 40 x 20 image whose red grows with the column and green with the row."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[..., 0] = np.arange(40)[None] * 6
    pixels[..., 1] = np.arange(20)[:, None] * 12
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


def test_a_crop_at_the_right_scale_takes_the_centre_untouched(photo):
    path, pixels = photo
    loaded = ImageTransform(height=10, width=10, crop=0.5).load(path)
    assert np.array_equal(loaded, pixels[5:15, 15:25])


def test_a_crop_first_scales_the_short_side(photo):
    path, _ = photo
    loaded = ImageTransform(height=35, width=35, crop=0.875).load(path)  # 20 -> 40 rows
    assert loaded.shape == (35, 35, 3)
    assert loaded[17, 17, 0] == pytest.approx(6 * 19.5, abs=4)


def test_without_a_crop_the_whole_image_is_squeezed(photo):
    path, _ = photo
    loaded = ImageTransform(height=10, width=10).load(path)
    assert loaded[0, 0, 0] < 24 and loaded[0, -1, 0] > 210


def test_channel_order_mean_and_scale(photo):
    path, pixels = photo
    transform = ImageTransform(height=20, width=40, channels="BGR", mean=(1, 2, 3), scale=0.5)
    values = transform.normalize(transform.load(path))
    assert values.dtype == np.float32
    assert np.array_equal(values, (pixels[..., ::-1].astype(np.float32) - [1, 2, 3]) * 0.5)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P"])
def test_every_colour_mode_becomes_three_channels(photo, tmp_path, mode):
    path = tmp_path / "other.tif"
    Image.open(photo[0]).convert(mode).save(path)
    assert ImageTransform(height=8, width=8).load(path).shape == (8, 8, 3)


def test_unusable_files_are_named(photo, tmp_path):
    transform = ImageTransform(height=8, width=8)
    with pytest.raises(DataError, match=r"absent.jpg does not exist"):
        transform.load(tmp_path / "absent.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("not an image")
    with pytest.raises(DataError, match=r"text.jpg must be an image"):
        transform.load(text)
    cut = tmp_path / "cut.jpg"
    Image.open(photo[0]).save(cut)
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"cut.jpg cannot be decoded .*[Tt]runcated"):
        transform.load(cut)
    with pytest.raises(DataError, match="must be 20x40 pixels.*it is 40x20"):
        transform.load(photo[0], (20, 40))


def test_grey_layout_and_bytes(photo):
    path, pixels = photo
    grey = ImageTransform(height=20, width=40, channels="GREY", scale=1 / 255)
    values = grey.normalize(grey.load(path))
    assert values.shape == (20, 40, 1)
    weights = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.abs(values[..., 0] - weights).max() < 0.005
    first = ImageTransform(height=20, width=40, layout="NCHW", scale=(1.0, 2.0, 3.0))
    values = first.normalize(np.stack([first.load(path)] * 2))
    assert values.shape == (2, 3, 20, 40)
    assert values.flags["C_CONTIGUOUS"]
    assert np.array_equal(values[1], (pixels * [1.0, 2.0, 3.0]).transpose(2, 0, 1))
    as_bytes = ImageTransform(height=20, width=40, dtype="uint8")
    assert np.array_equal(as_bytes.normalize(as_bytes.load(path)), pixels)
    assert as_bytes.normalize(pixels).dtype == np.uint8


def test_bicubic_is_not_bilinear(photo):
    one, other = (
        ImageTransform(height=30, width=60, interpolation=method).load(photo[0])
        for method in ("bilinear", "bicubic")
    )
    assert one.shape == other.shape
    assert not np.array_equal(one, other)
