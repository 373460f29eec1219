import gzip
import pickle
import struct

import numpy as np
import pytest

from lpot_examples.errors import DataError


def cifar(count, label, **more):
    dice = np.random.default_rng(count)
    rows = dice.integers(0, 256, (count, 3072), dtype=np.uint8)
    return {"data": rows, label: dice.integers(0, 10, count).tolist(), **more}


@pytest.mark.parametrize(
    ("name", "folder", "files", "label"),
    [
        ("CIFAR10", "cifar-10-batches-py", ["test_batch"], "labels"),
        ("CIFAR10", ".", [f"data_batch_{one}" for one in range(1, 6)], "labels"),
        ("CIFAR100", "cifar-100-python", ["test"], "fine_labels"),
        ("CIFAR100", ".", ["train"], "fine_labels"),
    ],
)
def test_cifar(load, tmp_path, name, folder, files, label):
    (tmp_path / folder).mkdir(exist_ok=True)
    parts = [cifar(3 + number, label) for number in range(len(files))]
    for file, part in zip(files, parts, strict=True):
        (tmp_path / folder / file).write_bytes(pickle.dumps(part, protocol=2))
    train = not files[0].startswith("test")
    loader = load({"dataset": {name: {"root": ".", "train": train}}, "batch_size": 1000})
    ((images, labels),) = loader
    assert images.dtype == np.uint8 and images.shape[1:] == (32, 32, 3)
    assert labels.tolist() == [one for part in parts for one in part[label]]
    assert np.array_equal(images[0, ..., 1].ravel(), parts[0]["data"][0, 1024:2048])


def test_a_pickle_may_not_run_code(load, tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    (tmp_path / "test_batch").write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(DataError, match=r"test_batch must be a part .*asks for builtins.print"):
        load({"dataset": {"CIFAR10": {"root": "."}}})
    (tmp_path / "test_batch").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"test_batch must be a part of CIFAR"):
        load({"dataset": {"CIFAR10": {"root": "."}}})
    (tmp_path / "test_batch").write_bytes(pickle.dumps({"labels": [1]}))
    with pytest.raises(DataError, match=r"must hold data, uint8 \[n, 3072\], and labels"):
        load({"dataset": {"CIFAR10": {"root": "."}}})


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"])
def test_where_to_get_what_is_missing(load, name):
    with pytest.raises(DataError, match=r"is missing. Download .*https://.*local files only"):
        load({"dataset": {name: {"root": "."}}})


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("folder", [".", "MNIST"])
def test_mnist(load, tmp_path, train, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    dice = np.random.default_rng(0)
    arrays = {
        f"{axis}_{part}": dice.integers(0, 10, (count, 28, 28) if axis == "x" else count).astype(
            "u1"
        )
        for part, count in (("train", 6), ("test", 4))
        for axis in "xy"
    }
    np.savez(tmp_path / folder / "mnist.npz", **arrays)
    ((images, labels),) = load(
        {"dataset": {"MNIST": {"root": ".", "train": train}}, "batch_size": 9}
    )
    part = "train" if train else "test"
    assert np.array_equal(images[..., 0], arrays[f"x_{part}"]) and images.dtype == np.uint8
    assert np.array_equal(labels, arrays[f"y_{part}"]) and labels.dtype == np.int64


def test_broken_mnist(load, tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"must hold the arrays x_test and y_test"):
        load({"dataset": {"MNIST": {"root": "."}}})
    np.savez(tmp_path / "mnist.npz", x_test=np.zeros((3, 28, 28)), y_test=np.zeros(2))
    with pytest.raises(DataError, match="as many labels as images; there are 2 labels"):
        load({"dataset": {"MNIST": {"root": "."}}})


def idx(array):
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes())


def test_fashion_mnist(load, tmp_path):
    dice = np.random.default_rng(0)
    images = dice.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = dice.integers(0, 10, 5, dtype=np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    section = {"dataset": {"FashionMNIST": {"root": "."}}, "batch_size": 5}
    ((found, classes),) = load(section)
    assert np.array_equal(found[..., 0], images) and np.array_equal(classes, labels)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images)[:-20])
    with pytest.raises(DataError, match="cannot be decompressed"):
        load(section)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images[0]))
    with pytest.raises(DataError, match="IDX format of 3 axes"):
        load(section)
