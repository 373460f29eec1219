import gzip

import numpy as np
import pytest

from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.errors import DataError


def photograph(png, pixels, seed, **more):
    return {"image/encoded": png(pixels(seed)), "image/class/label": seed, **more}


@pytest.fixture
def photographs(shard, png, pixels):
    """Five photographs in two shards of ``records/``, labels 0 to 4."""
    rows = [photograph(png, pixels, seed) for seed in range(5)]
    shard("records/validation-00000-of-00002", rows[:3])
    shard("records/validation-00001-of-00002", rows[3:])


def test_image_record(load, photographs, pixels):
    loader = load({"dataset": {"ImageRecord": {"root": "records"}}, "batch_size": 2})
    batches = list(loader)
    assert len(loader) == 3 and loader.sample_count == 5
    assert np.concatenate([labels for _, labels in batches]).tolist() == [0, 1, 2, 3, 4]
    assert batches[0][1].dtype == np.int64
    assert np.array_equal(np.concatenate([i for i, _ in batches]), [pixels(s) for s in range(5)])


@pytest.mark.parametrize("root", ["records/validation", "records/validation-*-of-00002"])
def test_a_prefix_or_a_pattern(load, photographs, root):
    assert load({"dataset": {"Imagenet": {"root": root}}}).sample_count == 5


def test_a_record_without_a_class_has_minus_one(load, shard, png, pixels):
    shard("a.record", [{"image/encoded": png(pixels(1))}])
    _, labels = next(iter(load({"dataset": {"ImageRecord": {"root": "a.record"}}})))
    assert labels.tolist() == [-1]


def test_coco_record(load, shard, objects, pixels):
    boxes = ((0.1, 0.2, 0.5, 0.6), (0, 0, 1, 1))
    shard(
        "val.record",
        [
            objects(1),
            objects(
                2,
                boxes,
                (18, 1),
                ("dog", "person"),
                **{"image/object/is_crowd": [0, 1], "image/object/area": [2.5, 3.5]},
            ),
            objects(3, (), (), ()),
        ],
    )
    loader = load(
        {"dataset": {"COCORecord": {"root": "val.record", "num_cores": 4}}, "batch_size": 3}
    )
    ((images, labels),) = loader
    assert images.dtype == np.uint8 and images.shape == (3, 20, 30, 3)
    assert np.array_equal(images[1], pixels(2))
    first, second, empty = labels.images
    assert isinstance(second, DetectionLabel)
    assert (second.image_id, second.size) == (102, (20, 30))
    assert second.classes.tolist() == [18, 1] and second.texts == ("dog", "person")
    assert np.allclose(second.boxes, boxes) and second.boxes.dtype == np.float32
    assert second.is_crowd.tolist() == [False, True] and second.area.tolist() == [2.5, 3.5]
    assert first.area[0] == pytest.approx(0.4 * 0.4 * 600) and not first.difficult.any()
    assert len(empty) == 0
    lpots_boxes, texts, classes, ids = labels
    assert ids == [b"101", b"102", b"103"] and list(texts[1]) == [b"dog", b"person"]


def test_names_without_numbers(load, shard, objects):
    row = objects(1)
    del row["image/object/class/label"], row["image/source_id"]
    shard("a.record", [row])
    ((_, labels),) = load({"dataset": {"COCORecord": {"root": "a.record"}}})
    assert labels.images[0].texts == ("cat",) and not len(labels.images[0].classes)
    assert labels.images[0].image_id == "1.png"


def test_voc_record_of_masks_and_of_objects(load, shard, objects, png, pixels):
    mask = pixels(5, channels=1)[..., 0] % 21
    row = {
        "image/encoded": png(pixels(1)),
        "image/segmentation/class/encoded": png(mask),
    }
    shard("voc/val-00000-of-00001", [row, row])
    shard("voc/train-00000-of-00001", [row])
    section = {
        "dataset": {"VOCRecord": {"root": "voc"}},
        "transform": {"ParseDecodeVoc": {}},
        "batch_size": 2,
    }
    ((images, labels),) = load(section)
    assert images.shape == (2, 20, 30, 3)
    assert labels.shape == (2, 20, 30, 1) and np.array_equal(labels[0, ..., 0], mask)
    shard("objects/val-00000-of-00001", [objects(1, **{"image/object/difficult": [1]})])
    ((_, labels),) = load({"dataset": {"VOCRecord": {"root": "objects"}}})
    assert labels.images[0].difficult.tolist() == [True]


@pytest.mark.parametrize("parse", [None, "ParseDecodeImagenet", "ParseDecodeCoco"])
def test_tfrecord_dataset(load, shard, objects, parse):
    shard("a.tfrecord", [objects(4, **{"image/class/label": 9})])
    section = {"dataset": {"TFRecordDataset": {"root": "a.tfrecord"}}}
    if parse:
        section["transform"] = {parse: None}
    ((images, labels),) = load(section)
    assert images.shape == (1, 20, 30, 3)
    if parse == "ParseDecodeImagenet":
        assert labels.tolist() == [9]
    else:
        assert labels.images[0].image_id == 104


