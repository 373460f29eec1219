"""Candidates whose metric is no mean are given up when they are hopeless, and rarely otherwise."""

import pickle

import numpy as np
import pytest

from lpot_examples.evaluation.comparison import Comparison
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.detection import DetectionEvaluation, Detections
from lpot_examples.evaluation.evidence import Evidence, gather
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.evaluation.subset_racing import SubsetRace
from lpot_examples.evaluation.subsets import (
    FEWEST_SAMPLES,
    look_sizes,
    race_order,
    subset_scores,
)
from lpot_examples.evaluation.zoo_detection import ZooDetectionEvaluation

BAR = Criterion(relative=0.05)
SAMPLES = 1000


def ratio(found, objects):
    """A metric that is no mean of samples: found objects by all objects of a selection."""
    return lambda rows: float(found[rows].sum() / objects[rows].sum())


def made(seed, *, kept, samples=SAMPLES):
    """Return fp32's and a candidate's metric; the candidate keeps so much of what fp32 finds."""
    rng = np.random.default_rng(seed)
    objects = rng.integers(1, 8, samples)
    found = rng.binomial(objects, 0.6)
    return ratio(found, objects), ratio(rng.binomial(found, kept), objects)


def raced(fp32, candidate, *, samples=SAMPLES, batch=8):
    race = SubsetRace(subset_scores(fp32, samples), samples, BAR)
    done = 0
    while done < samples:
        done += batch
        if race.due(done) and race.look(candidate, done):
            return race
    return race


def test_a_hopeless_candidate_is_given_up_at_once():
    race = raced(*made(0, kept=0.7))
    assert race.stop.samples == look_sizes(SAMPLES)[0] == 250
    assert race.stop.bound > race.stop.allowance
    assert race.stop.loss > race.stop.bound
    assert race.stopped(EvaluationResult(score=0.1, metric="m", samples=250))
    assert not race.stopped(EvaluationResult(score=0.1, metric="m", samples=SAMPLES))


def test_one_that_loses_little_runs_to_the_end():
    assert all(raced(*made(seed, kept=0.98)).stop is None for seed in range(20))


def test_one_that_would_meet_the_bar_is_rarely_given_up():
    """Of candidates whose loss on the whole set is just below the bar, about 1 % at most."""
    stopped = tried = 0
    for seed in range(400):
        fp32, candidate = made(seed, kept=0.95)
        every = np.arange(SAMPLES)
        if BAR.met(fp32(every), candidate(every)):
            tried += 1
            stopped += raced(fp32, candidate).stop is not None
    assert tried > 100
    # 1 % and what chance adds to it with 97.5 % confidence.
    assert stopped <= 0.01 * tried + 2 * np.sqrt(0.01 * tried)


def test_one_beyond_the_bar_is_given_up_in_time():
    stops = [raced(*made(seed, kept=0.88)).stop for seed in range(40)]
    assert sum(stop is not None for stop in stops) > 30


def test_small_sets_and_scores_that_are_not_finite_are_not_raced():
    fp32, _ = made(1, kept=1.0, samples=FEWEST_SAMPLES - 1)
    assert subset_scores(fp32, FEWEST_SAMPLES - 1) is None
    assert subset_scores(lambda rows: float("nan"), FEWEST_SAMPLES) is None


def test_the_order_is_the_same_for_all_and_a_permutation():
    fp32, _ = made(2, kept=1.0)
    race = SubsetRace(subset_scores(fp32, SAMPLES), SAMPLES, BAR)
    np.testing.assert_array_equal(race.order(SAMPLES), race_order(SAMPLES))
    assert sorted(race.order(SAMPLES)) == list(range(SAMPLES))


def test_another_number_of_samples_is_evaluated_fully():
    fp32, _ = made(2, kept=1.0)
    race = SubsetRace(subset_scores(fp32, SAMPLES), SAMPLES, BAR)
    np.testing.assert_array_equal(race.order(7), np.arange(7))
    assert not race.due(500)


def test_reports_of_single_samples_stop_nothing():
    fp32, _ = made(2, kept=1.0)
    race = SubsetRace(subset_scores(fp32, SAMPLES), SAMPLES, BAR)
    assert race([0.0] * 300, list(range(300))) is False


