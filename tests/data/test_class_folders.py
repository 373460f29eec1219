import pytest
from PIL import Image

from lpot_examples.data.class_folders import class_folder_images, class_folders
from lpot_examples.data.imagenet import imagenet_calibration, imagenet_images
from lpot_examples.errors import DataError


def make(root, **images):
    for name, count in images.items():
        folder = root / name
        folder.mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (4, 4)).save(folder / f"{index}.png")
    return root


def named(samples):
    return [(f"{sample.path.parent.name}/{sample.path.stem}", sample.label) for sample in samples]


def test_classes_take_turns(tmp_path):
    make(tmp_path, b=1, a=3, empty=0)
    (tmp_path / "notes.txt").touch()
    assert [folder.name for folder in class_folders(tmp_path)] == ["a", "b"]
    wanted = [("a/0", 0), ("b/0", 1), ("a/1", 0), ("a/2", 0)]
    assert named(class_folder_images(tmp_path, classes=2)) == wanted
    assert class_folders(tmp_path / "nowhere") == ()


def test_the_number_of_classes_must_fit(tmp_path):
    make(tmp_path, a=1, b=1)
    with pytest.raises(DataError, match="each of the network's 3 classes; it holds 2. Correct"):
        class_folder_images(tmp_path, classes=3)


def test_where_a_data_set_has_them(tmp_path):
    make(tmp_path, a=2, b=2)
    samples = imagenet_images(tmp_path, topology="t", classes=2)
    assert named(samples) == [("a/0", 0), ("b/0", 1), ("a/1", 0), ("b/1", 1)]
    assert named(imagenet_calibration(tmp_path, topology="t", classes=2)) == [("a/0", 0)]
    make(tmp_path / "train", a=1, b=1)
    make(tmp_path / "val", a=1, b=1)
    assert len(imagenet_images(tmp_path, topology="t", classes=2)) == 2
    calibration = imagenet_calibration(tmp_path, topology="t", classes=2)
    assert {sample.path.parents[1].name for sample in calibration} == {"train"}
    assert len(imagenet_images(tmp_path, topology="t", classes=2, limit=1)) == 1


def test_photographs_without_classes_are_none(tmp_path):
    make(tmp_path, train=2, val=2)
    with pytest.raises(
        DataError, match="labels.txt is missing, and no class has a folder. t needs"
    ):
        imagenet_images(tmp_path, topology="t", classes=12)


def test_what_is_needed_for_other_classes_than_those_of_imagenet(tmp_path):
    with pytest.raises(DataError, match="index 0-11 in the order of the network's") as raised:
        imagenet_images(None, topology="t", classes=12)
    assert "image-net.org" not in str(raised.value)
