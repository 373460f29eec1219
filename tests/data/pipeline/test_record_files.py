import gzip
import zlib

import cloudpickle
import numpy as np
import pytest

from lpot_examples.data.pipeline.record_files import RecordFiles
from lpot_examples.errors import DataError

ROWS = [bytes([number]) * size for number, size in enumerate((3, 0, 70000, 12, 5))]


def test_any_record_of_several_shards(shard):
    files = RecordFiles([shard("a", ROWS[:3]), shard("b", []), shard("c", ROWS[3:])])
    assert len(files) == 5
    assert [files.read(row) for row in (4, 0, 3, 2, 1)] == [ROWS[row] for row in (4, 0, 3, 2, 1)]
    assert files.place(2).endswith("a: record 2") and files.place(3).endswith("c: record 0")


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_compressed_shards(shard, tmp_path, compress):
    path = tmp_path / "small"
    path.write_bytes(compress(shard("a", ROWS).read_bytes()))
    files = RecordFiles([path])
    assert [files.read(row) for row in range(5)] == ROWS
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="small: record"):
        RecordFiles([path])


def test_as_tensorflow_writes_them(tmp_path):
    tf = pytest.importorskip("tensorflow")
    path = tmp_path / "theirs.record"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in ROWS:
            writer.write(row)
    files = RecordFiles([path])
    assert [files.read(row) for row in range(5)] == ROWS


def test_what_is_no_shard(tmp_path):
    (tmp_path / "text").write_text("not a shard, but long enough to look at")
    with pytest.raises(DataError, match=r"text: record 0 has a length whose checksum"):
        RecordFiles([tmp_path / "text"])
    with pytest.raises(DataError, match=r"none cannot be read: No such file"):
        RecordFiles([tmp_path / "none"])


def test_loaders_go_to_other_processes(load, shard, objects):
    shard("a.record", [objects(1), objects(2)])
    section = {
        "dataset": {"COCORecord": {"root": "a.record"}},
        "transform": {"Resize": {"size": 8}},
        "filter": {"LabelBalance": {"size": 1}},
    }
    loader = load(section)
    first = list(loader)
    copy = cloudpickle.loads(cloudpickle.dumps(loader))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, copy, strict=True))
