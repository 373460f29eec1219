import json

import pytest
from PIL import Image

from lpot_examples.data.coco import coco_calibration, coco_images
from lpot_examples.errors import DataError


def content():
    return {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "width": 16, "height": 12}
            for number in (7, 2, 5)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4.5]},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 16, 12]},
        ],
    }


@pytest.fixture
def root(tmp_path):
    for split in ("val2017", "train2017", "annotations"):
        (tmp_path / split).mkdir()
    for number in (2, 5, 7):
        Image.new("RGB", (16, 12)).save(tmp_path / "val2017" / f"{number}.jpg")
        Image.new("RGB", (16, 12)).save(tmp_path / "train2017" / f"{number}.jpg")
    write(tmp_path, content())
    return tmp_path


def write(root, value):
    text = value if isinstance(value, str) else json.dumps(value)
    (root / "annotations" / "instances_val2017.json").write_text(text)


def test_images_are_in_id_order_and_limited(root):
    images = coco_images(root, topology="t")
    assert [sample.label for sample in images.samples] == [2, 5, 7]
    assert images.samples[0].path == root / "val2017" / "2.jpg"
    assert images.samples[0].size == (16, 12)
    some = coco_images(root, topology="t", limit=1)
    assert [row["id"] for row in some.ground_truth["images"]] == [2]
    assert [row["id"] for row in some.ground_truth["annotations"]] == [2]
    assert len(coco_images(root, topology="t", limit=99)) == 3
    with pytest.raises(DataError, match="it is 0"):
        coco_images(root, topology="t", limit=0)


def spoil(change):
    value = content()
    change(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{\n  [", r"instances_val2017.json:2: .*JSON"),
        ([], "must hold the lists"),
        ({"images": []}, "must hold the lists"),
        ({"images": [], "annotations": [], "categories": []}, "at least one image"),
        (
            spoil(lambda v: v["annotations"][1].update(image_id=9)),
            r"annotations\[1\] \(id 2\).* 9,",
        ),
        (spoil(lambda v: v["annotations"][0].update(category_id=3)), r"\[0\].*category id 3"),
        (spoil(lambda v: v["annotations"][0].update(bbox=[1, 2, 3])), r"\[0\].*4 numbers"),
        (spoil(lambda v: v["annotations"][0].pop("bbox")), r"\[0\].*it is None"),
        (spoil(lambda v: v["annotations"][0].update(bbox=[1, 2, -3, 4])), "non-negative"),
        (spoil(lambda v: v["annotations"][0].update(bbox=[1, 2, float("nan"), 4])), "4 numbers"),
        (spoil(lambda v: v["annotations"][0].update(bbox=[90, 2, 3, 4])), "outside its image"),
        (spoil(lambda v: v["images"][1].update(id=7)), r"images\[1\] repeats the image id 7"),
        (spoil(lambda v: v["images"][0].pop("width")), r"images\[0\].*width and height"),
        (spoil(lambda v: v["images"][0].pop("file_name")), r"images\[0\].*file_name"),
        (
            spoil(lambda v: v["images"][2].update(file_name="gone.jpg")),
            r"3 images, of which 1 do not exist, the first .*gone.jpg",
        ),
    ],
)
def test_annotations_that_do_not_match(root, value, message):
    write(root, value)
    with pytest.raises(DataError, match=message):
        coco_images(root, topology="t")


def test_what_is_missing_and_how_to_get_it(root):
    for location in (None, root / "nowhere", root / "train2017"):
        with pytest.raises(
            DataError, match="val2017.*cocodataset.org.*run_tuning.sh --topology=net"
        ):
            coco_images(location, topology="net")
    with pytest.raises(DataError, match="no image to calibrate with.*cocodataset.org"):
        coco_calibration(root / "val2017", topology="net")


def test_calibration_needs_no_annotations(root):
    assert [s.path.name for s in coco_calibration(root, topology="t")] == [
        "2.jpg",
        "5.jpg",
        "7.jpg",
    ]
