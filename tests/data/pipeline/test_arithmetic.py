import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.pipeline import arithmetic
from lpot_examples.data.pipeline.transform import Context
from lpot_examples.errors import DataError, SpecError

TENSORS = Context(tensors=True)


def make(name, **arguments):
    return getattr(arithmetic, name).read(arguments, where=name)


def test_normalize(pixels):
    image = pixels(1)
    found, _ = make("Normalize", mean=[123.5, 100, 80.25], std=[58, 57, 2])((image, 0))
    assert found.dtype == np.float32
    assert np.allclose(found, (image - np.array([123.5, 100, 80.25])) / [58, 57, 2], atol=1e-5)
    one, _ = make("Normalize", mean="128", std=2)((image, 0))
    assert np.allclose(one, (image - 128.0) / 2)
    with pytest.raises(DataError, match=r"mean must have one value, .* 3 channels .* it has 2"):
        make("Normalize", mean=[1, 2])((image, 0))
    with pytest.raises(SpecError, match="Normalize.std must be above 1e-6"):
        make("Normalize", std=[1, 0, 1])


def test_rescale(pixels):
    image = pixels(1)
    assert np.array_equal(make("Rescale")((image, 0))[0], image.astype(np.float32) / 255)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float16"])
def test_cast_keeps_the_values_of_arrays(pixels, dtype):
    image = pixels(1)
    found, _ = make("Cast", dtype=dtype)((image, 0))
    assert found.dtype == dtype and np.array_equal(found, image)


@pytest.mark.parametrize(
    ("have", "want"),
    [
        *(("uint8", "float32"), ("uint8", "float16"), ("float32", "uint8"), ("float32", "float64")),
        *(("uint8", "int32"), ("int32", "uint8"), ("uint8", "uint8"), ("float32", "int16")),
    ],
)
def test_cast_scales_images_of_records_as_tensorflow(pixels, have, want):
    tf = pytest.importorskip("tensorflow")
    image = pixels(1).astype(have)
    image = image / np.float32(255) if have == "float32" else image
    image = image * np.int32(1 << 22) if have == "int32" else image
    wanted = tf.image.convert_image_dtype(image, want).numpy()
    found, _ = make("Cast", dtype=want).apply(image, 0, TENSORS)
    assert found.dtype == wanted.dtype
    assert np.allclose(found.astype(np.float64), wanted.astype(np.float64), atol=1e-6)


def test_cast_of_records_refuses_what_would_overflow(pixels):
    with pytest.raises(DataError, match=r"range 0 to 1 .* reaches from 0 to 255.*Leave Cast out"):
        image = np.array([[[0, 255.0]]], np.float32)
        make("Cast", dtype="uint8").apply(image, 0, TENSORS)


def test_transpose(pixels):
    image = pixels(1)
    assert np.array_equal(
        make("Transpose", perm=[2, 0, 1])((image, 0))[0], image.transpose(2, 0, 1)
    )
    with pytest.raises(SpecError, match=r"Transpose.perm must name each axis once"):
        make("Transpose", perm=[0, 0, 1])
    with pytest.raises(DataError, match="must name the 3 axes"):
        make("Transpose", perm=[1, 0])((image, 0))


def test_align_image_channel(pixels):
    image = pixels(1)
    grey = make("AlignImageChannel", dim=1)((image, 0))[0]
    assert np.array_equal(grey[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    assert np.array_equal(make("AlignImageChannel")((grey[..., 0], 0))[0], np.repeat(grey, 3, -1))
    assert make("AlignImageChannel")((image, 0))[0] is image
    four = np.concatenate([image, grey], axis=-1)
    assert np.array_equal(make("AlignImageChannel")((four, 0))[0], image)
    with pytest.raises(DataError, match="cannot make 2 of 3"):
        make("AlignImageChannel", dim=2)((image, 0))


def test_to_array():
    image = Image.new("RGB", (5, 4), (1, 2, 3))
    found, label = make("ToArray")((image, 7))
    assert found.shape == (4, 5, 3) and found[0, 0].tolist() == [1, 2, 3] and label == 7


def test_quantized_input():
    image = np.array([[[-1.0, 0.4, 2.6, 300.0]]], np.float32)
    assert make("QuantizedInput")((image, 0))[0] is image
    signed, _ = make("QuantizedInput", scale=10)((image, 0))
    assert signed.dtype == np.int8 and signed.ravel().tolist() == [-10, 4, 26, 127]
    unsigned, _ = make("QuantizedInput", dtype="uint8", scale=10)((image, 0))
    assert unsigned.dtype == np.uint8 and unsigned.ravel().tolist() == [118, 132, 154, 255]


def test_as_type_rounds_and_keeps_within_the_range():
    values = np.array([-3.0, 0.5, 1.5, 254.6, 300], np.float32)
    found = arithmetic.as_type(values, np.dtype("uint8"))
    assert found.tolist() == [0, 0, 2, 255, 255]
    assert arithmetic.as_type(found, np.dtype("float32")).dtype == np.float32
