import numpy as np
import pytest

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.detection import DetectionEvaluation, Detections
from lpot_examples.evaluation.evidence import gather

BOXES = {3: [10.0, 10.0, 50.0, 40.0], 8: [5.0, 20.0, 25.0, 90.0]}
TRUTH = {
    "images": [{"id": key, "width": 100, "height": 200} for key in BOXES],
    "categories": [{"id": 1, "name": "thing"}],
    "annotations": [
        {"image_id": key, "category_id": 1, "bbox": [x, y, x2 - x, y2 - y]}
        for key, (x, y, x2, y2) in BOXES.items()
    ],
}
BATCHES = [(np.full((1, 2, 2, 3), key, np.float32), np.array([key])) for key in BOXES]


def perfect(output, sizes):
    assert sizes.tolist() == [[100, 200]]
    box = BOXES[int(output.flat[0])]
    return [Detections(boxes=np.array([box]), scores=np.array([0.9]), categories=np.array([1]))]


def test_perfect_detections_score_one():
    calls = []
    score = DetectionEvaluation(BATCHES, ground_truth=TRUTH, decode=perfect)
    result = score(lambda batch: batch, progress=lambda *at: calls.append(at))
    assert (result.score, result.metric, result.samples) == (1.0, "mAP", score.samples)
    assert result.details["AP50"] == 1.0
    assert calls == [(1, 2), (2, 2)]
    assert result.resample([0, 0]) == 1.0


def test_broken_arithmetic_scores_zero():
    def broken(output, sizes):
        nan = np.full((1, 4), np.nan)
        return [Detections(boxes=nan, scores=np.array([0.9]), categories=np.array([1]))]

    score = DetectionEvaluation(BATCHES, ground_truth=TRUTH, decode=broken)
    assert score(lambda batch: batch).score == 0.0


def test_a_decoder_that_answers_for_too_few_images_is_an_error():
    score = DetectionEvaluation(BATCHES, ground_truth=TRUTH, decode=lambda output, sizes: [])
    with pytest.raises(EvaluationError, match="each of the 1 images"):
        score(lambda batch: batch)


def test_the_result_can_be_resampled_for_its_interval():
    score = DetectionEvaluation(BATCHES, ground_truth=TRUTH, decode=perfect)
    result = score(lambda batch: batch)
    assert result.resample(np.array([1, 1])) == 1.0
    kept = gather(result)
    assert kept.samples == 2
    assert set(kept.replicates.scores) == {1.0}
