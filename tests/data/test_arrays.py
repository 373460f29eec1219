import numpy as np
import pytest

from lpot_examples.data.arrays import ArrayBatches, NamedBatches, read_arrays
from lpot_examples.errors import DataError


def test_batches_come_in_order_and_start_again():
    inputs, labels = np.arange(14, dtype=np.float32).reshape(7, 2), np.arange(7)
    batches = ArrayBatches(inputs, labels, batch_size=3)
    for _ in range(2):
        parts = list(batches)
        assert len(parts) == len(batches) == 3
        assert np.array_equal(np.concatenate([part for part, _ in parts]), inputs)
        assert [label.tolist() for _, label in parts] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(
    ("inputs", "labels", "size", "message"),
    [(3, 3, 0, "batch_size must"), (3, 2, 1, "3 inputs and 2 labels"), (0, 0, 1, "0 inputs")],
)
def test_what_does_not_fit_is_an_error(inputs, labels, size, message):
    with pytest.raises(DataError, match=message):
        ArrayBatches(np.zeros((inputs, 2), np.float32), np.zeros(labels, np.int64), batch_size=size)


def test_any_order():
    batches = ArrayBatches(np.arange(5, dtype=np.float32)[:, None], np.arange(5), batch_size=2)
    found = [labels.tolist() for _, labels in batches.ordered(np.array([4, 0, 3, 1, 2]))]
    assert found == [[4, 0], [3, 1], [2]]


def test_named_arrays_come_in_batches():
    arrays = {"a": np.arange(10).reshape(5, 2), "b": np.arange(5)}
    batches = NamedBatches(arrays, batch_size=2)
    assert (len(batches), batches.samples) == (3, 5)
    for _ in range(2):
        inputs, labels = zip(*batches, strict=True)
        assert np.array_equal(np.concatenate([one["a"] for one in inputs]), arrays["a"])
        assert [one["b"].tolist() for one in inputs] == [[0, 1], [2, 3], [4]]
        assert np.concatenate(labels).tolist() == [-1] * 5


@pytest.mark.parametrize(
    ("arrays", "batch_size", "message"),
    [
        ({"a": np.zeros(2)}, 0, "at least 1; it is 0"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, 1, "2 of 'a', 3 of 'b'"),
        ({"a": np.zeros(())}, 1, "0 of 'a'"),
        ({}, 1, "no inputs"),
    ],
)
def test_named_arrays_that_do_not_fit(arrays, batch_size, message):
    with pytest.raises(DataError, match=message):
        NamedBatches(arrays, batch_size=batch_size)


def test_inputs_from_a_file(tmp_path):
    one, two = tmp_path / "one.npy", tmp_path / "two.npz"
    np.save(one, np.arange(3))
    np.savez(two, **{"x:0": np.arange(3), "y": np.arange(4)})
    assert read_arrays(one, ["x"], topology="t")["x"].tolist() == [0, 1, 2]
    assert read_arrays(two, ["y", "x"], topology="t")["x"].tolist() == [0, 1, 2]
    text = tmp_path / "text.npz"
    text.write_text("no arrays")
    for path, names, message in (
        (None, ["x"], "--dataset_location was not given. t needs its inputs"),
        (tmp_path / "absent.npz", ["x"], "absent.npz cannot be read"),
        (text, ["x"], "text.npz cannot be read"),
        (one, ["x", "y"], "holds an array without a name and lacks 'x'"),
        (two, ["z"], "holds x, y and lacks 'z'"),
    ):
        with pytest.raises(DataError, match=message):
            read_arrays(path, names, topology="t")
