import numpy as np
import pytest

from lpot_examples.backends.registry import FRAMEWORKS, framework_of, load_model
from lpot_examples.spec.names import FRAMEWORKS as NAMES
from lpot_examples.testing.onnx_networks import batches, image_network


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("network.onnx", "onnx"),
        ("NETWORK.ONNX", "onnx"),
        ("network.pb", "tensorflow"),
        ("folder", "tensorflow"),
        (image_network(), "onnx"),
        (object(), "tensorflow"),
    ],
)
def test_whose_a_network_is(given, name):
    assert framework_of(given).name == name


def test_the_specs_frameworks_have_a_row():
    assert set(NAMES.values()) == {one.name for one in FRAMEWORKS}


def test_a_loaded_network_can_be_given_again(tmp_path):
    from lpot_examples.backends.onnx.model import save_proto

    path = save_proto(image_network(), tmp_path / "m.onnx", largest=1000)
    loaded = load_model(path)
    framework = framework_of(loaded)
    opened = framework.open(loaded)
    batch = batches(image_network())[0]
    np.testing.assert_array_equal(opened(batch), loaded(batch))
    assert framework.content(opened) == framework.content(framework.open(path))
    again = framework.open(framework.portable(opened))
    assert framework.content(again) == framework.content(opened)


def test_contents_differ_by_weights():
    framework = framework_of(image_network())
    one, other = (framework.content(framework.open(image_network(seed=n))) for n in (0, 1))
    assert one[0] != other[0]
    assert one[1] == other[1] == image_network().ByteSize()


def test_stored_weights(tmp_path):
    path = load_or_save(tmp_path)
    found = dict(framework_of(path).stored_weights(path))
    assert all(array.ndim > 1 for array in found.values())
    assert len(found) == 7  # six convolutions and the Gemm


def load_or_save(folder):
    from lpot_examples.backends.onnx.model import save_proto

    return save_proto(image_network(), folder / "m.onnx")
