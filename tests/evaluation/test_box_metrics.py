"""LPOT's mAP metrics on synthetic detections: against pycocotools and against plain loops."""

import numpy as np
import pytest

from lpot_examples.data.pipeline.labels import DetectionBatch, DetectionLabel
from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.class_names import COCO_NAMES, VOC_NAMES
from lpot_examples.evaluation.metrics.coco import evaluate_coco
from lpot_examples.evaluation.metrics.registry import make_metric

IMAGES, DETECTIONS, CLASSES = 30, 12, (1, 3, 44)


def image(rng, number):
    """Objects of one image, and noisy detections of them: boxes as fractions, corners y first."""
    count = int(rng.integers(1, 5))
    low = rng.uniform(0, 0.6, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.05, 0.4, (count, 2))], axis=1)
    classes = rng.choice(CLASSES, count)
    picked = rng.integers(0, count, DETECTIONS)
    found = boxes[picked] + rng.normal(scale=0.02, size=(DETECTIONS, 4))
    kinds = np.where(rng.random(DETECTIONS) < 0.8, classes[picked], rng.choice(CLASSES))
    scores = rng.random(DETECTIONS)
    label = DetectionLabel(
        image_id=1000 + number,
        boxes=boxes.astype(np.float32),
        classes=classes.astype(np.int64),
        texts=(),
        is_crowd=rng.random(count) < 0.15,
        difficult=rng.random(count) < 0.2,
        area=np.ones(count, np.float32),
        size=(int(rng.integers(100, 500)), int(rng.integers(100, 500))),
    )
    return label, (found.astype(np.float32), scores.astype(np.float32), kinds.astype(np.float32))


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(3)
    pairs = [image(rng, number) for number in range(IMAGES)]
    labels = [label for label, _ in pairs]
    boxes, scores, kinds = (np.stack(part) for part in zip(*[one for _, one in pairs], strict=True))
    counts = rng.integers(5, DETECTIONS, IMAGES).astype(np.float32)
    return labels, (counts, boxes, scores, kinds)


def fed(metric, labels, outputs, *, batch=4, form=DetectionBatch):
    for start in range(0, len(labels), batch):
        rows = slice(start, start + batch)
        metric.update(tuple(part[rows] for part in outputs), form(labels[rows]))
    return metric.evaluate()


