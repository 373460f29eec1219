"""COCO mAP against pycocotools used directly, and the resampling against a re-evaluation."""

import copy
import io
import time
from contextlib import redirect_stdout

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.coco import evaluate_coco


def scene(images=12, seed=0, crowd=True):
    rng = np.random.default_rng(seed)
    truth = {
        "images": [{"id": 10 * i, "width": 320, "height": 240} for i in range(images)],
        "categories": [{"id": c, "name": str(c)} for c in (1, 2, 5, 9)],
        "annotations": [],
    }
    results = []
    for image in truth["images"]:
        for _ in range(rng.integers(0, 6)):
            box = [*rng.uniform(0, 100, 2), *rng.uniform(8, 140, 2)]
            category = int(rng.choice([1, 2, 5]))
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(crowd and rng.random() < 0.1),
                }
            )
            for _ in range(rng.integers(0, 3)):
                results.append(
                    {
                        "image_id": image["id"],
                        "category_id": category if rng.random() < 0.8 else 9,
                        "bbox": list(np.array(box) + rng.normal(0, 5, 4)),
                        "score": round(float(rng.random()), 2),
                    }
                )
    return truth, results


def reference(truth, results, image_ids=None):
    with redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = copy.deepcopy({**truth, "info": {}})
        index.createIndex()
        run = COCOeval(index, index.loadRes(copy.deepcopy(results)), "bbox")
        if image_ids is not None:
            run.params.imgIds = list(image_ids)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


def coco_map(*arguments):
    return evaluate_coco(*arguments).scores


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_pycocotools(seed, capsys):
    truth, results = scene(seed=seed)
    before = copy.deepcopy((truth, results))
    scores = coco_map(truth, results)
    expected = np.maximum(reference(truth, results), 0)
    names = ("mAP", "AP50", "AP75", "APs", "APm", "APl")
    assert [scores[name] for name in names] == pytest.approx(expected[:6], abs=1e-12)
    assert scores["AR100"] == pytest.approx(expected[8])
    assert (truth, results) == before, "the arguments were changed"
    assert capsys.readouterr().out == ""


def test_only_the_given_images_count():
    truth, results = scene(images=20)
    chosen = [10 * i for i in range(0, 20, 2)]
    expected = reference(truth, results, chosen)[0]
    assert coco_map(truth, results, chosen)["mAP"] == pytest.approx(expected)
    assert expected != pytest.approx(reference(truth, results)[0])


def test_optional_keys_may_be_missing_and_ids_may_start_at_zero():
    truth, results = scene(crowd=False)
    expected = coco_map(truth, results)
    for number, row in enumerate(truth["annotations"]):
        del row["iscrowd"], row["area"]
        row["id"] = number
    assert coco_map(truth, results) == expected
    for row in truth["annotations"]:
        del row["id"]
    assert coco_map(truth, results) == expected


def test_no_detections_score_zero():
    truth, _ = scene()
    assert set(coco_map(truth, []).values()) == {0.0}
    assert evaluate_coco(truth, []).resample([0, 1, 2]) == 0.0


@pytest.mark.parametrize(("key", "value"), [("image_id", 7), ("category_id", 4)])
def test_detections_of_unknown_things_are_errors(key, value):
    truth, results = scene()
    results[0][key] = value
    with pytest.raises(EvaluationError, match=rf"{key}.* {value} "):
        coco_map(truth, results)


def test_images_without_objects_are_an_error():
    truth, results = scene()
    with pytest.raises(EvaluationError, match="at least one object"):
        coco_map({**truth, "annotations": []}, results)


def duplicated(truth, results, draw):
    """The ground truth and results of a bootstrap draw, written out image by image."""
    rows, answers = [], []
    for new, index in enumerate(draw):
        old = truth["images"][index]["id"]
        rows += [{**r, "image_id": new} for r in truth["annotations"] if r["image_id"] == old]
        answers += [{**r, "image_id": new} for r in results if r["image_id"] == old]
    images = [{"id": new, "width": 320, "height": 240} for new in range(len(draw))]
    return {**truth, "images": images, "annotations": rows}, answers


@pytest.mark.parametrize("seed", range(5))
def test_resample_equals_evaluating_the_drawn_images(seed):
    truth, results = scene(images=15, seed=seed)
    for number, row in enumerate(results):  # distinct scores: no ties to break
        row["score"] += number * 1e-6
    evaluation = evaluate_coco(truth, results)
    assert evaluation.resample(range(15)) == pytest.approx(evaluation.scores["mAP"], abs=1e-12)
    draw = np.random.default_rng(seed).integers(0, 15, 15)
    expected = coco_map(*duplicated(truth, results, draw))["mAP"]
    assert evaluation.resample(draw) == pytest.approx(expected, abs=1e-9)


def test_resampling_is_fast():
    truth, results = scene(images=128)
    evaluation = evaluate_coco(truth, results * 10)
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(200):
        evaluation.resample(rng.integers(0, 128, 128))
    assert time.process_time() - start < 1


def test_images_that_are_not_drawn_change_nothing():
    """True positives of images left out are still points of the curve, of no weight."""
    truth, results = scene(images=20, seed=9)
    for number, row in enumerate(results):
        row["score"] += number * 1e-6
    evaluation = evaluate_coco(truth, results)
    for first in range(0, 20, 4):
        draw = np.arange(first, first + 4)
        ids = [10 * index for index in draw]
        objects = any(row["image_id"] in ids and not row["iscrowd"] for row in truth["annotations"])
        if objects:
            expected = coco_map(truth, results, ids)["mAP"]
            assert evaluation.resample(draw) == pytest.approx(expected, abs=1e-12)