def test_it_goes_to_another_process_and_back():
    fp32, candidate = made(3, kept=0.6)
    race = pickle.loads(pickle.dumps(SubsetRace(subset_scores(fp32, SAMPLES), SAMPLES, BAR)))
    assert race.look(candidate, 250)
    assert pickle.loads(pickle.dumps(race)).stop == race.stop


def test_the_journal_keeps_what_a_race_needs():
    fp32, candidate = made(4, kept=0.6)
    every = np.arange(SAMPLES)
    result = EvaluationResult(score=fp32(every), metric="m", samples=SAMPLES, resample=fp32)
    kept = Evidence.from_dict(gather(result, race=True).to_dict())
    race = Comparison(result, kept, BAR).race("0" * 16)
    assert isinstance(race, SubsetRace)
    assert race.look(candidate, 250)
    assert gather(result).subsets is None
    assert Comparison(result, gather(result), BAR).race("0" * 16) is None


IMAGES = 600
TRUTH = {
    "images": [{"id": 3 * n, "width": 100, "height": 100} for n in range(IMAGES)],
    "categories": [{"id": kind, "name": str(kind)} for kind in (1, 2)],
    "annotations": [
        {"image_id": 3 * n, "category_id": 1 + n % 2, "bbox": [10, 10, 30, 20 + n % 40]}
        for n in range(IMAGES)
    ],
}


class Loader:
    """Gives image numbers as inputs, eight at a time."""

    def __init__(self):
        self.given = 0

    def __iter__(self):
        return self.ordered(np.arange(IMAGES))

    def ordered(self, order):
        for start in range(0, IMAGES, 8):
            rows = np.asarray(order[start : start + 8])
            self.given += len(rows)
            yield rows, 3 * rows


def evaluation(lost):
    """Return an evaluation whose model misses this share of the objects, and its loader."""

    def decode(rows, sizes):
        found = []
        for n in rows:
            x = 200.0 if np.random.default_rng(int(n)).random() < lost else 10.0
            box = [[x, 10.0, x + 30, 30.0 + n % 40]]
            score = np.array([0.5 + 0.4 * np.random.default_rng(int(n) + 9999).random()])
            found.append(
                Detections(boxes=np.array(box), scores=score, categories=np.array([1 + n % 2]))
            )
        return found

    loader = Loader()
    return DetectionEvaluation(loader, ground_truth=TRUTH, decode=decode), loader


@pytest.fixture(scope="module")
def fp32():
    return evaluation(0.05)[0](lambda rows: rows)


def race_against(result):
    return Comparison(result, gather(result, race=True), BAR).race("0" * 16)


def test_a_hopeless_detector_is_not_shown_all_images(fp32):
    score, loader = evaluation(0.5)
    race = race_against(fp32)
    result = score(lambda rows: rows, monitor=race)
    assert race.stopped(result)
    assert result.samples == loader.given < 0.3 * IMAGES
    # Of the images seen, not of all: the others would count as missed.
    assert 0.2 < result.score < 0.6


def test_a_good_detector_scores_as_without_a_race(fp32):
    score, _ = evaluation(0.06)
    race = race_against(fp32)
    result = score(lambda rows: rows, monitor=race)
    assert not race.stopped(result)
    assert (result.score, result.samples) == (score(lambda rows: rows).score, IMAGES)


def test_a_loader_that_knows_no_order_is_evaluated_fully(fp32):
    score, loader = evaluation(0.5)
    score._batches = list(loader)
    race = race_against(fp32)
    assert score(lambda rows: rows, monitor=race).samples == IMAGES
    assert race.stop is None


def test_detectors_of_the_zoo_are_raced_too(fp32):
    def lost_half(rows):
        count = len(rows)
        boxes = np.zeros((count, 1, 4), np.float32)
        for place, n in enumerate(rows):
            x = 0.6 if n % 4 < 2 else 0.1
            boxes[place, 0] = 0.1, x, (30.0 + n % 40) / 100, x + 0.3
        return {
            "num_detections": np.ones(count, np.float32),
            "detection_boxes": boxes,
            "detection_scores": np.full((count, 1), 0.9, np.float32),
            "detection_classes": 1.0 + np.asarray(rows, np.float32)[:, None] % 2,
        }

    loader = Loader()
    race = race_against(fp32)
    result = ZooDetectionEvaluation(loader, ground_truth=TRUTH)(lost_half, monitor=race)
    assert race.stopped(result)
    assert loader.given < 0.3 * IMAGES
