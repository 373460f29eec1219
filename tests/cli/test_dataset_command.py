"""``dataset convert`` and ``dataset inspect``, from command line to files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lpot_examples.testing.data_sets import coco_set, folder_set, picture, plain_voc_set

ROOT = Path(__file__).parents[2]


def run(*arguments, cwd=None, timeout=120):
    return subprocess.run(
        [sys.executable, "-P", "-m", "lpot_examples", "dataset", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_convert_and_inspect(tmp_path):
    plain_voc_set(tmp_path / "set", images=8)
    done = run(
        "convert",
        "--dataset=voc",
        f"--source={tmp_path / 'set'}",
        f"--output-dir={tmp_path / 'out'}",  # dashes are taken for underscores
        "--num_shards=2",
        "--train-valid-split=0.75",
        "--workers=2",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"train +│ voc_train\.record-\*-of-00002 +│ +6 │ +6 │ +2", done.stdout)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *(f"voc_{split}.record-{n:05}-of-00002" for split in ("train", "val") for n in (0, 1)),
        *("label_map.pbtxt", "label_map.yaml", "labels.json", "labels.txt", "summary.json"),
        ".conversion",
    }
    seen = run(
        "inspect", "out", "--samples=2", "--samples_dir=drawn", "--report=r.json", cwd=tmp_path
    )
    assert seen.returncode == 0, seen.stderr
    assert "8 records in 4 shards: nothing is wrong." in seen.stdout
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 2
    assert json.loads((tmp_path / "r.json").read_text())["problems"] == []


def test_the_script_takes_the_older_defaults(tmp_path):
    (tmp_path / "coco").mkdir()
    coco_set(tmp_path / "coco")
    done = subprocess.run(
        ["bash", str(ROOT / "prepare_dataset.sh"), "--no-venv", "--source=coco"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "coco_records" / "coco_val.record-00000-of-00001").is_file()


def test_bad_input_stops_with_one_message_or_is_listed(tmp_path):
    folder_set(tmp_path / "set", ["cat", "dog"])
    (tmp_path / "set" / "cat" / "cat_1.jpg").write_bytes(picture(1)[:100])
    options = ("--dataset=folder", "--source=set", "--output_dir=out", "--workers=1")
    done = run("convert", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: The image set/cat/cat_1\.jpg cannot be decoded \(.*\)\. Restore it\. "
        r"\(--skip_bad leaves such out and lists them\.\)",
        done.stderr.strip(),
    )
    done = run("convert", *options, "--skip_bad", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Left out: image: 1" in done.stderr
    assert "set/cat/cat_1.jpg cannot be decoded" in done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["splits"][""]["records"] == 5


def test_problems_are_listed_and_told_by_the_exit_code(tmp_path):
    plain_voc_set(tmp_path / "set")
    run("convert", "--dataset=voc", "--source=set", "--output_dir=out", cwd=tmp_path)
    shard = tmp_path / "out" / "voc.record-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[200] ^= 1
    shard.write_bytes(bytes(data))
    seen = run("inspect", "out/voc.record", cwd=tmp_path)
    assert seen.returncode == 1
    assert "voc.record-00000-of-00001: record 0 (byte 0) has data whose checksum" in seen.stdout
    assert "4 records in 1 shards: 1 problems." in seen.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "--dataset=cocoa"], "--dataset must be one of coco, voc, imagenet, folder"),
        (["convert", "--dataset=imagenet"], "ImageNet cannot be downloaded without an account"),
        (["convert", "--source=none"], "--source must be a folder, an archive or an address"),
        (["convert", "--source=.", "--compression=LZMA"], "--compression must be GZIP or ZLIB"),
        (["convert", "--source=."], "instances_*.json is missing"),
        (
            ["convert", "--train_valid_split=1.5"],
            "--train_valid_split': Input should be less than or equal to 1",
        ),
        (["inspect", "none"], "none must be a TFRecord file"),
        (["inspect", ".", "--labels=none.txt"], "nothing is there"),
    ],
)
def test_mistakes_end_in_one_message(tmp_path, arguments, message):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_group_alone_lists_its_commands():
    assert all(name in run().stdout for name in ("convert", "inspect"))
