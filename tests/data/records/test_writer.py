import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lpot_examples
from lpot_examples.data.records.convert import convert
from lpot_examples.data.records.example import parse_example
from lpot_examples.data.records.features import RecordOptions
from lpot_examples.data.records.plan import Division
from lpot_examples.data.records.reader import all_shards, read_records, shards
from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.coco import open_coco
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import coco_set, picture, write_instances


@pytest.fixture
def coco(tmp_path):
    root = tmp_path / "coco"
    root.mkdir()
    coco_set(root, images=9)
    return root


def write(root, folder, *, workers=1, skip=False, shards=3, compression="", **division):
    troubles = Troubles(skip=skip)
    return convert(
        open_coco(root, troubles=troubles),
        folder,
        division=Division(num_shards=shards, **division),
        options=RecordOptions(dataset="coco"),
        troubles=troubles,
        workers=workers,
        compression=compression,
    )


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def source_ids(folder):
    records = (record for path in all_shards(folder) for record in read_records(path))
    return [parse_example(record)["image/source_id"][0].decode() for record in records]


def test_the_number_of_processes_changes_no_byte(coco, tmp_path):
    one = write(coco, tmp_path / "one", train_valid_split=0.5)
    assert write(coco, tmp_path / "two", train_valid_split=0.5, workers=3) == one
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_compressed_shards_hold_the_same_and_do_not_depend_on_time(coco, tmp_path, compression):
    write(coco, tmp_path / "plain")
    write(coco, tmp_path / "a", compression=compression)
    time.sleep(1.1)  # a gzip header would have the seconds
    write(coco, tmp_path / "b", compression=compression)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    plain, packed = (
        [record for path in shards(tmp_path / name) for record in read_records(path)]
        for name in ("plain", "a")
    )
    assert plain == packed


def test_tensorflow_reads_it(coco, tmp_path):
    import tensorflow as tf

    write(coco, tmp_path / "out")
    files = [str(path) for path in shards(tmp_path / "out")]
    wanted = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/source_id": tf.io.FixedLenFeature([], tf.string),
        "image/object/bbox/xmin": tf.io.VarLenFeature(tf.float32),
        "image/object/class/label": tf.io.VarLenFeature(tf.int64),
    }
    rows = [tf.io.parse_single_example(data, wanted) for data in tf.data.TFRecordDataset(files)]
    assert [row["image/source_id"].numpy() for row in rows] == [
        str(10 * n).encode() for n in range(1, 10)
    ]
    assert tf.io.decode_jpeg(rows[0]["image/encoded"]).shape == (32, 48, 3)
    assert rows[0]["image/object/class/label"].values.numpy().tolist() == [1, 18]
    assert rows[0]["image/object/bbox/xmin"].values.numpy()[0] == pytest.approx(2.5 / 48)


def test_a_second_run_keeps_finished_shards_and_writes_what_is_missing(coco, tmp_path):
    out = tmp_path / "out"
    first = write(coco, out)
    before = {path.name: path.stat() for path in out.iterdir() if "-of-" in path.name}
    lost = out / "coco_val.record-00001-of-00003"
    lost.unlink()
    (out / f".{lost.name}.1234.tmp").write_bytes(b"half written")
    (out / ".keep.tmp").touch()
    assert write(coco, out) == first
    after = {path.name: path.stat() for path in out.iterdir() if "-of-" in path.name}
    assert set(after) == set(before)  # nothing half-written is left
    assert (out / ".keep.tmp").exists()  # it was none of ours
    kept = {name for name in after if after[name].st_mtime_ns == before[name].st_mtime_ns}
    assert kept == set(before) - {lost.name}


def test_a_shard_is_written_anew_when_what_it_is_made_of_changed(coco, tmp_path):
    out = tmp_path / "out"
    write(coco, out)
    before = digests(out)
    (coco / "val2017" / f"{40:012}.jpg").write_bytes(picture(77))  # in the second shard
    write(coco, out)
    changed = {name for name, digest in digests(out).items() if digest != before[name]}
    assert changed == {"coco_val.record-00001-of-00003", "summary.json"}