def test_tfrecord_dataset_finds_out_what_it_holds(load, photographs, shard, png, pixels):
    loader = load({"dataset": {"TFRecordDataset": {"root": "records"}}, "batch_size": 5})
    assert next(iter(loader))[1].tolist() == [0, 1, 2, 3, 4]
    shard("bare.record", [{"image/encoded": png(pixels(1))}])
    with pytest.raises(DataError, match=r"bare.record: record 0 must hold image/class/label"):
        list(load({"dataset": {"TFRecordDataset": {"root": "bare.record"}}}))


def test_the_split_of_a_folder_with_several(load, shard, photographs, png, pixels):
    shard("records/train-00000-of-00001", [photograph(png, pixels, 7)])
    section = {"dataset": {"ImageRecord": {"root": "records"}}}
    assert load(section, split="train").sample_count == 1
    assert load(section, split="validation").sample_count == 5
    with pytest.raises(DataError, match="2 sets of records: train, validation"):
        load(section)


def test_compressed_shards(load, shard, photographs, tmp_path, pixels):
    plain = tmp_path / "records" / "validation-00000-of-00002"
    (tmp_path / "small.record").write_bytes(gzip.compress(plain.read_bytes()))
    loader = load({"dataset": {"ImageRecord": {"root": "small.record"}}, "batch_size": 3})
    ((images, labels),) = loader
    assert labels.tolist() == [0, 1, 2] and np.array_equal(images[2], pixels(2))


def test_label_balance(load, shard, objects):
    boxes = ((0.1, 0.2, 0.5, 0.6), (0, 0, 1, 1))
    rows = [
        objects(1),
        objects(2, boxes, (1, 1), ("cat", "cat")),
        objects(3),
        objects(4, (), (), ()),
    ]
    shard("a.record", rows)
    section = {
        "dataset": {"COCORecord": {"root": "a.record"}},
        "filter": {"LabelBalance": {"size": 1}},
    }
    loader = load(section)
    ids = [labels.images[0].image_id for _, labels in loader]
    assert ids == [101, 103] and loader.sample_count == len(loader) == 2
    section["filter"] = {"LabelBalance": {"size": 9}}
    with pytest.raises(DataError, match="dataloader.filter takes none of the 4 samples"):
        list(load(section))


def test_label_balance_needs_boxes(load, photographs):
    section = {
        "dataset": {"ImageRecord": {"root": "records"}},
        "filter": {"LabelBalance": {"size": 1}},
    }
    with pytest.raises(DataError, match="LabelBalance counts the objects"):
        len(load(section))


class TestDamage:
    def test_data(self, load, photographs, tmp_path):
        path = tmp_path / "records" / "validation-00001-of-00002"
        data = bytearray(path.read_bytes())
        data[-30] ^= 1
        path.write_bytes(data)
        loader = load({"dataset": {"ImageRecord": {"root": "records"}}})
        with pytest.raises(DataError, match=r"validation-00001-of-00002: record 1 .*checksum"):
            list(loader)

    def test_cut_off(self, load, photographs, tmp_path):
        path = tmp_path / "records" / "validation-00001-of-00002"
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(DataError, match=r"validation-00001-of-00002 is cut off within"):
            load({"dataset": {"ImageRecord": {"root": "records"}}})

    def test_a_length(self, load, shard, photographs, tmp_path):
        path = tmp_path / "records" / "validation-00000-of-00002"
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        second = 12 + length + 4
        path.write_bytes(data[:second] + b"\xff" + data[second + 1 :])
        with pytest.raises(DataError, match=rf"damaged length at byte {second}"):
            load({"dataset": {"ImageRecord": {"root": "records"}}})

    def test_an_image(self, load, shard):
        shard("a.record", [{"image/encoded": b"no image", "image/class/label": 1}])
        with pytest.raises(DataError, match=r"a.record: record 0 must be an image"):
            list(load({"dataset": {"ImageRecord": {"root": "a.record"}}}))

    def test_not_an_example(self, load, shard):
        shard("a.record", [b"\xff\xff\xff"])
        with pytest.raises(DataError, match=r"a.record: record 0"):
            list(load({"dataset": {"ImageRecord": {"root": "a.record"}}}))

    def test_boxes_without_classes(self, load, shard, objects):
        row = objects(1, classes=(1, 2))
        shard("a.record", [row])
        with pytest.raises(DataError, match="1 boxes, 2 class numbers and 1 names"):
            list(load({"dataset": {"COCORecord": {"root": "a.record"}}}))

    def test_no_records(self, load, tmp_path):
        (tmp_path / "a.record").touch()
        with pytest.raises(DataError, match="at least one record"):
            load({"dataset": {"ImageRecord": {"root": "a.record"}}})
        with pytest.raises(DataError, match=r"ImageRecord.root must be where .*nowhere"):
            load({"dataset": {"ImageRecord": {"root": "nowhere"}}})
