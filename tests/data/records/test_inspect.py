import io
import json

import numpy as np
import pytest
from PIL import Image

from lpot_examples.data.records.draw import drawn, save_samples
from lpot_examples.data.records.example import make_example, parse_example
from lpot_examples.data.records.inspect import inspect_shards, write_report
from lpot_examples.data.records.shard import write_record
from lpot_examples.data.sources.labels import named
from lpot_examples.errors import DataError
from lpot_examples.testing.data_sets import picture


def record(number=0, **changes):
    """Features of a record that is right; a change to None takes a feature away."""
    row = {
        "image/encoded": picture(number),
        "image/format": "jpeg",
        "image/height": 32,
        "image/width": 48,
        "image/source_id": str(number),
        "image/object/bbox/xmin": [0.25, 0.5],
        "image/object/bbox/ymin": [0.25, 0.5],
        "image/object/bbox/xmax": [0.5, 1.0],
        "image/object/bbox/ymax": [0.5, 1.0],
        "image/object/class/label": [1, 18],
        "image/object/class/text": ["person", "dog"],
    }
    row |= {name.replace("__", "/"): value for name, value in changes.items()}
    return {name: value for name, value in row.items() if value is not None}


def write(path, *rows):
    buffer = io.BytesIO()
    for row in rows:
        write_record(buffer, row if isinstance(row, bytes) else make_example(row))
    path.write_bytes(buffer.getvalue())
    return path


@pytest.fixture
def two(tmp_path):
    return [
        write(tmp_path / "a-00000-of-00002", *(record(n) for n in range(12))),
        write(tmp_path / "a-00001-of-00002", *(record(n) for n in range(12, 20))),
    ]


def test_a_right_set_has_no_problems(two):
    found = inspect_shards(two, labels=named(["person"], first=1, origin="x"), decode=False)
    assert len(found.problems) == 20  # 18 is not named
    found = inspect_shards(two)
    assert found.problems == []
    assert found.records == {"a-00000-of-00002": 12, "a-00001-of-00002": 8}
    assert found.classes == {(1, "person"): 20, (18, "dog"): 20}
    use = found.features["image/object/bbox/xmin"]
    assert (use.records, dict(use.dtypes), use.shortest, use.longest) == (20, {"float32": 20}, 2, 2)


def test_several_processes_find_the_same(two, tmp_path):
    broken = write(tmp_path / "b.record", record(3), record(99, image__encoded=b"x"))
    one = inspect_shards([*two, broken])
    assert one.problems
    assert inspect_shards([*two, broken], workers=2) == one


