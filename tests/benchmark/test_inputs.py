import numpy as np
import pytest

from lpot_examples.benchmark.inputs import make_feed
from lpot_examples.errors import DataError


class Model:
    def __init__(self, **specs):
        self.specs = {n: (shape, np.dtype(dtype)) for n, (shape, dtype) in specs.items()}
        self.input_names = tuple(specs)

    def input_spec(self, name):
        return self.specs[name]


def test_noise_has_the_models_shapes_and_dtypes():
    model = Model(
        image=((None, 8, 8, 3), np.float32),
        raw=((None, 50), np.uint8),
        small=((None, 400), np.int8),
        training=((), np.bool_),
    )
    feed = make_feed(model, batch_size=5)
    assert {n: (a.shape, a.dtype.name) for n, a in feed.items()} == {
        "image": ((5, 8, 8, 3), "float32"),
        "raw": ((5, 50), "uint8"),
        "small": ((5, 400), "int8"),
        "training": ((), "bool"),
    }
    assert 0 <= feed["image"].min() < feed["image"].max() < 1
    assert feed["raw"].max() > 200
    assert feed["small"].min() >= 0
    np.testing.assert_array_equal(make_feed(model, batch_size=5)["image"], feed["image"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, None, None, 3), r"shape \['\?', '\?', '\?', 3\].*--input_file"),
        (None, "unknown rank.*--input_file"),
        ((1, 4), r"fixed shape \[1, 4\].*batch size 2.*--batch_size=1"),
    ],
)
def test_a_shape_that_says_too_little_is_explained(shape, message):
    with pytest.raises(DataError, match=message):
        make_feed(Model(image=(shape, np.float32)), batch_size=2)


def test_strings_need_a_file():
    with pytest.raises(DataError, match="'text' takes strings"):
        make_feed(Model(text=((None,), np.object_)), batch_size=1)


def test_samples_of_a_file_are_repeated_or_cut_to_the_batch(tmp_path):
    samples = np.arange(3.0).reshape(3, 1)
    np.save(tmp_path / "batch.npy", samples)
    model = Model(image=((None, None), np.float32))
    for size, expected in ((2, [0, 1]), (5, [0, 1, 2, 0, 1])):
        feed = make_feed(model, batch_size=size, input_file=tmp_path / "batch.npy")
        assert feed["image"].ravel().tolist() == expected
        assert feed["image"].dtype == np.float32


def test_several_inputs_come_from_an_npz(tmp_path):
    np.savez(tmp_path / "batch.npz", **{"a:0": np.ones((1, 2)), "b": np.zeros((1, 1))})
    model = Model(a=((None, 2), np.float32), b=((None, 1), np.float32))
    feed = make_feed(model, batch_size=2, input_file=tmp_path / "batch.npz")
    assert feed["a"].shape == (2, 2) and feed["b"].shape == (2, 1)
    with pytest.raises(DataError, match="no array named 'c'; it has a, b"):
        make_feed(Model(c=((None,), np.float32)), batch_size=1, input_file=tmp_path / "batch.npz")


def test_unusable_files_are_explained(tmp_path):
    one = Model(image=((None, 2), np.float32))
    with pytest.raises(DataError, match=r"cannot read the input file .*none\.npy"):
        make_feed(one, batch_size=1, input_file=tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(DataError, match="cannot read the input file"):
        make_feed(one, batch_size=1, input_file=tmp_path / "text.npy")
    np.save(tmp_path / "empty.npy", np.zeros((0, 2)))
    with pytest.raises(DataError, match="no samples"):
        make_feed(one, batch_size=1, input_file=tmp_path / "empty.npy")
    np.save(tmp_path / "one.npy", np.zeros((1, 2)))
    two = Model(a=((None, 2), np.float32), b=((None, 2), np.float32))
    with pytest.raises(DataError, match="one array, but the model takes 2 inputs"):
        make_feed(two, batch_size=1, input_file=tmp_path / "one.npy")
