import pytest
from PIL import Image

from lpot_examples.data.unlabelled import unlabelled_calibration, unlabelled_images
from lpot_examples.errors import DataError


def make(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")


def stems(samples):
    return [sample.path.stem for sample in samples]


@pytest.mark.parametrize("folder", ["val2017", "JPEGImages", "validation", "val", "test", "."])
def test_each_layout(tmp_path, folder):
    make(tmp_path / folder, *"gfedcba")
    assert stems(unlabelled_images(tmp_path, topology="t")) == list("abcdefg")
    assert stems(unlabelled_images(tmp_path, topology="t", limit=2)) == ["a", "b"]
    assert stems(unlabelled_calibration(tmp_path, topology="t")) == ["a", "f"]
    make(tmp_path / "train", "x")
    assert stems(unlabelled_calibration(tmp_path, topology="t")) == ["x"]


def test_folders_of_classes(tmp_path):
    make(tmp_path / "dog", "b")
    make(tmp_path / "cat", "a")
    assert stems(unlabelled_images(tmp_path, topology="t")) == ["a", "b"]


def test_nothing_there(tmp_path):
    for location in (None, tmp_path / "nowhere", tmp_path):
        for images in (unlabelled_images, unlabelled_calibration):
            with pytest.raises(DataError, match="net needs a folder of images.*--topology=net"):
                images(location, topology="net")
