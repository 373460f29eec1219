"""Public photographs through conversion and inspection; set LPOT_REAL_DATA, see
tests/examples/test_real_topologies.py. ``raccoon_voc/`` holds 100 photographs with xml."""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from lpot_examples.data.records.convert import convert
from lpot_examples.data.records.draw import save_samples
from lpot_examples.data.records.example import parse_example
from lpot_examples.data.records.features import RecordOptions
from lpot_examples.data.records.inspect import inspect_shards
from lpot_examples.data.records.plan import Division
from lpot_examples.data.records.reader import all_shards, read_records, shards
from lpot_examples.data.sources.annotated import Troubles
from lpot_examples.data.sources.labels import read_labels_file
from lpot_examples.data.sources.opening import open_source

DATA = os.environ.get("LPOT_REAL_DATA")

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA, reason="LPOT_REAL_DATA is not set: real data is NOT converted"),
]


def converted(dataset, folder, out, **division):
    troubles = Troubles()
    return convert(
        open_source(dataset, Path(DATA) / folder, troubles=troubles),
        out,
        division=Division(num_shards=3, **division),
        options=RecordOptions(dataset=dataset),
        troubles=troubles,
        workers=2,
    )


def examples(paths):
    return [parse_example(record) for path in paths for record in read_records(path)]


def ground_truth_of(rows):
    """Turn records into COCO's form again."""
    truth = {"images": [], "annotations": [], "categories": {}}
    for row in rows:
        number, width, height = (
            int(row[name][0]) for name in ("image/source_id", "image/width", "image/height")
        )
        truth["images"].append({"id": number, "width": width, "height": height})
        sides = [row[f"image/object/bbox/{side}"] for side in ("xmin", "ymin", "xmax", "ymax")]
        boxes = np.stack(sides, axis=1).astype(np.float64) * [width, height, width, height]
        for box, label, area, crowd in zip(
            boxes,
            row["image/object/class/label"],
            row["image/object/area"],
            row["image/object/is_crowd"],
            strict=True,
        ):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": [*box[:2], *(box[2:] - box[:2])],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    truth["categories"] = [{"id": n} for n in {a["category_id"] for a in truth["annotations"]}]
    return truth


def average_precision(truth, detections):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        api = COCO()
        api.dataset = truth
        api.createIndex()
        evaluation = COCOeval(api, api.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def test_coco_scores_the_same_from_records(tmp_path):
    summary = converted("coco", "coco", tmp_path)
    assert summary.splits["validation"].records == 128
    assert (summary.troubles, summary.notes) == ([], [])
    rows = examples(shards(tmp_path, split="validation"))
    raw = json.loads((Path(DATA) / "coco/annotations/instances_val2017.json").read_text())
    files = {image["id"]: image["file_name"] for image in raw["images"]}
    for row in rows:
        path = Path(DATA) / "coco/val2017" / files[int(row["image/source_id"][0])]
        assert row["image/encoded"] == [path.read_bytes()]
    # Detections near the truth: some of every box are off by up to half of its size.
    draw = np.random.default_rng(0)
    detections = []
    for annotation in raw["annotations"] * 2:
        shift = draw.normal(0, 0.12, 4) * np.tile(annotation["bbox"][2:], 2)
        detections.append(
            {
                "image_id": annotation["image_id"],
                "category_id": annotation["category_id"],
                "bbox": (np.asarray(annotation["bbox"]) + shift).tolist(),
                "score": float(draw.random()),
            }
        )
    scores = average_precision(raw, detections)
    assert 0.1 < scores[0] < 0.9
    assert average_precision(ground_truth_of(rows), detections) == pytest.approx(scores, abs=1e-12)


@pytest.mark.parametrize(
    ("dataset", "folder", "records", "classes"),
    [("coco", "coco", 192, 75), ("voc", "raccoon_voc", 100, 1), ("imagenet", "imagenet", 500, 500)],
)
def test_every_set_converts_passes_inspection_and_is_drawn(
    tmp_path, dataset, folder, records, classes
):
    summary = converted(dataset, folder, tmp_path, train_valid_split=0.9)
    assert sum(split.records for split in summary.splits.values()) == records
    assert summary.splits["train"].records == round(0.9 * records)
    paths = all_shards(tmp_path)
    labels = read_labels_file(tmp_path / "label_map.pbtxt", first=1)
    found = inspect_shards(paths, labels=labels, workers=2)
    assert found.problems == []
    assert len(found.classes) >= classes
    drawn = save_samples(found, paths, tmp_path / "drawn", count=3, seed=0, labels=labels)
    assert len(drawn) == 3


def test_imagenet_keeps_bytes_and_classes(tmp_path):
    converted("imagenet", "imagenet", tmp_path)
    rows = {row["image/filename"][0].decode(): row for row in examples(all_shards(tmp_path))}
    lines = (Path(DATA) / "imagenet/labels.txt").read_text().splitlines()
    assert len(rows) == len(lines)
    for line in lines:
        name, index, text = line.split(maxsplit=2)
        row = rows[name]
        assert row["image/encoded"] == [(Path(DATA) / "imagenet" / name).read_bytes()]
        assert row["image/class/label"].tolist() == [int(index) + 1]
        assert row["image/class/text"] == [text.encode()]
        assert row["image/class/synset"] == [name[:9].encode()]