def test_a_changed_annotation_or_option_counts_as_a_change(coco, tmp_path):
    out = tmp_path / "out"
    write(coco, out)
    content = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    content["annotations"][0]["category_id"] = 18
    write_instances(coco, content)
    summary = write(coco, out)
    assert summary.splits["validation"].classes == {"person": 7, "dog": 9}
    first = next(read_records(shards(out)[0]))
    assert parse_example(first)["image/object/class/label"].tolist() == [18, 18]


def test_a_damaged_or_exchanged_shard_is_not_taken_for_finished(coco, tmp_path):
    out = tmp_path / "out"
    write(coco, out)
    before = digests(out)
    path = shards(out)[0]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    write(coco, out)
    assert digests(out) == before


def test_another_number_of_shards_replaces_the_old_set(coco, tmp_path):
    out = tmp_path / "out"
    write(coco, out)
    (out / "other-00000-of-00001").touch()
    write(coco, out, shards=2)
    names = {path.name for path in out.iterdir() if "-of-" in path.name}
    assert names == {f"coco_val.record-{n:05}-of-00002" for n in (0, 1)} | {"other-00000-of-00001"}


def test_the_first_error_in_order_is_told_and_finished_shards_stay(coco, tmp_path):
    for number in (50, 80):
        (coco / "val2017" / f"{number:012}.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"000050\.jpg must be an image.*--skip_bad"):
        write(coco, tmp_path / "out")
    present = [path.name for path in (tmp_path / "out").iterdir() if "-of-" in path.name]
    assert present == ["coco_val.record-00000-of-00003"]
    with pytest.raises(DataError, match=r"0000[58]0\.jpg must be an image"):
        write(coco, tmp_path / "parallel", workers=2)
    assert not list((tmp_path / "parallel").glob(".*.tmp"))


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_ones_are_counted_and_listed_when_they_are_skipped(coco, tmp_path, workers):
    (coco / "val2017" / f"{50:012}.jpg").write_bytes(picture(1)[:200])
    (coco / "val2017" / f"{80:012}.jpg").unlink()
    out = tmp_path / "out"
    summary = write(coco, out, skip=True, workers=workers)
    assert [trouble.kind for trouble in summary.troubles] == ["image", "image"]
    assert "000050.jpg cannot be decoded" in summary.troubles[0].message
    assert "000080.jpg cannot be read: No such file" in summary.troubles[1].message
    assert source_ids(out) == ["10", "20", "30", "40", "60", "70", "90"]
    listed = json.loads((out / "summary.json").read_text())
    assert len(listed["troubles"]) == 2
    assert listed["splits"]["validation"]["records"] == 7
    assert listed["splits"]["validation"]["classes"] == {"person": 6, "dog": 6}
    # Finished shards tell of them again.
    assert write(coco, out, skip=True, workers=workers) == summary


def test_labels_files_lie_beside_the_shards(coco, tmp_path):
    write(coco, tmp_path / "out")
    text = (tmp_path / "out" / "label_map.pbtxt").read_text()
    assert 'name: "dog"\n  id: 18' in text
    assert (tmp_path / "out" / "label_map.yaml").read_text() == '"person": 1\n"dog": 18\n'


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_writer
from lpot_examples.data.records import shard

def dies(task, tick=lambda: True):
    done = 0
    def count():
        nonlocal done
        done += 1
        if done == 2 and "00001-of" in task.target.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return True
    return shard.write_shard(task, count)

from lpot_examples.data.records import writer
writer.write_shard = dies
test_writer.write(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_run_that_is_killed_leaves_no_half_written_shard(coco, tmp_path):
    out, here = tmp_path / "out", Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(Path(lpot_examples.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", _KILLED, str(coco), str(out), str(here)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert [path.name for path in out.glob("coco*")] == ["coco_val.record-00000-of-00003"]
    assert list(out.glob(".coco*.tmp"))
    with pytest.raises(DataError, match="2 are missing, the first coco_val.record-00001-of-00003"):
        shards(out)
    write(coco, out)
    assert source_ids(out) == [str(10 * n) for n in range(1, 10)]
    assert not list(out.glob(".coco*.tmp"))
