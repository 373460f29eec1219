import json

import numpy as np
import pytest
from serving_reports import curve, report, served

from lpot_examples.benchmark.serving.advice import advise, commands
from lpot_examples.benchmark.serving.choice import (
    Candidate,
    choose,
    finalists,
    pareto_front,
    predicted_p99,
    predicted_throughput,
    to_load,
)
from lpot_examples.benchmark.serving.layouts import Layout, Setting
from lpot_examples.benchmark.serving.load import _between, _Point
from lpot_examples.benchmark.serving.result import Served
from lpot_examples.benchmark.stats import LatencyStats


def test_throughput_is_that_of_all_instances_and_samples():
    one = served("a", (2, 1), 4, 10.0)
    assert one.throughput == pytest.approx(800)
    assert one.throughput_interval.low == pytest.approx(800)


def test_the_front_holds_what_nothing_beats_in_both():
    slow = served("a", (2, 1), 8, 40.0)  # 400/s
    middle = served("a", (2, 1), 1, 6.0)  # 333/s
    quick = served("a", (1, 2), 1, 4.0)  # 250/s
    beaten = served("a", (1, 2), 2, 10.0)  # 200/s
    assert pareto_front([slow, beaten, middle, quick]) == [quick, middle, slow]


def test_the_predicted_wait_grows_with_the_load_and_falls_with_the_instances():
    one, many = served("a", (1, 1), 1, 10.0), served("a", (4, 1), 1, 10.0)
    waits = [predicted_p99(one, level) for level in (0.05, 0.5, 0.8, 0.95)]
    assert waits == sorted(waits)
    assert waits[0] >= 10.0
    # M/D/1 at 80 %: p99 of the wait is 9.9 calls (simulated); the formula is near it.
    assert waits[2] - 10.0 == pytest.approx(99, rel=0.15)
    assert predicted_p99(many, 0.8) < waits[2]
    assert predicted_throughput(one, 5.0) == 0.0
    assert 50 < predicted_throughput(one, 60.0) < 90


def test_finalists_are_those_in_reach_of_the_best_of_each_model():
    found = [
        served("a", (2, 1), 8, 16.0),  # 1000/s
        served("a", (2, 1), 4, 8.5),  # 941/s
        served("a", (1, 2), 1, 2.0),  # 500/s, the shortest call
        served("a", (2, 1), 1, 3.0),  # 667/s, the most of batch 1
        served("a", (1, 1), 8, 32.0),  # 250/s, nothing
        served("b", (2, 1), 8, 160.0),
        served("b", (1, 2), 1, 20.0),
    ]
    where = [(one.subject, one.where) for one in finalists(found)]
    assert set(where) == {
        ("a", "2×1 b8"),
        ("a", "2×1 b4"),
        ("a", "1×2 b1"),
        ("a", "2×1 b1"),
        ("b", "2×1 b8"),
        ("b", "1×2 b1"),
    }
    assert [rank for one, rank in finalists(found).items() if one.where == "2×1 b4"] == [1]
    assert where[-1] == ("a", "2×1 b4")  # all others are the best of a kind
    assert {one.subject for one in finalists(found, contest=True)} == {"a"}


def test_under_a_limit_the_load_is_put_on_what_is_predicted_to_keep_it():
    large, small = served("a", (2, 1), 16, 40.0), served("a", (2, 1), 1, 4.0)
    assert [one.setting.batch for one in to_load([large, small])] == [1, 16]
    assert [one.setting.batch for one in to_load([large, small], latency_limit=20)] == [1]
    assert to_load([large, small], latency_limit=1) == []


def candidate(one):
    return Candidate(one, one.round_throughputs)


def test_the_fastest_wins_and_the_runner_up_is_of_another_model():
    found = [served("a", (2, 1), 1, 5.0), served("b", (2, 1), 1, 4.0), served("b", (1, 2), 1, 2.5)]
    choice = choose([candidate(one) for one in found], subjects=["a", "b"])
    assert choice.best.served is found[1]
    assert choice.runner_up.served is found[0]
    assert choice.ratio.value == pytest.approx(1.25)
    assert choice.settled
    assert choice.equals == ()


