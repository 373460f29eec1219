"""Records of COCO as annotations; what happens to their images is in tests/examples."""

import pytest

from lpot_examples.data.records.example import make_example
from lpot_examples.errors import DataError
from lpot_examples.zoo.coco_records import annotated_records, is_records


def write(path, *examples):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, changes in enumerate(examples, 1):
            features = {
                "image/encoded": b"not decoded here",
                "image/source_id": str(10 * number),
                "image/height": 50,
                "image/width": 100,
                "image/object/bbox/ymin": [0.2, 0.0],
                "image/object/bbox/xmin": [0.1, 0.0],
                "image/object/bbox/ymax": [0.4, 1.0],
                "image/object/bbox/xmax": [0.5, 0.5],
                "image/object/class/label": [3, 90],
                "image/object/is_crowd": [0, 1],
                "image/object/area": [123.0, 2500.0],
                **changes,
            }
            writer.write(make_example({k: v for k, v in features.items() if v is not None}))
    return path


def read(path, **options):
    return annotated_records(path, **{"batch_size": 1, "limit": None, "masks": False, **options})


def test_annotations_are_those_of_the_instances_file(tmp_path):
    later, earlier = {"image/source_id": "7"}, {"image/source_id": "5"}
    found = read(write(tmp_path / "val.record", later, earlier)).ground_truth
    assert found["images"] == [{"id": i, "width": 100, "height": 50} for i in (5, 7)]
    assert found["categories"] == [{"id": 3}, {"id": 90}]
    assert [row["id"] for row in found["annotations"]] == [1, 2, 3, 4]
    first, second = found["annotations"][:2]
    assert (first["image_id"], first["category_id"], first["iscrowd"]) == (5, 3, 0)
    assert first["bbox"] == pytest.approx([10, 10, 40, 10], abs=1e-4)
    assert (first["area"], second["iscrowd"]) == (123.0, 1)
    few = read(tmp_path / "val.record", limit=1)
    assert [row["image_id"] for row in few.ground_truth["annotations"]] == [5, 5]
    assert [sample.label for sample in few.images.samples] == [5]


def test_names_are_enough_for_coco(tmp_path):
    """TensorFlow's own script wrote no numbers for years."""
    named = {"image/object/class/label": None, "image/object/class/text": [b"car", b"toothbrush"]}
    rows = read(write(tmp_path / "val.record", named)).ground_truth["annotations"]
    assert [row["category_id"] for row in rows] == [3, 90]
    unknown = {**named, "image/object/class/text": [b"car", b"unicorn"]}
    with pytest.raises(DataError, match="record 0 must hold the category id.*'unicorn'"):
        read(write(tmp_path / "val.record", unknown))


def test_images_without_objects_and_without_ids(tmp_path):
    sides = ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax", "class/label", "is_crowd", "area")
    empty = {f"image/object/{side}": None for side in sides}
    found = read(write(tmp_path / "val.record", {"image/source_id": None}, empty)).ground_truth
    assert [row["id"] for row in found["images"]] == [0, 20]
    assert {row["image_id"] for row in found["annotations"]} == {0}


def test_masks_that_cannot_be_read(tmp_path):
    broken = {"image/object/mask": [b"no", b"png"]}
    with pytest.raises(DataError, match="record 0: a mask cannot be decoded"):
        read(write(tmp_path / "val.record", broken), masks=True)
    with pytest.raises(DataError, match="--masks"):
        read(write(tmp_path / "val.record", {}), masks=True)


def test_damaged_records(tmp_path):
    path = write(tmp_path / "val.record", {}, {})
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="val.record: record 1 .*checksum"):
        read(path)


def test_what_means_records(tmp_path):
    assert not is_records(tmp_path) and not is_records(tmp_path / "val")
    write(tmp_path / "val-00000-of-00001", {})
    for location in (
        tmp_path,
        tmp_path / "val",
        tmp_path / "val-*",
        tmp_path / "val-00000-of-00001",
    ):
        assert is_records(location), location
    (tmp_path / "annotations").mkdir()
    assert not is_records(tmp_path), "COCO's own layout, with records beside it"


def test_sizes_of_images_are_known_for_batches(tmp_path):
    tall = {"image/height": 200}
    found = read(write(tmp_path / "val.record", {}, tall, {}), batch_size=2)
    assert [sample.label for sample in found.images.samples] == [10, 30, 20]
    assert len(found.images) == 2
