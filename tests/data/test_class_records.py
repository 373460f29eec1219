"""Labelled images in TFRecord shards; the shards are written by TensorFlow itself."""

import io

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.class_records import (
    evaluation_records,
    open_calibration_records,
    open_records,
)
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError
from lpot_examples.zoo.classification import ImageClassifier

PLAIN = ImageTransform(height=4, width=6)


def write(path, labels, *, image=True):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, label in enumerate(labels):
            encoded = io.BytesIO()
            Image.new("RGB", (6, 4), (number, label % 256, 0)).save(encoded, "png")
            feature = {}
            if label >= 0:
                values = tf.train.Int64List(value=[label])
                feature["image/class/label"] = tf.train.Feature(int64_list=values)
            if image:
                values = tf.train.BytesList(value=[encoded.getvalue()])
                feature["image/encoded"] = tf.train.Feature(bytes_list=values)
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "validation-00000-of-00002", [1, 2, 1000])
    write(tmp_path / "validation-00001-of-00002", [5, 1, 8])
    return tmp_path


def labels(loader):
    return [int(label) for _, batch in loader for label in batch]


def test_imagenet_counts_from_one(folder):
    loader = open_records(folder, PLAIN, 4, classes=1000, limit=None)
    assert len(evaluation_records(folder)) == 2
    assert len(loader) == 2 and len(loader.samples) == 6
    for _ in range(2):
        assert labels(loader) == [0, 1, 999, 4, 0, 7]
    images = np.concatenate([images for images, _ in loader])
    assert images.shape == (6, 4, 6, 3)
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    some = list(loader.ordered([5, 0]))
    assert labels(some) == [7, 0]


def test_part_of_it_and_other_ways_to_name_it(folder):
    assert labels(open_records(folder, PLAIN, 1, classes=1000, limit=4)) == [0, 1, 999, 4]
    second = folder / "validation-00001-of-00002"
    assert labels(open_records(second, PLAIN, 1, classes=1000, limit=None)) == [4, 0, 7]
    assert len(evaluation_records(folder / "validation")) == 2
    with pytest.raises(DataError, match="at least 1; it is 0"):
        open_records(folder, PLAIN, 1, classes=1000, limit=0)
    assert evaluation_records(None) == evaluation_records(folder / "nowhere") == ()


def test_what_calibrates(folder):
    assert labels(open_calibration_records(folder, PLAIN, 1, classes=1000)) == [0, 7]
    write(folder / "train-00000-of-00001", [3, 4])
    assert labels(open_calibration_records(folder, PLAIN, 1, classes=1000)) == [2, 3]
    assert labels(open_records(folder, PLAIN, 1, classes=1000, limit=2)) == [0, 1]


def test_other_classes_count_from_zero_or_as_the_label_map_says(tmp_path):
    write(tmp_path / "val.tfrecord", [1, 2, 1])
    loader = open_records(tmp_path, PLAIN, 1, classes=3, limit=None)
    assert labels(loader) == [1, 2, 1]
    items = [f"item {{\n  name: 'c{number}'\n  id: {number}\n}}\n" for number in (1, 2)]
    (tmp_path / "label_map.pbtxt").write_text("".join(items))
    assert labels(open_records(tmp_path, PLAIN, 1, classes=2, limit=None)) == [0, 1, 0]
    # A map of other classes says nothing of where these begin.
    assert labels(open_records(tmp_path, PLAIN, 1, classes=3, limit=None)) == [1, 2, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 1001], r"val.tfrecord: record 1: image/class/label must be in 1-1000; it is 1001"),
        ([0], r"record 0: image/class/label must be in 1-1000; it is 0"),
        ([-1], r"record 0: .* it is missing"),
    ],
)
def test_labels_out_of_range(tmp_path, values, message):
    write(tmp_path / "val.tfrecord", values)
    with pytest.raises(DataError, match=message):
        list(open_records(tmp_path, PLAIN, 1, classes=1000, limit=None))


def test_a_record_without_an_image(tmp_path):
    write(tmp_path / "val.tfrecord", [1], image=False)
    with pytest.raises(DataError, match="val.tfrecord: record 0 must hold an image"):
        list(open_records(tmp_path, PLAIN, 1, classes=1000, limit=None))


def test_a_classifier_reads_records_as_it_reads_photographs(folder):
    network = ImageClassifier(name="t", preprocessing=PLAIN, background=True)
    evaluation = network.evaluation(folder, batch_size=4)

    def model(images):
        """Write the label of each image, which is its green, into the scores."""
        scores = np.zeros((len(images), 1001))
        labels = images[:, 0, 0, 1].astype(int)
        scores[np.arange(len(images)), np.where(labels == 1000 % 256, 1000, labels)] = 1
        return scores

    result = evaluation(model)
    assert result.samples == 6
    assert result.per_sample.tolist() == [1, 1, 1, 1, 1, 1]
    assert result.details["top-5"] == 1.0
    assert len(list(network.calibration(folder))) == 2
