"""Well-known data sets that fit into memory: CIFAR10, CIFAR100, MNIST, FashionMNIST.

They are read from local files; ``download`` is accepted, and where files are missing the message
says from where to get them.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lpot_examples.data.pipeline.arguments import Flag, Location
from lpot_examples.data.pipeline.dataset import ArraySamples, DatasetArguments
from lpot_examples.data.pipeline.places import Places
from lpot_examples.errors import DataError

_TORONTO = "https://www.cs.toronto.edu/~kriz"
_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
# What NumPy's arrays are pickled with; a pickle that asks for anything else is refused.
_PICKLED = frozenset(
    {
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("_codecs", "encode"),
    }
)


class _ArraySet(DatasetArguments):
    _source: ClassVar[str]
    _folders: ClassVar[tuple[str, ...]]

    root: Location | None = Field(default=None, examples=["data"])
    train: Flag = False
    download: Flag = True

    def _file(self, places: Places, name: str) -> Path:
        root = places.root(self.root)
        for folder in (root, *(root / inner for inner in self._folders)):
            if (folder / name).is_file():
                return folder / name
        raise DataError(
            f"{root / name} is missing. Download {self._source} into {root}"
            f"{' and unpack it there' if self._source.endswith('gz') else ''}: this data set is "
            "read from local files only."
        )


class _Cifar(_ArraySet):
    _train: ClassVar[tuple[str, ...]]
    _test: ClassVar[tuple[str, ...]]
    _label: ClassVar[str]

    def open(self, places: Places) -> ArraySamples:
        """Read the Python version: pickled rows of 3 x 32 x 32 bytes."""
        images, labels = [], []
        for name in self._train if self.train else self._test:
            path = self._file(places, name)
            rows = _unpickled(path)
            data = np.asarray(rows.get("data"))
            classes = rows.get(self._label)
            if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072 or not classes:
                raise DataError(
                    f"{path} must hold data, uint8 [n, 3072], and {self._label}; it does not. "
                    f"Download {self._source} again."
                )
            images.append(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.append(np.asarray(classes, dtype=np.int64))
        return ArraySamples(np.concatenate(images), np.concatenate(labels))


class CIFAR10(_Cifar):
    """60,000 images of 32x32 in 10 classes; 10,000 unless ``train`` is set."""

    _source = f"{_TORONTO}/cifar-10-python.tar.gz"
    _folders = ("cifar-10-batches-py",)
    _train = tuple(f"data_batch_{number}" for number in range(1, 6))
    _test = ("test_batch",)
    _label = "labels"


class CIFAR100(_Cifar):
    """60,000 images of 32x32 in 100 classes; 10,000 unless ``train`` is set."""

    _source = f"{_TORONTO}/cifar-100-python.tar.gz"
    _folders = ("cifar-100-python",)
    _train = ("train",)
    _test = ("test",)
    _label = "fine_labels"


class MNIST(_ArraySet):
    """Handwritten digits, uint8 [28, 28, 1]; the 10,000 of the test set unless ``train`` is set."""

    _source = f"{_GOOGLE}/mnist.npz"
    _folders = ("MNIST",)

    def open(self, places: Places) -> ArraySamples:
        """Read ``mnist.npz``."""
        path = self._file(places, "mnist.npz")
        part = "train" if self.train else "test"
        try:
            with np.load(path, allow_pickle=False) as content:
                images, labels = content[f"x_{part}"], content[f"y_{part}"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(
                f"{path} must hold the arrays x_{part} and y_{part}; it cannot be read ({error}). "
                f"Download {self._source} again."
            ) from None
        return _samples(images, labels, path)


class FashionMNIST(_ArraySet):
    """Clothes, uint8 [28, 28, 1]; the 10,000 of the test set unless ``train`` is set."""

    _source = (
        f"train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
        f"t10k-labels-idx1-ubyte.gz from {_GOOGLE}/"
    )
    _folders = ("FashionMNIST",)

    def open(self, places: Places) -> ArraySamples:
        """Read the two files of a part, in IDX format."""
        part = "train" if self.train else "t10k"
        images = _idx(self._file(places, f"{part}-images-idx3-ubyte.gz"), axes=3)
        path = self._file(places, f"{part}-labels-idx1-ubyte.gz")
        return _samples(images, _idx(path, axes=1), path)


def _samples(images: NDArray[Any], labels: NDArray[Any], path: Path) -> ArraySamples:
    if images.ndim != 3 or len(images) != len(labels):
        raise DataError(
            f"{path} must hold as many labels as images; there are {len(labels)} labels and images "
            f"{list(images.shape)}. Download it again."
        )
    return ArraySamples(images[..., None], labels.astype(np.int64))


def _idx(path: Path, *, axes: int) -> NDArray[np.uint8]:
    """Read a compressed IDX file of bytes; the format is http://yann.lecun.com/exdb/mnist/."""
    try:
        with gzip.open(path) as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be decompressed ({error}). Download it again.") from None
    shape = tuple(int(side) for side in np.frombuffer(data[4 : 4 + 4 * axes], dtype=">u4"))
    if data[:4] != bytes((0, 0, 8, axes)) or len(data) != 4 + 4 * axes + int(np.prod(shape)):
        raise DataError(f"{path} must be bytes in IDX format of {axes} axes. Download it again.")
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


class _Unpickler(pickle.Unpickler):
    """Makes arrays and plain data only: a pickle may otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
        raise DataError(
            f"{path} must be a part of CIFAR's Python version; it cannot be read ({error}). "
            "Download it again."
        ) from None
    return content if isinstance(content, dict) else {}
