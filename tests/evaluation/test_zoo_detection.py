"""Detectors in the form of TensorFlow's zoos, scored against pycocotools used directly."""

import copy
import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.evaluation.evidence import gather
from lpot_examples.evaluation.zoo_detection import ZooDetectionEvaluation, zoo_detections

SIZES = {11: (120, 80), 12: (64, 100), 13: (120, 80), 14: (50, 50)}
ROWS = 8
NAMES = (
    "num_detections",
    "detection_boxes",
    "detection_scores",
    "detection_classes",
    "detection_masks",
)


def truth():
    """Three objects in each image, one of them a crowd, with polygons of their own."""
    rng = np.random.default_rng(0)
    annotations = []
    for image, (width, height) in SIZES.items():
        for number in range(3):
            w, h = rng.integers(20, 40, 2).tolist()
            x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": [1, 3, 90][number],
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(image == 13 and number == 2),
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
    return {
        "info": {},
        "images": [{"id": i, "width": w, "height": h} for i, (w, h) in SIZES.items()],
        "categories": [{"id": c, "name": str(c)} for c in (1, 3, 90)],
        "annotations": annotations,
    }


def answers(noise=0.0, seed=0, extra=0):
    """What a detector gives for each image: the objects, moved, and some that are not there."""
    rng = np.random.default_rng(seed)
    found = {}
    for image, (width, height) in SIZES.items():
        rows = [row for row in truth()["annotations"] if row["image_id"] == image]
        count = len(rows) + extra
        boxes, classes = np.zeros((1, ROWS, 4)), np.ones((1, ROWS))
        for number in range(count):
            row = rows[number % len(rows)]
            x, y, w, h = np.array(row["bbox"]) + rng.normal(0, noise or 1e-9, 4)
            boxes[0, number] = y / height, x / width, (y + h) / height, (x + w) / width
            classes[0, number] = row["category_id"]
        scores = np.zeros((1, ROWS))
        scores[0, :count] = rng.random(count) * 0.9 + 0.05
        masks = np.where(rng.random((1, ROWS, 15, 15)) < min(noise / 8, 0.4), 0.1, 0.9)
        values = (np.array([count]), boxes, scores, classes, masks)
        found[image] = dict(zip(NAMES, (np.float32(value) for value in values), strict=True))
    return found


BATCHES = [(np.full((1, 2, 2, 3), image, np.uint8), np.array([image])) for image in SIZES]


def detector(found, names=NAMES):
    """A model that gives its outputs in this order."""

    class Model:
        output_names = tuple(names)

        def __call__(self, batch):
            return tuple(found[int(batch.flat[0])][name] for name in names)

    return Model()


def evaluation(masks=True, batches=BATCHES):
    return ZooDetectionEvaluation(batches, ground_truth=truth(), masks=masks)


def test_the_truth_itself_scores_one():
    done = []
    result = evaluation()(detector(answers()), progress=lambda *at: done.append(at))
    assert result.scores == pytest.approx({"box mAP": 1.0, "mask mAP": 1.0})
    assert (result.metric, result.samples, result.score) == ("box mAP", 4, result.scores["box mAP"])
    assert done[-1] == (4, 4)
    assert result.details["mask AP50"] == pytest.approx(1.0)


