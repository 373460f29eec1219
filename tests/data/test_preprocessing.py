import importlib

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.preprocessing import PREPROCESSINGS, image_transform
from lpot_examples.errors import DataError
from lpot_examples.zoo.catalogue import CATALOGUE

KERAS = {model.name: model for model in CATALOGUE.values() if model.application}
MODULES = {
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "ResNet50V2": "resnet_v2",
    "ResNet101V2": "resnet_v2",
    "DenseNet121": "densenet",
    "EfficientNetB0": "efficientnet",
}


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 256, (260, 300, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("name", KERAS)
def test_the_arithmetic_is_that_of_keras(name, photo):
    model = KERAS[name]
    transform = image_transform(model.preprocessing, size=model.image_size)
    given = transform.load(photo)
    rgb = given[..., ::-1] if transform.channels == "BGR" else given
    keras = importlib.import_module(f"keras.applications.{MODULES[model.application]}")
    wanted = keras.preprocess_input(rgb.astype(np.float32).copy())
    assert given.shape == (model.image_size, model.image_size, 3)
    assert transform.normalize(given) == pytest.approx(wanted, abs=2e-4, rel=1e-5)


def test_a_colour_by_hand():
    colour = np.array([[[10, 130, 250]]], np.uint8)  # R, G, B
    values = {
        name: image_transform(name, size=1).normalize(
            colour[..., ::-1] if p.transform.channels == "BGR" else colour
        )[0, 0]
        for name, p in PREPROCESSINGS.items()
    }
    assert values["caffe"] == pytest.approx([250 - 103.939, 130 - 116.779, 10 - 123.68])
    assert values["squeezenet"] == pytest.approx([250 - 104, 130 - 117, 10 - 123])
    assert values["vgg"] == pytest.approx([10 - 123.68, 130 - 116.78, 250 - 103.94])
    assert values["tf"] == pytest.approx([10 / 127.5 - 1, 130 / 127.5 - 1, 250 / 127.5 - 1])
    assert values["inception"] == pytest.approx(values["tf"])
    assert values["raw"].tolist() == [10, 130, 250]
    red, green, blue = 10 / 255, 130 / 255, 250 / 255
    wanted = [(red - 0.485) / 0.229, (green - 0.456) / 0.224, (blue - 0.406) / 0.225]
    assert values["torch"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("size", [(333, 500), (500, 375), (101, 64), (224, 224)])
def test_the_stretched_crop_is_that_of_slim(size):
    """The same part of the image as tf.image.central_crop, resized to a square."""
    import tensorflow as tf

    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 250, width, dtype=np.uint8)[None]
    pixels[..., 1] = np.linspace(0, 250, height, dtype=np.uint8)[:, None]
    part = tf.image.central_crop(pixels, 0.875).numpy()
    wanted = Image.fromarray(part).resize((299, 299), Image.Resampling.BILINEAR)
    fitted = image_transform("inception", size=299).fit(Image.fromarray(pixels))
    assert fitted.size == (299, 299)
    assert np.abs(np.asarray(fitted, float) - np.asarray(wanted, float)).max() <= 3


def test_the_centre_crop_keeps_the_aspect():
    pixels = np.zeros((256, 512, 3), np.uint8)
    pixels[:, 144:368] = 255  # the centre of 224 columns
    fitted = np.asarray(image_transform("tf", size=224).fit(Image.fromarray(pixels)))
    assert fitted.shape == (224, 224, 3)
    assert fitted.min() == 255


def test_an_unknown_name_lists_all():
    with pytest.raises(DataError, match="one of caffe, tf, .*'cafe'. Did you mean 'caffe'"):
        image_transform("cafe", size=224)


def test_each_says_where_it_comes_from():
    for name, preprocessing in PREPROCESSINGS.items():
        assert preprocessing.source.startswith("https://"), name
        assert preprocessing.summary
