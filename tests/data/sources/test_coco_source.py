import pytest

from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.coco import open_coco
from lpot_examples.data.sources.labels import named
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import coco_set, write_instances


@pytest.fixture
def root(tmp_path):
    (tmp_path / "coco").mkdir()
    return tmp_path / "coco"


def test_images_in_id_order_with_their_objects(root):
    content = coco_set(root)
    content["images"].reverse()
    write_instances(root, content)
    source = open_coco(root, troubles=Troubles())
    assert list(source.splits) == ["validation"]
    images = source.splits["validation"]
    assert [image.source_id for image in images] == ["10", "20", "30", "40", "50"]
    assert images[0].size == (48, 32)
    first, second = images[0].objects
    assert first.box == (2.5, 3.25, 22.5, 18.75)
    assert (first.label, first.text, first.area, first.crowd) == (1, "person", 155.0, False)
    assert (second.label, second.text, second.crowd) == (18, "dog", True)
    assert images[-1].objects == ()
    assert first.segmentation is None
    assert [(row.number, row.name) for row in source.labels.labels] == [(1, "person"), (18, "dog")]


def test_masks_are_kept_where_they_are_wanted(root):
    coco_set(root)
    source = open_coco(root, troubles=Troubles(), masks=True)
    assert source.splits["validation"][0].objects[0].segmentation[0][:2] == [2.5, 3.25]


def test_splits_that_are_there_or_asked_for(root):
    coco_set(root)
    coco_set(root, split="train2017")
    assert list(open_coco(root, troubles=Troubles()).splits) == ["train", "validation"]
    assert list(open_coco(root, troubles=Troubles(), splits=["val2017"]).splits) == ["validation"]
    with pytest.raises(DataError, match="instances_val2014.json is missing. COCO's layout"):
        open_coco(root, troubles=Troubles(), splits=["val2014"])
    for path in (root / "train2017").iterdir():
        path.unlink()
    (root / "train2017").rmdir()
    assert list(open_coco(root, troubles=Troubles()).splits) == ["validation"]
    with pytest.raises(DataError, match="train2017 is missing"):
        open_coco(root, troubles=Troubles(), splits=["train2017"])


def test_archives_unpacked_each_into_its_own_folder(root):
    coco_set(root)
    (root / "annotations_trainval2017").mkdir()
    (root / "annotations").rename(root / "annotations_trainval2017" / "annotations")
    (root / "val2017").rename(root / "inner")
    (root / "val2017").mkdir()
    (root / "inner").rename(root / "val2017" / "val2017")
    image = open_coco(root, troubles=Troubles()).splits["validation"][0]
    assert image.content.path.is_file()


def test_no_annotations_and_no_images_are_said(root):
    with pytest.raises(DataError, match=r"annotations/instances_\*\.json is missing"):
        open_coco(root, troubles=Troubles())
    write_instances(root, coco_set(root.parent / "other"))
    with pytest.raises(DataError, match="coco/val2017 is missing, the folder of images"):
        open_coco(root, troubles=Troubles())


def _repeat_image(content):
    content["images"].append(dict(content["images"][0]))


def _same_file(content):
    content["images"][1]["file_name"] = content["images"][0]["file_name"]


def _no_size(content):
    del content["images"][4]["width"]


def _unknown_image(content):
    content["annotations"][3]["image_id"] = 7


def _unknown_class(content):
    content["annotations"][3]["category_id"] = 7


def _no_number(content):
    content["annotations"][3]["category_id"] = [1]


def _outside(content):
    content["annotations"][3]["bbox"] = [100, 0, 5, 5]


def _negative(content):
    content["annotations"][3]["bbox"] = [1, 1, -5, 5]


def _repeat_annotation(content):
    content["annotations"][3]["id"] = content["annotations"][0]["id"]


BAD = [
    (_repeat_image, "duplicate", r"images\[5\] repeats the image id 10", 5, 8),
    (_same_file, "duplicate", r"images\[1\] \(id 20\) lists 000000000010.jpg, as id 10", 4, 6),
    (_no_size, "annotation", r"images\[4\] must have its width and height", 4, 8),
    (_unknown_image, "annotation", r"annotations\[3\] \(id 103\) is for image id 7", 5, 7),
    (_unknown_class, "class", r"annotations\[3\] \(id 103\) has category id 7", 5, 7),
    (_no_number, "class", r"annotations\[3\] \(id 103\) has category id \[1\]", 5, 7),
    (_outside, "box", r"annotations\[3\] \(id 103\) has the bbox .* outside its image", 5, 7),
    (_negative, "box", r"annotations\[3\] \(id 103\) must have a bbox", 5, 7),
    (_repeat_annotation, "duplicate", r"annotations\[3\].* repeats the annotation id 100", 5, 7),
]


@pytest.mark.parametrize(("spoil", "kind", "message", "images", "objects"), BAD)
def test_what_cannot_be_used_is_named_or_left_out(root, spoil, kind, message, images, objects):
    content = coco_set(root)
    spoil(content)
    file = write_instances(root, content)
    with pytest.raises(DataError, match=f"{file}: {message}.*--skip_bad"):
        open_coco(root, troubles=Troubles())
    troubles = Troubles(skip=True)
    found = open_coco(root, troubles=troubles).splits["validation"]
    assert troubles.found[0].kind == kind
    assert len(found) == images
    assert sum(len(image.objects) for image in found) == objects


def test_annotations_that_are_cut_off_are_named(root):
    coco_set(root)
    file = root / "annotations" / "instances_val2017.json"
    file.write_text(file.read_text()[:200])
    with pytest.raises(DataError, match="instances_val2017.json:1: annotations must be JSON"):
        open_coco(root, troubles=Troubles(skip=True))


def test_names_of_ones_own(root):
    coco_set(root)
    labels = named(["human", "hound"], first=1, origin="my.txt")
    with pytest.raises(DataError, match=r"category id 18 \('dog'\), which my.txt does not name"):
        open_coco(root, troubles=Troubles(), labels=labels)
    troubles = Troubles(skip=True)
    images = open_coco(root, troubles=troubles, labels=labels).splits["validation"]
    assert {item.text for image in images for item in image.objects} == {"human"}
    assert {trouble.kind for trouble in troubles.found} == {"class"}


def test_splits_with_other_categories_are_refused(root):
    coco_set(root)
    content = coco_set(root, split="train2017")
    content["categories"][0]["name"] = "human"
    write_instances(root, content, split="train2017")
    with pytest.raises(DataError, match=r"categories\[0\] calls category 1 'person'; elsewhere"):
        open_coco(root, troubles=Troubles())
