"""Code written for LPOT's Python interface, with the package's name changed."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lpot_examples import data
from lpot_examples.calibration.feed import batches
from lpot_examples.data import (
    DATASETS,
    FILTERS,
    TRANSFORMS,
    BaseTransform,
    DataLoader,
    Dataset,
    IterableDataset,
    dataset_registry,
    filter_registry,
    transform_registry,
)
from lpot_examples.errors import DataError, SpecError
from lpot_examples.experimental import common
from lpot_examples.experimental import data as experimental_data


def test_importing_loads_nothing():
    code = (
        "import sys, lpot_examples.data, lpot_examples.experimental\n"
        "print(sorted({'numpy', 'tensorflow', 'PIL', 'pydantic'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in data.__all__:
        assert getattr(data, name) is getattr(experimental_data, name)
    with pytest.raises(AttributeError, match="no attribute 'DATASET'"):
        data.DATASET  # noqa: B018


def test_dummy_as_lpots_examples_use_it():
    dataset = DATASETS("tensorflow")["dummy"]((10, 8, 8, 3), label=True)
    loader = common.DataLoader(dataset, batch_size=4)
    found = list(loader)
    assert len(loader) == 3 and loader.batch_size == 4
    assert found[0][0].shape == (4, 8, 8, 3) and found[2][1].tolist() == [0, 0]
    older = DataLoader("tensorflow", dataset, batch_size=4)
    assert np.array_equal(next(iter(older))[0], found[0][0])
    image, label = dataset[-1]
    assert np.array_equal(image, found[2][0][-1]) and label == 0
    with pytest.raises(IndexError):
        dataset[10]


def test_transforms_and_compose(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (30, 20), (100, 50, 0)).save(tmp_path / "cat" / "a.png")
    transforms = TRANSFORMS(framework="tensorflow", process="preprocess")
    resize = transforms["Resize"](size=[8, 8])
    normalize = transforms["Normalize"](mean=[100, 0, 0], std=[1, 50, 1])
    image, label = transforms["Compose"]([resize, normalize])((np.ones((4, 4, 3)), 7))
    assert image.shape == (8, 8, 3) and label == 7
    compose = transforms["Compose"]([resize, normalize])
    dataset = DATASETS("tensorflow")["ImageFolder"](root=tmp_path, transform=compose, filter=None)
    ((images, labels),) = DataLoader(dataset)
    assert np.allclose(images, [0, 1, 0]) and labels.tolist() == [0]
    shift = TRANSFORMS("tensorflow", "postprocess")["LabelShift"](label_shift=1)
    assert shift((None, np.array([3])))[1].tolist() == [2]
    cast = TRANSFORMS("tensorflow", "general")["Cast"]("uint8")
    assert cast((np.ones(3), 0))[0].dtype == np.uint8


def test_filters():
    keeps = FILTERS("tensorflow")["LabelBalanceCOCORecord"](2)
    assert keeps.size == 2


def test_own_data_sets_transforms_and_filters():
    @dataset_registry(dataset_type="squares", framework="tensorflow, pytorch")
    class Squares(Dataset):
        def __init__(self, count, transform=None, filter=None):
            self.count, self.transform = count, transform

        def __getitem__(self, index):
            if index >= self.count:
                raise IndexError
            return self.transform((np.full((2, 2), index**2), index))

    @transform_registry(transform_type="Negate", process="preprocess", framework="tensorflow")
    class Negate(BaseTransform):
        def __call__(self, sample):
            image, label = sample
            return -image, label

    @filter_registry(filter_type="Odd", framework="tensorflow")
    class Odd:
        def __call__(self, image, label):
            return label % 2

    negate = TRANSFORMS("tensorflow", "preprocess")["Negate"]()
    dataset = DATASETS("tensorflow")["squares"](5, transform=negate)
    found = list(DataLoader(dataset, batch_size=2))
    assert [labels.tolist() for _, labels in found] == [[0, 1], [2, 3], [4]]
    assert found[1][0][:, 0, 0].tolist() == [-4, -9]
    digits = DATASETS("tensorflow")["dummy"](
        shape=(4, 2), transform=negate, filter=FILTERS("tensorflow")["Odd"]()
    )
    with pytest.raises(DataError, match="takes none of the 4 samples"):
        len(digits)
    with pytest.raises(DataError, match="Odd is registered already"):
        filter_registry("Odd", "tensorflow")(Odd)


def test_iterable_data_sets_and_calibration():
    class Endless(IterableDataset):
        def __iter__(self):
            index = 0
            while True:
                yield np.full((2,), index, np.float32), index
                index += 1

    loader = common.DataLoader(Endless(), batch_size=3)
    spec = {"input": ((None, 2), np.dtype("float32"))}
    for _ in range(2):
        found = list(batches(loader, spec, limit=5))
        assert [len(batch["input"]) for batch in found] == [3, 2]
        assert found[1]["input"][0, 0] == 3


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: DATASETS("tensorflows"), "framework must be one of tensorflow.*Did you mean"),
        (lambda: TRANSFORMS("tensorflow", "before"), "process must be one of preprocess"),
        (lambda: DATASETS("tensorflow")["dumy"], "DATASETS.dumy is not a known name. Did you mean"),
        (lambda: DATASETS("tensorflow")["GLUE"], "DATASETS.GLUE is not served"),
        (lambda: DATASETS("tensorflow")["dummy"](), "dummy.shape is required"),
        (lambda: DATASETS("tensorflow")["dummy"]((2, 2), shape=(2, 2)), "takes shape once"),
        (lambda: DATASETS("tensorflow")["dummy"]((2,), 0, 1, "int8", True, 5), "takes 5 arguments"),
        (lambda: FILTERS("tensorflow")["LabelBalance"](0), "size must be an integer >= 1"),
    ],
)
def test_mistakes(use, message):
    with pytest.raises((DataError, SpecError), match=message):
        use()
