"""Latencies are measured once, in turns, and remembered: a resumed search sees the same ones."""

from functools import partial

import pytest

from lpot_examples import pace as module
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EmitError
from lpot_examples.graph import Crossing, LatencyMap, TuningConfig, Unit
from lpot_examples.journal import Journal
from lpot_examples.pace import Pace

SAMPLE = {"input": "sample"}
CONFIGS = [TuningConfig(fp32=frozenset(names)) for names in ((), ("a",), ("a", "b"))]
MAP = LatencyMap(
    units={"a": Unit(name="a", group=True, int8=0.1, fp32=1 / 3)},
    crossings=(
        Crossing(
            tensor="x", maker=None, readers=("a",), outside=True, quantize=1e-7, dequantize=0.3
        ),
    ),
    rest=0.25,
)


class Clock:
    """Time that passes only while a model runs."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Model(partial):
    """A function that can be closed."""

    def __new__(cls, run, close):
        made = super().__new__(cls, run)
        made.close = close
        return made


class Backend:
    """Models that take given seconds, run by run; the last figure stays.

    Attributes:
        runs: The model of every run, in order.
    """

    def __init__(self, clock, durations, latencies=MAP):
        self._clock, self._durations, self._latencies = clock, durations, latencies
        self.runs, self.closed, self.asked = [], [], []

    def emit(self, config, statistics):
        name = CONFIGS.index(config)
        if self._durations[name] is None:
            raise EmitError("it cannot be made")
        return Model(partial(self._run, name), lambda: self.closed.append(name))

    def _run(self, name, batch):
        assert batch is SAMPLE
        durations = self._durations[name]
        turn = self.runs.count(name)
        self._clock.now += durations[min(turn, len(durations) - 1)]
        self.runs.append(name)

    def latencies(self, config, statistics, batch):
        assert batch is SAMPLE
        self.asked.append((config, statistics.samples))
        return self._latencies


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def opened(folder, backend):
    journal = Journal(folder / "journal.jsonl", {"network": "n"})
    collected = {4: Statistics({}, 4), 9: Statistics({}, 9)}
    return Pace(backend, collected, SAMPLE, journal), journal


def test_each_configuration_gets_the_median_of_its_runs_after_warming_up(tmp_path, clock):
    # The first three runs are slow and do not count; nor does one run that was disturbed.
    durations = [[9.0] * 3 + [0.002], [9.0] * 3 + [7.0] + [0.004], [0.001]]
    backend = Backend(clock, durations)
    pace, journal = opened(tmp_path, backend)
    assert pace.compare(CONFIGS) == pytest.approx([2.0, 4.0, 1.0])
    assert sorted(backend.closed) == [0, 1, 2]
    journal.close()


def test_configurations_run_in_turns(tmp_path, clock):
    backend = Backend(clock, [[0.1]] * 3)
    pace, journal = opened(tmp_path, backend)
    pace.compare([CONFIGS[2], CONFIGS[0], CONFIGS[1]])
    rounds = [backend.runs[start : start + 3] for start in range(0, len(backend.runs), 3)]
    assert len(rounds) > 10
    assert all(one == [2, 0, 1] for one in rounds)
    journal.close()


def test_what_was_measured_is_remembered(tmp_path, clock):
    pace, journal = opened(tmp_path, Backend(clock, [[0.1], [0.3], [1 / 7]]))
    costs, times = pace.costs(CONFIGS[0]), pace.compare(CONFIGS)
    assert costs == MAP
    journal.close()
    other = Backend(clock, [[0.7]] * 3, latencies=None)
    resumed, journal = opened(tmp_path, other)
    assert journal.resumed
    assert resumed.costs(CONFIGS[0]) == MAP
    assert resumed.compare(CONFIGS) == times
    assert not other.runs
    assert not other.asked
    # Other configurations, or the same in another order, were not measured.
    assert resumed.compare(CONFIGS[:2]) == pytest.approx([700, 700])
    assert resumed.compare(CONFIGS[::-1]) == pytest.approx([700] * 3)
    assert resumed.costs(CONFIGS[1]) is None
    journal.close()


def test_a_backend_that_cannot_tell_is_asked_again(tmp_path, clock):
    backend = Backend(clock, [], latencies=None)
    pace, journal = opened(tmp_path, backend)
    assert pace.costs(CONFIGS[0]) is None
    assert pace.costs(CONFIGS[0]) is None
    assert len(backend.asked) == 2
    journal.close()


def test_costs_are_measured_with_the_statistics_of_the_configuration(tmp_path, clock):
    backend = Backend(clock, [])
    pace, journal = opened(tmp_path, backend)
    few = TuningConfig(samples=4)
    pace.costs(few)
    pace.costs(CONFIGS[0])
    assert backend.asked == [(few, 4), (CONFIGS[0], 9)]
    journal.close()


def test_a_network_that_cannot_be_made_is_an_error_and_not_remembered(tmp_path, clock):
    durations = [[0.1], None, [0.1]]
    backend = Backend(clock, durations)
    pace, journal = opened(tmp_path, backend)
    with pytest.raises(EmitError):
        pace.compare(CONFIGS)
    assert not backend.runs
    assert backend.closed == [0]
    assert journal.find("pace") is None
    journal.close()
