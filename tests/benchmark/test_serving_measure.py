"""Serving by real processes, of models that only sleep."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lpot_examples.benchmark.interleaved import Schedule
from lpot_examples.benchmark.pool import BenchmarkError
from lpot_examples.benchmark.serving.arrivals import poisson
from lpot_examples.benchmark.serving.fleet import Fleet
from lpot_examples.benchmark.serving.layouts import Layout, Setting
from lpot_examples.benchmark.serving.load import measure_load
from lpot_examples.benchmark.serving.measure import measure_serving
from lpot_examples.benchmark.serving.result import Served
from lpot_examples.benchmark.stats import LatencyStats
from lpot_examples.benchmark.worker import Job
from lpot_examples.errors import LpotError, ModelError

pytestmark = pytest.mark.alone  # measures time

HERE = Path(__file__).parent
LOADER = "stand_in_models:load"

two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def fleet(*models):
    job = Job(
        models={name: name for name in models},
        cores=(),
        threads=1,
        batch_size=None,
        loader=LOADER,
    )
    return Fleet(job, timeout=60, tick=lambda: None)


def measure(*models, **options):
    return measure_serving({name: Path(name) for name in models}, loader=LOADER, **options)


def test_the_queue_counts_as_it_builds_up():
    """Against Lindley's recursion for the same arrivals, with the service time found before."""
    setting = Setting("sleep-20.pb", Layout(1, 1), 1)
    with fleet("sleep-20.pb") as found:
        found.prepare([setting.layout])
        found.attempt(setting)
        service = found.play(setting.key, Schedule(turn_seconds=0.3)).mean() / 1e3
        arrivals = poisson(0.85 / service, 1.5, seed=7)
        latencies = found.serve(setting, arrivals)
    expected, free = [], 0.0
    for arrival in arrivals:
        free = max(free, arrival) + service
        expected.append(free - arrival)
    assert np.mean(expected) > 2 * service  # else this would show nothing
    # Others on these cores make it slower; without the queue it would be near the service time.
    assert 0.7 < np.mean(latencies) / np.mean(expected) < 2
    assert np.corrcoef(latencies, expected)[0, 1] > 0.8
    assert latencies.min() > 0.9 * 0.020


@two_cores
def test_instances_have_disjoint_cores_and_every_second_request(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    setting = Setting("sleep-10.pb", Layout(2, 1), 3)
    with fleet("sleep-10.pb") as found:
        found.prepare([Layout(1, 2), setting.layout])  # these two share cores, one at a time
        found.attempt(setting)
        latencies = found.serve(setting, np.array([0.0, 0.001, 0.002, 0.003]))
    calls = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    cores = {call["pid"]: tuple(call["cores"]) for call in calls}
    assert sorted(map(len, cores.values())) == [1, 1]
    assert len(set(cores.values())) == 2
    assert {tuple(call["batch"]) for call in calls} == {(3, 4)}
    # The third and fourth wait for the first and second, each at its own instance.
    assert all(latencies[2:] > 0.017)
    assert all(latencies[:2] >= 0.0099)


@two_cores
def test_layouts_are_compared_and_two_instances_serve_twice_as_much():
    ticks = []
    report = measure(
        "sleep-8.pb",
        "sleep-4.pb",
        batch_sizes=(1, 2),
        seconds=4,
        under_load=False,
        threads=True,
        progress=lambda *told: ticks.append(told),
    )
    assert [str(layout) for layout in report.layouts] == ["1×1", "1×2", "2×1"][
        : len(report.layouts)
    ]
    best = report.of("sleep-4.pb")[0]
    assert (best.setting.layout, best.setting.batch, best.final) == (Layout(2, 1), 2, True)
    single = max(
        (one for one in report.of("sleep-4.pb") if one.setting.where == "1×1 b2"),
        key=lambda one: one.throughput,
    )
    assert 1.4 < best.throughput / single.throughput < 2.8
    assert report.of("sleep-8.pb")[0].throughput < best.throughput
    assert report.curves == ()
    assert ticks[-1][0] == ticks[-1][1] > 0
    assert json.loads(json.dumps(report.to_dict()))["models"]["sleep-4.pb"]["load"] == []


def test_curves_rise_with_the_load():
    setting = Setting("sleep-4.pb", Layout(1, 1), 1)
    with fleet("sleep-4.pb") as found:
        found.prepare([setting.layout])
        found.attempt(setting)
        samples = found.play(setting.key, Schedule(turn_seconds=0.3))
        served = Served(setting=setting, stats=LatencyStats(rounds_ms=(samples,)), final=True)
        (curve,) = measure_load(found, [served], seconds=2.5, latency_limit=30.0, seed=1)
    assert curve.points[0].level == 0.5  # there is time for few requests, so for few levels
    assert curve.points[-1].level == 0.9
    assert [p.level for p in curve.points] == sorted(p.level for p in curve.points)
    assert curve.points[-1].percentile(99) > 1.5 * curve.points[0].percentile(50)
    assert curve.points[0].offered == pytest.approx(0.5 * served.throughput)


def test_a_model_that_dies_is_left_out_and_the_others_are_measured():
    report = measure(
        "crash.pb", "sleep-2.pb", batch_sizes=(1,), instances=(1,), seconds=1, under_load=False
    )
    assert list(report.models) == ["sleep-2.pb"]
    assert "SIGSEGV" in report.failed["crash.pb"]
    with pytest.raises(BenchmarkError, match="no such kernel"):
        measure("defect.pb", instances=(1,), seconds=1)
    with pytest.raises(ModelError, match="cannot read the model missing"):
        measure("missing.pb", instances=(1,), seconds=1)


def test_a_batch_that_is_built_in_is_the_one_that_is_measured():
    report = measure("fixed3.pb", instances=(1,), seconds=1, under_load=False)
    assert {one.setting.batch for one in report.served} == {3}
    assert "fixed3.pb takes batches of 3 only." in report.remarks
    with pytest.raises(LpotError, match="--batch_size=3"):
        measure("fixed3.pb", batch_sizes=(1, 2), instances=(1,), seconds=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_sizes": (0,)}, "batch size must be at least 1"),
        ({"seconds": 0.0}, "--seconds must be above 0"),
        ({"latency_limit": -1.0}, "--latency_limit must be above 0"),
        ({"instances": (10**6,)}, "need at least 1000000 cores"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_starts(options, message):
    with pytest.raises(BenchmarkError, match=message):
        measure("crash.pb", **options)
