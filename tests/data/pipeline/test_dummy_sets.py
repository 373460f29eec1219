import numpy as np
import pytest

from lpot_examples.errors import DataError, SpecError


def test_dummy_gives_lpots_numbers(load):
    section = {"dataset": {"dummy": {"shape": [5, 4, 3], "low": 0, "high": 127.0}}, "batch_size": 2}
    batches = list(load(section))
    np.random.seed(9527)  # noqa: NPY002 - as LPOT does
    wanted = np.random.uniform(low=0.0, high=127.0, size=(5, 4, 3)).astype(np.float32)  # noqa: NPY002
    assert np.array_equal(np.concatenate([images for images, _ in batches]), wanted)
    assert np.concatenate([labels for _, labels in batches]).tolist() == [0] * 5


def test_dummy_without_labels(load):
    ((_, labels),) = load({"dataset": {"dummy": {"shape": "1, 4", "label": False}}})
    assert labels is None


def test_dummy_of_several_inputs(load):
    arguments = {
        "shape": [[4, 3], [4, 2, 2]],
        "low": [0.0, 5.0],
        "high": 9,
        "dtype": "float32, int64",
    }
    batches = list(load({"dataset": {"dummy": arguments}, "batch_size": 3}))
    assert [one.shape for one in batches[0][0]] == [(3, 3), (3, 2, 2)]
    assert batches[1][0][1].dtype == np.int64 and batches[1][0][1].min() >= 5


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "float16", "int32"])
def test_dummy_of_other_types(load, dtype, recwarn):
    ((images, _),) = load({"dataset": {"dummy": {"shape": [1, 500], "dtype": dtype}}})
    assert images.dtype == dtype and not recwarn
    if dtype == "uint8":
        assert images.min() == 0 and 100 < images.max() <= 127


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"dataloader.dataset.dummy.shape is required, such as \[100, 224, 224, 3\]"),
        ({"shape": [[4, 3], [5, 3]]}, "same number of samples, its first side; it gives 4, 5"),
        ({"shape": [4, 0]}, "dummy.shape must be an integer >= 1; got 0"),
        ({"shape": []}, "dummy.shape must be a shape"),
        ({"shape": [4], "low": 5, "high": 1}, "low must not be above high; it is 5 and high is 1"),
        (
            {"shape": [4], "low": [1, 2]},
            "low must have one value, or one for each of the 1 tensors",
        ),
        ({"shape": [4], "dtype": "float"}, "dtype must be one of float32, .* got 'float'. Did you"),
        ({"shape": [4], "label": 1}, "dummy.label must be true or false; got 1"),
        ({"shape": [4], "hi": 1}, "dummy.hi is not an argument of dummy. Did you mean .high"),
    ],
)
def test_unusable_arguments(load, arguments, message):
    with pytest.raises((SpecError, DataError), match=message):
        load({"dataset": {"dummy": arguments}})


def test_dummy_v2(load):
    arguments = {"input_shape": [4, 3], "label_shape": [1], "low": [0, 10], "high": [1, 11]}
    loader = load({"dataset": {"dummy_v2": arguments}, "batch_size": 2}, limit=5)
    first, again = list(loader), list(loader)
    assert len(first) == 3 and first[0][0].shape == (2, 4, 3) and first[0][1].shape == (2, 1)
    assert 0 <= first[0][0].min() < first[0][0].max() <= 1 and first[0][1].min() >= 10
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0][0], first[0][0][1])
    endless = load({"dataset": {"dummy_v2": {"input_shape": [2]}}})
    assert len(endless) == 1000 and next(iter(endless))[1] is None
    several = load({"dataset": {"dummy_v2": {"input_shape": [[2], [3]], "sample_size": 4}}})
    assert len(several) == 4 and [one.shape for one in next(iter(several))[0]] == [(1, 2), (1, 3)]


def test_sparse_dummy_v2(load):
    arguments = {"dense_shape": [4, 5], "label_shape": [1], "sparse_ratio": 0.7, "sample_size": 3}
    loader = load({"dataset": {"sparse_dummy_v2": arguments}, "batch_size": 2})
    (indices, values), labels = next(iter(loader))
    assert labels.shape == (2, 1)
    assert indices.shape == (12, 3) and values.shape == (12,) and indices.dtype == np.int64
    assert indices[:6].tolist() == [[0, n // 5, n % 5] for n in range(6)]
    assert indices[6:, 0].tolist() == [1] * 6


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sparse_ratio": 1.5}, "sparse_ratio must be from 0 to 1"),
        ({"sparse_ratio": [0.5, 0.5]}, "one for each of the 1 tensors"),
        ({"label_shape": [[1], [2]]}, "label_shape must have one shape"),
    ],
)
def test_unusable_sparse_arguments(load, more, message):
    with pytest.raises(DataError, match=message):
        load({"dataset": {"sparse_dummy_v2": {"dense_shape": [4, 5], **more}}})


def test_a_sparse_tensor_may_be_empty(load):
    loader = load({"dataset": {"sparse_dummy_v2": {"dense_shape": [4], "sparse_ratio": 1}}})
    (indices, values), _ = next(iter(loader))
    assert indices.shape == (0, 2) and values.shape == (0,)