FAULTS = {
    "broken image": ({"image__encoded": picture(5)[:200]}, "holds a broken image: .* cannot be"),
    "no image": ({"image__encoded": None}, "lacks image/encoded: one byte string"),
    "two images": ({"image__encoded": [b"a", b"b"]}, "lacks image/encoded: one byte string"),
    "size": ({"image__width": 50}, "says image/width = 50; its image has 48"),
    "format": ({"image__format": "png"}, "says image/format = 'png'; its image is JPEG"),
    "checksum": ({"image__key__sha256": "0" * 64}, "whose SHA-256 is not image/key/sha256"),
    "outside": (
        {"image__object__bbox__xmax": [0.5, 1.2]},
        r"has a box outside the image: object 1 has .* = \(0.5, 0.5, 1.2, 1\)",
    ),
    "no area": (
        {"image__object__bbox__ymax": [0.25, 1.0]},
        r"has a box without area: object 0 has .* = \(0.25, 0.25, 0.5, 0.25\)",
    ),
    "no number": (
        {"image__object__bbox__xmin": [float("nan"), 0.5]},
        "has a box without area: object 0",
    ),
    "side": ({"image__object__bbox__ymax": None}, "lacks image/object/bbox/ymax, but has"),
    "counts": (
        {"image__object__class__label": [1]},
        r"has 2 boxes .*, but 1 values of image/object/class/label",
    ),
    "pixels": ({"image__object__bbox__xmin": [1, 2]}, "has boxes that are no float32 values"),
    "text": (
        {"image__object__class__text": ["person", "hound"]},
        "calls class 18 'hound'; others call it 'dog'",
    ),
    "id": ({"image__source_id": "3"}, "has the id '3', as record 3 of a-00000-of-00002 has"),
    "feature": ({"image__height": None}, "lacks image/height, which others have"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_shard_and_index(two, tmp_path, name):
    changes, message = FAULTS[name]
    bad = write(tmp_path / "bad.record", record(50), record(51, **changes), record(52))
    problems = [str(problem) for problem in inspect_shards([*two, bad]).problems]
    assert problems
    assert all(problem.startswith("bad.record: record 1 ") for problem in problems)
    import re

    assert [problem for problem in problems if re.search(message, problem)], problems


def test_labels_say_what_classes_are_called(two):
    labels = named(["human", *(f"thing {n}" for n in range(16)), "dog"], first=1, origin="my.txt")
    problems = {problem.fault for problem in inspect_shards(two, labels=labels).problems}
    assert problems == {"calls class 1 'person'; it is 'human'"}
    labels = named(["person"], first=1, origin="my.txt")
    problems = {problem.fault for problem in inspect_shards(two, labels=labels).problems}
    assert problems == {"is labelled 18 ('dog'), which my.txt does not name"}


def test_damage_and_other_content_do_not_hide_the_rest(two, tmp_path):
    bad = write(tmp_path / "bad.record", record(50), record(51), b"\xff\xff no example", record(52))
    data = bytearray(bad.read_bytes())
    data[100] ^= 1
    bad.write_bytes(bytes(data[:-3]))
    found = inspect_shards([*two, bad])
    assert [(problem.index, problem.fault.split(":")[0]) for problem in found.problems] == [
        (0, "(byte 0) has data whose checksum (CRC-32C) does not match"),
        (2, "of 13 bytes is no tf.train.Example"),
        (3, f"(byte {found.problems[2].fault.split()[1][:-1]}) is cut off"),
    ]
    assert found.records["bad.record"] == 4


def test_classification_records(tmp_path):
    rows = [
        {
            "image/encoded": picture(n),
            "image/format": "JPEG",
            "image/height": 32,
            "image/width": 48,
            "image/class/label": n % 2 + 1,
            "image/class/text": ["tench", "goldfish"][n % 2],
        }
        for n in range(5)
    ]
    found = inspect_shards([write(tmp_path / "a.record", *rows)])
    assert found.problems == []
    assert found.classes == {(1, "tench"): 3, (2, "goldfish"): 2}


def test_the_report_holds_everything(two, tmp_path):
    bad = write(tmp_path / "bad.record", record(50, image__width=9))
    write_report(inspect_shards([*two, bad]), tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["problems"] == [
        {"shard": "bad.record", "index": 0, "fault": "says image/width = 9; its image has 48"}
    ]
    assert content["classes"][0] == {"number": 1, "name": "person", "count": 21}


def test_boxes_are_drawn_where_they_are():
    row = record(
        image__encoded=picture(0, size=(480, 320)),
        image__object__bbox__xmin=[0.25],
        image__object__bbox__xmax=[0.75],
        image__object__bbox__ymin=[0.5],
        image__object__bbox__ymax=[0.75],
        image__object__class__label=[1],
        image__object__class__text=["person"],
    )
    example = parse_example(make_example(row))
    image = drawn(example)
    before = np.asarray(Image.open(io.BytesIO(example["image/encoded"][0])), dtype=int)
    changed = np.abs(np.asarray(image, dtype=int) - before).sum(axis=2) > 0
    assert changed[160, 130:350].all()  # the upper side
    assert changed[165:235, 120].all()  # the left side
    assert not changed[245:, :].any()
    assert not changed[170:230, 130:350].any()  # within


def test_masks_and_classes_are_drawn():
    mask = io.BytesIO()
    Image.fromarray(np.eye(32, 48, dtype=np.uint8)).save(mask, "PNG")
    row = record() | {"image/object/mask": [mask.getvalue()] * 2}
    plain, masked = (np.asarray(drawn(parse_example(make_example(r)))) for r in (record(), row))
    assert (plain != masked).any(axis=2)[30, 30]
    named_image = drawn(
        parse_example(make_example({"image/encoded": picture(1), "image/class/label": 2})),
        labels=named(["tench", "goldfish"], first=1, origin="x"),
    )
    assert (np.asarray(named_image)[:8] != np.asarray(Image.open(io.BytesIO(picture(1))))[:8]).any()
    with pytest.raises(DataError, match="the image cannot be decoded"):
        drawn({"image/encoded": [b"x"]})


def test_samples_depend_on_the_seed_and_skip_what_cannot_be_drawn(two, tmp_path):
    bad = write(tmp_path / "bad.record", record(50, image__encoded=b"x"))
    paths = [*two, bad]
    found = inspect_shards(paths)

    def names(seed, count):
        files = save_samples(found, paths, tmp_path / "s", count=count, seed=seed, labels=None)
        assert all(Image.open(file).size == (48, 32) for file in files)
        return [file.name for file in files]

    assert names(0, 4) == names(0, 4)
    assert names(0, 4) != names(1, 4)
    assert len(names(0, 99)) == 20
