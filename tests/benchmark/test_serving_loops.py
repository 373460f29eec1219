import gc

import numpy as np
import pytest

from lpot_examples.benchmark.serving import loops
from lpot_examples.benchmark.serving.arrivals import poisson
from lpot_examples.benchmark.serving.loops import closed_loop, open_loop

pytestmark = pytest.mark.alone  # measures time


class Time:
    """A clock that only sleeping, looking at it and running the model move on."""

    def __init__(self):
        self.now = 100.0

    def clock(self):
        self.now += 1e-9
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def model(self, seconds):
        def run():
            assert not gc.isenabled()
            self.now += seconds

        return run


@pytest.fixture
def time(monkeypatch):
    found = Time()
    monkeypatch.setattr(loops, "clock", found.clock)
    monkeypatch.setattr(loops.time, "sleep", found.sleep)
    # Busy waiting would take as many looks as there are nanoseconds.
    monkeypatch.setattr(loops, "_LATENESS", 0.0)
    return found


def test_only_calls_within_the_stretch_are_counted(time):
    # It begins during the fourth call, which ends at 101.2, and ends during the one from 102.7 on.
    durations = closed_loop(time.model(0.3), begin=101.0, seconds=1.9)
    assert durations == pytest.approx([3e8] * 5)


def test_a_slow_model_is_timed_twice(time):
    assert len(closed_loop(time.model(5.0), begin=100.1, seconds=1.0)) == 2
    assert gc.isenabled()


def test_the_time_in_the_queue_counts_from_the_arrival(time):
    latencies = open_loop(time.model(1.0), begin=110.0, arrivals=[0.0, 0.25, 0.5, 10.0])
    assert latencies == pytest.approx([1.0, 1.75, 2.5, 1.0])


def test_a_late_start_is_not_forgiven(time):
    time.now = 112.0  # the untimed call ends 3 s after the first arrival
    latencies = open_loop(time.model(1.0), begin=110.0, arrivals=[0.0, 5.0])
    assert latencies == pytest.approx([4.0, 1.0])


def test_waits_are_those_of_queueing_theory(time):
    """M/D/1: the mean wait is ρs / 2(1−ρ) (Pollaczek and Khinchine)."""
    load, service = 0.7, 0.5
    arrivals = poisson(load / service, 20_000 * service / load, seed=1)
    latencies = np.array(open_loop(time.model(service), begin=200.0, arrivals=arrivals))
    expected = load * service / (2 * (1 - load))
    assert (latencies - service).mean() == pytest.approx(expected, rel=0.15)


def test_collecting_garbage_delays_no_request(time, monkeypatch):
    """With TensorFlow loaded it takes 0.1 s, and the first requests would queue as long."""
    collected = []

    def collect():
        collected.append(time.now)
        time.now += 0.1

    monkeypatch.setattr(loops.gc, "collect", collect)
    arrivals = [0.0, 0.01, 0.02]
    latencies = open_loop(time.model(0.001), begin=100.005, arrivals=arrivals)
    assert latencies == pytest.approx([0.001] * 3, rel=1e-4)
    assert collected  # afterwards