def reference(kind, found):
    """pycocotools as its own documentation uses it, from COCO results."""
    results = []
    for image, (width, height) in SIZES.items():
        outputs = found[image]
        for row in range(int(outputs["num_detections"][0])):
            top, left, bottom, right = outputs["detection_boxes"][0, row].clip(0, 1).tolist()
            box = [left * width, top * height, (right - left) * width, (bottom - top) * height]
            result = {
                "image_id": image,
                "category_id": int(outputs["detection_classes"][0, row]),
                "score": float(outputs["detection_scores"][0, row]),
            }
            if kind == "bbox":
                result["bbox"] = box
            else:
                result["segmentation"] = zoo_detections(
                    outputs,
                    np.array([[width, height]]),
                    categories=frozenset({1, 3, 90}),
                    masks=True,
                )[0].masks[row]
            results.append(result)
    with redirect_stdout(io.StringIO()):
        index = COCO()
        index.dataset = copy.deepcopy(truth())
        index.createIndex()
        run = COCOeval(index, index.loadRes(results), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_pycocotools(seed):
    found = answers(noise=3.0, seed=seed, extra=4)
    result = evaluation()(detector(found))
    boxes, masks = reference("bbox", found), reference("segm", found)
    assert 0.05 < boxes[0] < 0.95 and 0.02 < masks[0] < 0.95
    assert [result.scores["box mAP"], result.details["AP50"]] == pytest.approx(boxes[:2], abs=1e-9)
    assert [result.scores["mask mAP"], result.details["mask AP50"]] == pytest.approx(masks[:2])


def test_masks_are_scored_for_themselves():
    """Boxes stay right where masks are wrong."""
    found = answers()
    for outputs in found.values():
        outputs["detection_masks"][:, :, :, 4:] = 0
    scores = evaluation()(detector(found)).scores
    assert scores["box mAP"] == pytest.approx(1.0)
    assert scores["mask mAP"] == 0


def test_outputs_are_found_by_name_in_any_order():
    found = answers(noise=3.0, extra=3)
    expected = evaluation()(detector(found)).scores
    others = ("raw_detection_boxes", "detection_classes", "detection_masks")
    names = (*others, "detection_scores", "num_detections", "detection_boxes")
    for outputs in found.values():
        outputs["raw_detection_boxes"] = np.zeros((1, 77, 4))  # as TF2's SavedModels give
    assert evaluation()(detector(found, names)).scores == expected
    scoped = {
        image: {f"import/{name}:0": value for name, value in outputs.items()}
        for image, outputs in found.items()
    }
    assert evaluation()(lambda batch: scoped[int(batch.flat[0])]).scores == expected
    fewer = detector(found, [name for name in names if name != "num_detections"])
    assert evaluation()(fewer).scores == expected  # what is padded has no score


def test_outputs_without_names_of_their_own_come_in_the_usual_order():
    """TensorFlow 2 calls a function's results Identity, Identity_1 and so on."""
    found = answers(noise=3.0, extra=3)
    expected = evaluation()(detector(found)).scores
    unnamed = {
        image: {f"Identity_{at}": outputs[name] for at, name in enumerate(NAMES)}
        for image, outputs in found.items()
    }
    names = [f"Identity_{at}" for at in range(5)]
    assert evaluation()(detector(unnamed, names)).scores == expected
    with pytest.raises(EvaluationError, match="label ids"):  # scores and classes are exchanged
        evaluation()(detector(unnamed, [names[at] for at in (0, 1, 3, 2, 4)]))


def test_boxes_alone_are_one_score_that_can_be_resampled():
    result = Evaluator(evaluation(masks=False))(detector(answers(2.0), NAMES[:4]))
    assert (result.metric, dict(result.scores)) == ("mAP", {})
    assert gather(result).samples == 4


def test_images_of_one_size_may_share_a_batch():
    found = answers(noise=3.0, extra=2)
    alone = evaluation()(detector(found)).scores
    both = {name: np.concatenate([found[11][name], found[13][name]]) for name in NAMES}
    pair = (np.full((2, 2, 2, 3), 255, np.uint8), np.array([11, 13]))
    batches = [pair, BATCHES[1], BATCHES[3]]
    assert evaluation(batches=batches)(detector({**found, 255: both})).scores == alone


def test_what_is_not_finite_is_left_out():
    found = answers()
    for name in ("detection_boxes", "detection_scores", "detection_classes", "num_detections"):
        broken = {**found, 12: copy.deepcopy(found[12])}
        broken[12][name].flat[0] = np.nan
        score = evaluation()(detector(broken)).scores["box mAP"]
        assert 0.5 < score < 0.99, name
    found[12]["detection_masks"][:] = np.nan
    assert evaluation()(detector(found)).scores["mask mAP"] < 0.99


def one(**changes):
    """The outputs of one image with one detection."""
    outputs = {
        "detection_boxes": [[[0.25, 0.5, 0.5, 1.0]]],
        "detection_scores": [[0.5]],
        "detection_classes": [[3.0]],
        "num_detections": [1.0],
        **changes,
    }
    return {name: np.asarray(value, np.float32) for name, value in outputs.items()}


def decode(outputs, categories=(1, 3), **options):
    sizes = np.array([[200, 100]])
    return zoo_detections(outputs, sizes, categories=frozenset(categories), **options)[0]


def test_boxes_are_in_pixels_and_within_the_image():
    assert decode(one()).boxes.tolist() == [[100, 25, 200, 50]]
    beyond = one(detection_boxes=[[[-0.5, -1, 1.5, 0.5]]])
    assert decode(beyond).boxes.tolist() == [[0, 0, 100, 100]]
    inside_out = one(detection_boxes=[[[0.5, 0.5, 0.25, 0.25]]])
    assert decode(inside_out).boxes.tolist() == [[100, 50, 100, 50]]  # found, but nothing


def test_what_does_not_count():
    assert len(decode(one(num_detections=[0.0])).scores) == 0
    assert len(decode(one(num_detections=[70.0])).scores) == 1
    assert len(decode(one(num_detections=[-1.0])).scores) == 0
    assert len(decode(one(detection_scores=[[0.0]])).scores) == 0
    assert len(decode(one(detection_classes=[[12.0]])).scores) == 0, "an id that COCO never used"


def test_labels_that_are_no_label_ids():
    with pytest.raises(EvaluationError, match=r"label ids .* one is 0\. Number"):
        decode(one(detection_classes=[[0.0]]))
    with pytest.raises(EvaluationError, match="one is 1.5"):
        decode(one(detection_classes=[[1.5]]))
    assert decode(one(detection_classes=[[0.0]]), categories=(0, 1)).categories.tolist() == [0]
    unused = one(detection_classes=[[0.0]], detection_scores=[[0.0]])
    assert len(decode(unused).scores) == 0, "what is padded may be anything"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detection_boxes": [[0.0, 0, 1, 1]]}, r"detection_boxes \[1, k, 4\].* gave .*\[1, 4\]"),
        ({"detection_scores": [0.5]}, r"gave .*detection_scores \[1\]"),
        ({"detection_classes": [[1.0, 2.0]]}, r"gave .*detection_classes \[1, 2\]"),
        ({"num_detections": 1.0}, r"gave .*num_detections \[\]"),
    ],
)
def test_outputs_of_another_shape(change, message):
    with pytest.raises(EvaluationError, match=message):
        decode(one(**change))


