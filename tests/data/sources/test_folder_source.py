import pytest

from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.folder import open_folder
from lpot_examples.data.sources.labels import named
from lpot_examples.data.sources.opening import open_source
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import folder_set, picture


def opened(root, **options):
    return open_folder(root, troubles=Troubles(), **options)


def test_a_subfolder_for_each_class(tmp_path):
    folder_set(tmp_path, ["dog", "cat"])
    source = opened(tmp_path)
    assert [(row.number, row.name) for row in source.labels.labels] == [(0, "cat"), (1, "dog")]
    images = source.splits[""]
    assert [image.text for image in images] == ["cat", "dog"] * 3  # the classes take turns
    assert images[1].label == 1
    assert images[1].source_id == "dog/dog_0.jpg"


def test_images_without_classes(tmp_path):
    for name in ("b.jpg", "a.png"):
        (tmp_path / name).write_bytes(picture(1))
    (tmp_path / "notes.txt").touch()
    images = opened(tmp_path).splits[""]
    assert [(image.source_id, image.label) for image in images] == [
        ("a.png", None),
        ("b.jpg", None),
    ]


def test_folders_of_splits(tmp_path):
    folder_set(tmp_path / "train", ["cat", "dog"])
    folder_set(tmp_path / "val", ["dog"])
    source = opened(tmp_path)
    assert {split: len(images) for split, images in source.splits.items()} == {
        "train": 6,
        "validation": 3,
    }
    assert source.splits["validation"][0].label == 1
    assert list(opened(tmp_path, splits=["val"]).splits) == ["validation"]
    with pytest.raises(DataError, match="test is missing"):
        opened(tmp_path, splits=["test"])


def test_classes_of_ones_own(tmp_path):
    folder_set(tmp_path, ["cat", "dog"])
    labels = named(["dog", "cat"], first=5, origin="my.txt")
    assert [image.label for image in opened(tmp_path, labels=labels).splits[""][:2]] == [6, 5]
    with pytest.raises(DataError, match="dog is none of the 1 classes of my.txt"):
        opened(tmp_path, labels=named(["cat"], first=0, origin="my.txt"))


def test_an_image_beside_the_classes_is_named(tmp_path):
    folder_set(tmp_path, ["cat"])
    (tmp_path / "stray.jpg").write_bytes(picture(1))
    with pytest.raises(DataError, match=r"stray\.jpg is in no class"):
        opened(tmp_path)
    troubles = Troubles(skip=True)
    assert len(open_folder(tmp_path, troubles=troubles).splits[""]) == 3
    assert [trouble.kind for trouble in troubles.found] == ["annotation"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no image"):
        opened(tmp_path)


def test_kinds_and_options_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match="is 'cocoa'. Did you mean 'coco'"):
        open_source("cocoa", tmp_path, troubles=Troubles())
    with pytest.raises(DataError, match="--masks is for --dataset=coco"):
        open_source("folder", tmp_path, troubles=Troubles(), masks=True)
    with pytest.raises(DataError, match="--bounding_boxes is for --dataset=imagenet"):
        open_source("folder", tmp_path, troubles=Troubles(), boxes=tmp_path)
