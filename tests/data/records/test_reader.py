import io
from pathlib import Path

import pytest

from lpot_examples.data.records.reader import all_shards, read_records, scan_records, shards
from lpot_examples.data.records.shard import write_record
from lpot_examples.errors import DataError

RECORDS = [b"", b"one", bytes(70_000), b"x" * 300]


def shard(path, records=RECORDS):
    buffer = io.BytesIO()
    for record in records:
        write_record(buffer, record)
    path.write_bytes(buffer.getvalue())
    return path


def change(path, at, value=0x55):
    data = bytearray(path.read_bytes())
    data[at] ^= value
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_it_reads_what_tensorflow_writes(tmp_path, compression):
    import tensorflow as tf

    path = tmp_path / "a.record"
    with tf.io.TFRecordWriter(str(path), options=compression) as writer:
        for record in RECORDS * 30:
            writer.write(record)
    assert list(read_records(path)) == RECORDS * 30


def test_tensorflow_reads_what_is_written(tmp_path):
    import tensorflow as tf

    path = shard(tmp_path / "a.record")
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == RECORDS


def test_damaged_data_is_named_and_the_next_record_is_still_found(tmp_path):
    path = shard(tmp_path / "a.record")
    change(path, 16 + 12 + 1)  # the second record's data
    with pytest.raises(DataError, match=r"a\.record: record 1 \(byte 16\) has data whose checksum"):
        list(read_records(path))
    found = list(scan_records(path))
    assert [record.data for record in found] == [b"", None, *RECORDS[2:]]
    assert [record.offset for record in found] == [0, 16, 35, 35 + 70_016]


def test_a_damaged_length_ends_the_shard(tmp_path):
    path = shard(tmp_path / "a.record")
    change(path, 16)
    found = list(scan_records(path))
    assert len(found) == 2
    assert "has a length whose checksum" in found[1].fault


def test_what_is_no_shard_is_said(tmp_path):
    path = tmp_path / "a.record"
    path.write_bytes(b"a text of some length")
    with pytest.raises(DataError, match=r"record 0 .* it may be no TFRecord"):
        list(read_records(path))


@pytest.mark.parametrize("left", [5, 14, -2])
def test_a_shard_that_ends_early_is_named(tmp_path, left):
    path = shard(tmp_path / "a.record", [b"first", b"second"])
    second = 12 + 5 + 4
    data = path.read_bytes()
    path.write_bytes(data[: second + left] if left > 0 else data[:left])
    with pytest.raises(DataError, match="record 1 .* is cut off"):
        list(read_records(path))


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_a_compressed_shard_that_ends_early_is_named(tmp_path, compression):
    import random

    import tensorflow as tf

    path = tmp_path / "a.record"
    noise = random.Random(0).randbytes(5000)
    with tf.io.TFRecordWriter(str(path), options=compression) as writer:
        writer.write(b"whole")
        writer.write(noise)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="record 1 .* cannot be read"):
        list(read_records(path))


def test_an_empty_shard_has_no_records(tmp_path):
    assert list(read_records(shard(tmp_path / "a.record", []))) == []


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(DataError, match="none.record cannot be read: No such file"):
        list(read_records(tmp_path / "none.record"))


@pytest.fixture
def folder(tmp_path):
    for name in ("train-00000-of-00001", "coco_val.record-00000-of-00002", "labels.txt"):
        (tmp_path / name).touch()
    (tmp_path / "coco_val.record-00001-of-00002").touch()
    (tmp_path / ".coco_val.record-00000-of-00002.17.tmp").touch()
    return tmp_path


def names(paths):
    return [path.name for path in paths]


VALIDATION = ["coco_val.record-00000-of-00002", "coco_val.record-00001-of-00002"]


def test_shards_of_a_file_a_prefix_and_a_pattern(folder):
    assert names(shards(folder / "train-00000-of-00001")) == ["train-00000-of-00001"]
    assert names(shards(folder / "coco_val.record")) == VALIDATION
    assert names(shards(folder / "coco_val*-of-*")) == VALIDATION


def test_shards_of_a_folder_by_split(folder):
    assert names(shards(folder, split="validation")) == VALIDATION
    assert names(shards(folder, split="train")) == ["train-00000-of-00001"]
    assert names(all_shards(folder)) == [*VALIDATION, "train-00000-of-00001"]
    with pytest.raises(DataError, match=r"2 sets of records: coco_val\.record, train\. Say which"):
        shards(folder)


def test_the_only_set_is_taken_whatever_its_name(folder):
    (folder / "train-00000-of-00001").unlink()
    assert names(shards(folder, split="train")) == VALIDATION


def test_an_incomplete_set_is_refused(folder):
    (folder / "coco_val.record-00001-of-00002").unlink()
    for location in (folder / "coco_val.record", folder):
        with pytest.raises(DataError, match="first coco_val.record-00001-of-00002. Run the conver"):
            shards(location, split="validation")
    with pytest.raises(DataError, match="1 are missing"):
        all_shards(folder)


def test_sets_of_two_conversions_are_not_mixed(folder):
    (folder / "coco_val.record-00000-of-00001").touch()
    with pytest.raises(DataError, match=r"of-00001, coco_val\.record-\*-of-00002"):
        shards(folder / "coco_val.record")


def test_nothing_at_the_location_is_said(tmp_path):
    for location in (tmp_path, tmp_path / "none", Path("no/such/*")):
        with pytest.raises(DataError, match="nothing is there"):
            shards(location)