def test_outputs_that_are_missing():
    with pytest.raises(EvaluationError, match="lacks detection_masks and gives detection_boxes"):
        decode(one(), masks=True)
    with pytest.raises(EvaluationError, match=r"lacks detection_boxes.*model\.outputs"):
        evaluation()(detector(answers(), NAMES[2:]))
    with pytest.raises(EvaluationError, match=r"gave 1 \(no names\)"):
        evaluation()(lambda batch: np.zeros((1, 100, 7)))
    with pytest.raises(EvaluationError, match=r"gave 1 \(Identity\)"):
        evaluation()(detector({i: {"Identity": np.zeros(3)} for i in SIZES}, ["Identity"]))


def test_annotations_without_masks():
    bare = truth()
    del bare["annotations"][2]["segmentation"]
    score = ZooDetectionEvaluation(BATCHES, ground_truth=bare, masks=True)
    with pytest.raises(EvaluationError, match="every annotation; 1 have none"):
        score(detector(answers()))


def test_run_lengths_in_annotations_count_as_polygons_do():
    """COCO marks crowds by uncompressed run lengths."""
    table = truth()
    for row in table["annotations"]:
        width, height = SIZES[row["image_id"]]
        shape = coco_mask.frPyObjects(row["segmentation"], height, width)[0]
        pixels = coco_mask.decode(shape).ravel(order="F")
        edges = np.flatnonzero(np.diff(pixels, prepend=0)).tolist()
        counts = np.diff([0, *edges, len(pixels)]).tolist()
        row["segmentation"] = {"size": [height, width], "counts": counts}
    score = ZooDetectionEvaluation(BATCHES, ground_truth=table, masks=True)
    found = answers(3.0, extra=3)
    assert score(detector(found)).scores == pytest.approx(evaluation()(detector(found)).scores)


def test_images_are_read_while_the_model_is_loaded():
    class Batches(list):
        begun = 0

        def begin(self):
            self.begun += 1

    batches = Batches()
    ZooDetectionEvaluation(batches, ground_truth=truth()).begin()
    assert batches.begun == 1
    ZooDetectionEvaluation([], ground_truth=truth()).begin()