def test_of_equals_the_simpler_is_chosen():
    """2 % more, but not in every round: fewer instances win, then the one listed first."""
    base = served("b", (1, 2), 1, 5.0, jitter=0.1)
    # In antiphase, so that the rounds disagree about which is better.
    noisy = tuple(np.full(4, 9.8 * (1.1 - 0.1 * (i % 2))) for i in range(8))
    better = Served(
        setting=Setting("b", Layout(2, 1), 1),
        stats=LatencyStats(rounds_ms=noisy, instances=2),
        final=True,
    )
    listed_first = served("a", (1, 2), 1, 5.0, jitter=0.1)
    assert better.throughput > base.throughput
    choice = choose([candidate(base), candidate(better)], subjects=["a", "b"])
    assert choice.best.served is base
    assert [one.served for one in choice.equals] == [better]
    choice = choose([candidate(one) for one in (base, better, listed_first)], subjects=["a", "b"])
    assert choice.best.served is listed_first
    assert not choice.settled


def test_far_apart_medians_are_no_equals_however_noisy():
    one, other = served("a", (1, 1), 1, 5.0), served("b", (2, 1), 1, 6.8, jitter=0.6)
    choice = choose([candidate(one), candidate(other)], subjects=["a", "b"])
    assert choice.best.served is other
    assert not choice.settled
    assert choice.equals == ()


def test_within_a_limit_the_curve_decides_not_the_saturation():
    fast, steady = served("a", (2, 1), 8, 20.0), served("b", (2, 1), 1, 3.0)
    assert fast.throughput > steady.throughput
    curves = [curve(fast, 21, 25, 60, 15), curve(steady, 4, 5, 6, 8, 9, 30, 50)]
    # A later point that is within the limit again does not count.
    assert curves[0].within(30).level == 0.25
    found = report([fast, steady], curves, limit=25.0)
    advice = advise(found)
    assert advice.throughput.best.served is steady
    assert advice.under_load.level == 0.8
    assert advice.latency is None  # there is no single instance
    within = found.to_dict()["models"]["b"]["within_limit"]
    assert within["samples_per_second"] == pytest.approx(0.8 * steady.throughput)
    assert advise(report([fast, steady], curves, limit=1.0)).throughput is None


def test_the_advice_is_complete_json():
    found = [served("a", (1, 2), 1, 4.0), served("a", (2, 1), 4, 10.0)]
    written = json.loads(json.dumps(advise(report(found)).to_dict()))
    assert written["latency"]["chosen"]["instances"] == 1
    assert written["throughput"]["chosen"]["batch_size"] == 4
    assert written["throughput"]["environment"]["OMP_NUM_THREADS"] == "1"


def test_commands_pin_each_instance_to_its_own_cores(monkeypatch):
    from lpot_examples.benchmark import runner

    monkeypatch.setattr(runner, "available_cores", lambda: (0, 1, 2, 3, 8, 9, 10, 11))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert commands(Setting("a", Layout(1, 6), 1)) == (
        "taskset -c 0-3,8-9 env OMP_NUM_THREADS=6 ONEDNN_MAX_CPU_ISA=AVX2",
    )
    assert [line.split()[2] for line in commands(Setting("a", Layout(2, 4), 1))] == ["0-3", "8-11"]


@pytest.mark.parametrize(("limit", "level"), [(5, 0.25), (15, 0.65), (25, 0.85), (99, None)])
def test_the_load_at_the_limit_is_looked_for_around_it(limit, level):
    one = served("a", (1, 1), 1, 2.0)
    points = [_Point(one, at, 2.0) for at in (0.9, 0.5, 0.8)]
    for point, p99 in zip(points, (30.0, 10.0, 20.0), strict=True):
        point.passes.append((np.full(50, p99), 0.0))
    found = _between(points, limit)
    assert (found and found.level) == (level and pytest.approx(level))