def raw(labels, outputs, **options):
    """The same, scored from annotations and detections in pixels."""
    counts, boxes, scores, kinds = outputs
    truth = {"images": [], "annotations": [], "categories": [{"id": one} for one in CLASSES]}
    results = []
    for at, label in enumerate(labels):
        height, width = label.size
        scale = np.array([height, width, height, width])
        truth["images"].append({"id": label.image_id, "width": width, "height": height})
        for number, (y0, x0, y1, x1) in enumerate(label.boxes.astype(float) * scale):
            row = {"image_id": label.image_id, "category_id": int(label.classes[number])}
            row.update(bbox=[x0, y0, x1 - x0, y1 - y0], iscrowd=int(label.is_crowd[number]))
            truth["annotations"].append({**row, "area": float(label.area[number])})
        for number in range(int(counts[at])):
            y0, x0, y1, x1 = boxes[at, number].astype(float) * scale
            row = {"image_id": label.image_id, "category_id": int(kinds[at, number])}
            results.append(
                {**row, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": float(scores[at, number])}
            )
    return evaluate_coco(truth, results, **options).scores


def test_coco_map_is_that_of_raw_annotations(scene):
    result = fed(make_metric("COCOmAP", {}), *scene)
    expected = raw(*scene)
    assert 0.1 < result.score < 0.9
    assert result.details == pytest.approx(expected, abs=1e-6)
    assert result.metric == "mAP"
    assert result.samples == IMAGES
    assert result.resample(np.arange(IMAGES)) == pytest.approx(result.score)


def lpot_labels(labels, *, names=False):
    """The labels of a batch as LPOT's own loaders give them."""
    by_id = {number: name for name, number in COCO_NAMES.items()}
    texts = [[by_id[kind].encode() for kind in one.classes] for one in labels]
    classes = [one.classes for one in labels]
    empty = [[] for _ in labels]
    return (
        [one.boxes for one in labels],
        texts if names else empty,
        empty if names else classes,
        [str(one.image_id).encode() for one in labels],
    )


@pytest.mark.parametrize("names", [False, True])
def test_lpots_own_labels_know_no_crowds_and_no_sizes(scene, names):
    labels, outputs = scene
    result = fed(
        make_metric("COCOmAP", {}),
        labels,
        outputs,
        form=lambda rows: lpot_labels(rows, names=names),
    )
    ours = fed(
        make_metric("COCOmAP", {}),
        [plain(one) for one in labels],
        outputs,
    )
    assert result.score == pytest.approx(ours.score)
    assert "APs" not in result.details  # sizes are not known


def plain(label):
    """A label without crowds."""
    from dataclasses import replace

    return replace(label, is_crowd=np.zeros_like(label.is_crowd))


def average(recalls, precisions, points):
    """Average precision by its definition: the best precision at each recall or beyond."""
    best = [max(precisions[at:], default=0.0) for at in range(len(precisions))]
    if points:
        at = [
            next((b for r, b in zip(recalls, best, strict=True) if r >= t - 1e-12), 0.0)
            for t in np.linspace(0, 1, points)
        ]
        return float(np.mean(at))
    steps = np.diff([0.0, *recalls])
    return float(np.dot(steps, best))


def overlap(one, two):
    sides = [min(one[i + 2], two[i + 2]) - max(one[i], two[i]) for i in (0, 1)]
    both = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return both / (sum(areas) - both)


def voc_by_loops(labels, outputs, points, threshold=0.5):
    """VOC's evaluation as its development kit words it."""
    counts, boxes, scores, kinds = outputs
    averages = []
    for kind in CLASSES:
        total = sum(int(((one.classes == kind) & ~one.difficult).sum()) for one in labels)
        if not total:
            continue
        rows = [
            (float(scores[at, number]), at, boxes[at, number].astype(float))
            for at in range(len(labels))
            for number in range(int(counts[at]))
            if int(kinds[at, number]) == kind
        ]
        rows.sort(key=lambda row: -row[0])
        taken, hits, misses = set(), 0, 0
        recalls, precisions = [], []
        for _, at, box in rows:
            mine = [i for i, own in enumerate(labels[at].classes) if own == kind]
            values = [overlap(box, labels[at].boxes[i].astype(float)) for i in mine]
            best = int(np.argmax(values)) if values else -1
            if best < 0 or values[best] < threshold:
                misses += 1
            elif labels[at].difficult[mine[best]]:
                pass
            elif (at, mine[best]) in taken:
                misses += 1
            else:
                hits += 1
                taken.add((at, mine[best]))
            recalls.append(hits / total)
            precisions.append(hits / max(hits + misses, 1))
        averages.append(average(recalls, precisions, points))
    return float(np.mean(averages))


@pytest.mark.parametrize("points", [0, 11])
def test_voc_map(scene, points):
    result = fed(make_metric("VOCmAP", {"map_points": points}), *scene)
    assert result.score == pytest.approx(voc_by_loops(*scene, points))
    assert result.resample(np.arange(IMAGES)) == pytest.approx(result.score)
    assert {name: result.score for name in result.details} == result.details


def test_points_and_thresholds(scene):
    labels, outputs = scene
    labels = [plain(one) for one in labels]
    scores = {
        points: fed(make_metric("mAP", {"map_points": points}), labels, outputs).score
        for points in (0, 11, 101)
    }
    assert len(set(scores.values())) == 3
    full = fed(make_metric("COCOmAP", {}), labels, outputs)
    assert scores[101] == pytest.approx(full.details["AP50"])
    assert scores[0] == pytest.approx(scores[101], abs=0.02)
    some = make_metric("COCOmAP", {"iou_thrs": "0.5:0.25:0.75"})
    pair = (full.details["AP50"] + full.details["AP75"]) / 2
    assert fed(some, labels, outputs).score == pytest.approx(pair)
    key = make_metric("COCOmAP", {"map_key": "DetectionBoxes_Precision/mAP@.50IOU"})
    named = fed(key, labels, outputs)
    assert (named.metric, named.score) == ("AP50", pytest.approx(full.details["AP50"]))
    assert named.resample is None


def test_outputs_in_another_order(scene):
    labels, (counts, boxes, scores, kinds) = scene
    expected = fed(make_metric("COCOmAP", {}), *scene).score
    mapping = {"num_detections": 3, "boxes": 2, "scores": 0, "classes": 1}
    mapped = make_metric("COCOmAPv2", {"output_index_mapping": mapping})
    assert fed(mapped, labels, (scores, kinds, boxes, counts)).score == pytest.approx(expected)
    named = make_metric("COCOmAP", {})
    named.expect(["detection_scores", "x/detection_classes:0", "detection_boxes", "num_detections"])
    assert fed(named, labels, (scores, kinds, boxes, counts)).score == pytest.approx(expected)
    three = fed(make_metric("COCOmAP", {}), labels, (boxes, scores, kinds)).score
    assert three != pytest.approx(expected, abs=1e-6)  # without the number all of them count


def test_an_image_counts_once(scene):
    labels, outputs = scene
    doubled = tuple(np.concatenate([part, part[:3]]) for part in outputs)
    result = fed(make_metric("COCOmAP", {}), [*labels, *labels[:3]], doubled)
    assert result.samples == IMAGES
    assert result.score == pytest.approx(fed(make_metric("COCOmAP", {}), *scene).score)


def test_detections_that_are_not_finite_do_not_count(scene):
    labels, (counts, boxes, scores, kinds) = scene
    broken = np.full_like(scores, np.nan)
    for name in ("COCOmAP", "VOCmAP"):
        assert fed(make_metric(name, {}), labels, (counts, boxes, broken, kinds)).score == 0


def test_a_label_map(scene, tmp_path):
    labels, outputs = scene
    file = tmp_path / "map.yaml"
    by_id = {number: name for name, number in COCO_NAMES.items()}
    file.write_text("".join(f"{by_id[kind]}: {kind}\n" for kind in CLASSES))
    for text in (file.read_text(), "".join(f"{kind}: {by_id[kind]}\n" for kind in CLASSES)):
        file.write_text(text)
        metric = make_metric("COCOmAP", {"anno_path": str(file)})
        found = fed(metric, labels, outputs, form=lambda rows: lpot_labels(rows, names=True))
        assert 0.1 < found.score < 0.9
    file.write_text("cat: dog\n")
    with pytest.raises(Exception, match="lines 'name: id'"):
        make_metric("COCOmAP", {"anno_path": str(file)})


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        (np.zeros((1, 22, 22, 85)), None, "decoded in the graph"),
        ((np.zeros((1, 4)), np.zeros((1, 4))), None, "the model gave 2"),
        ((np.zeros((1, 4)), np.zeros((1, 4, 4)), np.zeros((1, 4))), None, r"is \[1, 4\]"),
        ((np.zeros((1, 3, 4)), np.zeros((1, 4)), np.zeros((1, 3))), None, "scores and classes"),
        ((np.zeros((1, 3, 4)), np.zeros((1, 3)), np.zeros((1, 3))), np.zeros(3), "ndarray"),
        (
            (np.zeros((1, 3, 4)), np.zeros((1, 3)), np.zeros((1, 3))),
            (np.zeros((1, 2, 4)), [[b"unicorn", b"cat"]], [[]], [b"7"]),
            "'unicorn' has no id",
        ),
        (
            (np.zeros((1, 3, 4)), np.zeros((1, 3)), np.zeros((1, 3))),
            (np.zeros((1, 2, 4)), [[]], [[3]], [b"7"]),
            "image '7'; there are 1",
        ),
    ],
)
def test_what_does_not_fit_is_said(outputs, labels, message):
    if labels is None:
        labels = (np.zeros((1, 1, 4)), [[]], [[1]], [b"7"])
    with pytest.raises(EvaluationError, match=message):
        make_metric("COCOmAP", {}).update(outputs, labels)


def test_names_have_the_ids_of_the_datasets():
    assert (len(COCO_NAMES), COCO_NAMES["person"], COCO_NAMES["toothbrush"]) == (80, 1, 90)
    assert (COCO_NAMES["fire hydrant"], COCO_NAMES["stop sign"]) == (11, 13)
    assert (len(VOC_NAMES), VOC_NAMES["aeroplane"], VOC_NAMES["tvmonitor"]) == (20, 1, 20)
