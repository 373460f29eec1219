"""Keras's own files, whole and not."""

import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from networks import CLASSES, SIZE, images, run

from lpot_examples.backends.tensorflow.formats import Format, detect_format, open_model, open_object
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError


def classifier():
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    x = keras.Input((SIZE, SIZE, 3), name="photo")
    y = layers.Conv2D(8, 3, name="first")(x)
    y = layers.ReLU()(layers.BatchNormalization(name="norm")(y))
    y = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(y))
    return keras.Model(x, layers.Dense(CLASSES, name="scores")(y))


@pytest.mark.parametrize(
    ("name", "kind"), [("m.keras", Format.KERAS), ("m.h5", Format.HDF5), ("m", Format.KERAS)]
)
def test_a_keras_file(tmp_path, name, kind):
    model = classifier()
    written = tmp_path / (name if "." in name else "m.keras")
    model.save(written)
    path = written.rename(tmp_path / name)
    assert detect_format(path) is kind
    if "." not in name:
        return  # Keras itself wants the suffix
    frozen = open_model(path)
    assert frozen.input_names == ("photo",)
    assert frozen.output_names == ("scores",)
    found = run(frozen, {"photo": images()})[0]
    np.testing.assert_array_equal(found, model(images()))
    assert open_model(tmp_path).output_names == ("scores",)


def test_a_model_of_several_inputs_and_outputs(tmp_path):
    import_tensorflow()
    import keras

    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right", dtype="uint8")
    joined = a + keras.ops.cast(b, "float32")
    outputs = {"sum": keras.layers.Dense(2)(joined), "left": keras.layers.Dense(3)(a)}
    model = keras.Model({"left": a, "right": b}, outputs)
    model.save(tmp_path / "m.keras")
    frozen = open_model(tmp_path / "m.keras")
    assert frozen.input_names == ("left", "right")
    assert frozen.output_names == ("left_1", "sum")
    assert frozen.input_spec("right")[1] == np.uint8
    feed = {"left": images(2)[:, 0, :4, 0], "right": np.arange(8, dtype=np.uint8).reshape(2, 4)}
    expected = model(feed)
    for name, found in zip(("left", "sum"), run(frozen, feed), strict=True):
        np.testing.assert_array_equal(found, expected[name])


def test_names_may_be_given_to_a_frozen_keras_model():
    from lpot_examples.backends.tensorflow.keras_export import freeze_keras

    model = classifier()
    frozen = freeze_keras(model, input_name="input", output_names=["logits"])
    assert (frozen.input_names, frozen.output_names) == (("input",), ("logits",))
    np.testing.assert_array_equal(run(frozen, {"input": images()})[0], model(images()))
    assert not frozen.graph_def.library.function


def test_the_same_file_gives_the_same_bytes(tmp_path):
    classifier().save(tmp_path / "m.keras")
    contents = [
        open_model(tmp_path / "m.keras").graph_def.SerializeToString(deterministic=True)
        for _ in range(2)
    ]
    code = (
        "import sys, hashlib; from lpot_examples.backends.tensorflow.formats import open_model;"
        "g = open_model(sys.argv[1]).graph_def.SerializeToString(deterministic=True);"
        "print(hashlib.sha256(g).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.keras")]
    other = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    assert {hashlib.sha256(content).hexdigest() for content in contents} == {other}


def test_a_keras_object_is_a_model_too():
    model = classifier()
    frozen = open_object(model, outputs=["scores"])
    np.testing.assert_array_equal(run(frozen, {"photo": images()})[0], model(images()))


def broken(folder):
    """One file for each way in which a Keras file cannot be used."""
    import keras

    class Doubled(keras.layers.Layer):
        def call(self, x):
            return x * 2

    model = classifier()
    model.save(folder / "whole.keras")
    model.save(folder / "whole.h5")
    model.save_weights(folder / "m.weights.h5")
    for suffix in ("keras", "h5"):
        keras.Sequential([keras.Input((3,)), Doubled()]).save(folder / f"custom.{suffix}")
    keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)]).save(
        folder / "python.keras"
    )
    for name in ("whole.keras", "whole.h5"):
        content = (folder / name).read_bytes()
        (folder / f"cut.{name.split('.')[1]}").write_bytes(content[: len(content) // 2])
    with zipfile.ZipFile(folder / "other.keras", "w") as archive:
        archive.writestr("model.txt", "no")
    (folder / "empty.keras").touch()
    (folder / "empty.h5").touch()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    broken(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.weights.h5", "weights only, without the layers"),
        ("custom.keras", "uses 'Doubled', a layer or function that is not Keras's own"),
        ("custom.h5", "uses 'Doubled', a layer or function that is not Keras's own"),
        ("python.keras", "holds Python code"),
        ("cut.keras", "not a whole .keras file"),
        ("cut.h5", "not a whole Keras file"),
        ("empty.keras", "not a whole .keras file"),
        ("empty.h5", "not a whole Keras file"),
        ("other.keras", "without config.json"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(files, name, message):
    with pytest.raises(ModelError, match=message) as caught:
        open_model(files / name)
    assert "\n" not in str(caught.value)
    assert str(files / name) in str(caught.value)


def test_a_model_in_python_is_refused():
    import_tensorflow()
    import keras

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match="whose inputs Keras does not know"):
        open_object(Own())


def test_a_model_that_cannot_run_says_why(tmp_path):
    model = classifier()
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = parts["config.json"].decode()
    assert '"batch_shape": [null, 8, 8, 3]' in config
    parts["config.json"] = config.replace('"batch_shape": [null, 8, 8, 3]', '"batch_shape": [null]')
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError) as caught:
        open_model(tmp_path / "other.keras")
    assert "\n" not in str(caught.value)
    assert "other.keras" in str(caught.value)
