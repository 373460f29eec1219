import gc
import time

import numpy as np
import pytest

from lpot_examples.benchmark import interleaved
from lpot_examples.benchmark.interleaved import (
    Round,
    Schedule,
    burst,
    measure,
    play_rounds,
    select_rounds,
)
from lpot_examples.benchmark.load import ForeignLoad

pytestmark = pytest.mark.alone  # measures time


class Recorder:
    """A player that only notes what it is told."""

    cores = (0,)

    def __init__(self):
        self.turns, self.warmed = [], []

    def warm_up(self, name, calls):
        self.warmed.append((name, calls))

    def play(self, name, schedule):
        self.turns.append(name)
        return np.array([1.0])

    def cpu_seconds(self):
        return 0.0


@pytest.fixture
def foreign(monkeypatch):
    """Sets the foreign loads that successive rounds see; the last one repeats."""

    def use(*loads):
        script = list(loads)
        monkeypatch.setattr(ForeignLoad, "start", lambda self, *, own_seconds: None)
        monkeypatch.setattr(
            ForeignLoad,
            "share",
            lambda self, *, own_seconds: script.pop(0) if len(script) > 1 else script[0],
        )

    return use


def rounds_of(*loads):
    return [Round({"a": np.array([float(i)])}, load) for i, load in enumerate(loads)]


def test_models_take_turns_and_the_first_one_rotates(foreign):
    foreign(0.0)
    player = Recorder()
    done = []
    play_rounds(
        ["a", "b", "c"],
        player,
        Schedule(warmup=4, rounds=4),
        progress=lambda *step: done.append(step),
    )
    assert "".join(player.turns) == "abcbcacababc"
    assert player.warmed == [("a", 4), ("b", 4), ("c", 4)]
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_noisy_rounds_are_run_again_but_not_for_ever(foreign):
    schedule = Schedule(rounds=10)
    foreign(0.5, 0.5, 0.0)
    assert len(play_rounds(["a"], Recorder(), schedule)) == 12
    foreign(0.5)
    assert len(play_rounds(["a"], Recorder(), schedule)) == 15


def test_time_that_is_up_ends_the_rounds_once_there_are_six(foreign):
    foreign(0.0)
    assert len(play_rounds(["a"], Recorder(), Schedule(rounds=30, max_seconds=0))) == 6


class Scripted(Recorder):
    """Gives model b the timings of a script, round by round; model a takes 1 ms."""

    def __init__(self, script):
        super().__init__()
        self._script = iter(script)

    def play(self, name, schedule):
        self.turns.append(name)
        return np.array([next(self._script) if name == "b" else 1.0])


@pytest.mark.parametrize(
    ("script", "rounds"),
    [
        ([0.5] * 30, 10),  # the first ten agree
        ([0.5, 0.9] * 15, 30),  # they never do
        ([0.5, 0.9] + [0.6] * 28, 10),  # two that stick out do not matter
        ([0.5, 0.9, 0.8] + [0.6] * 27, 12),
    ],
)
def test_rounds_end_once_the_speed_up_is_precise(foreign, script, rounds):
    foreign(0.0)
    player = Scripted(script)
    found = play_rounds(["a", "b"], player, Schedule(rounds=30, precision=0.03))
    assert len(found) == rounds


def test_noisy_rounds_settle_nothing(foreign):
    foreign(*[0.5] * 12, 0.0)
    found = play_rounds(["a", "b"], Recorder(), Schedule(rounds=30, precision=0.03))
    assert len(found) == 22


def test_quiet_rounds_are_kept_and_noisy_ones_left_out():
    kept, noise = select_rounds(rounds_of(0.5, *[0.02] * 8, 0.3), Schedule())
    assert [r.foreign for r in kept] == [0.02] * 8
    assert (noise.rounds, noise.kept, noise.quiet, noise.foreign) == (10, 8, True, 0.02)
    assert noise.remark == "2 of 10 rounds left out because others used the cores."


def test_without_six_quiet_rounds_the_quietest_third_is_kept_and_called_noisy():
    loads = [0.9 - 0.03 * i for i in range(24)] + [0.01] * 3
    kept, noise = select_rounds(rounds_of(*loads), Schedule())
    assert sorted(r.foreign for r in kept) == sorted(loads)[:9]
    assert not noise.quiet
    assert noise.remark.startswith("Noisy: other processes used 24%")


def test_rounds_of_unknown_load_are_all_kept():
    kept, noise = select_rounds(rounds_of(None, None, None), Schedule())
    assert (len(kept), noise.foreign, noise.quiet, noise.remark) == (3, None, True, "")


def test_the_first_call_of_a_turn_is_not_timed():
    durations = iter([0.05] + [0.001] * 10)
    timed = burst(lambda: time.sleep(next(durations)), turn_seconds=9, turn_calls=10)
    assert len(timed) == 10
    assert np.median(timed) < 20e6


def test_a_turn_lasts_its_time_and_times_at_least_two_calls():
    timed = burst(lambda: time.sleep(0.002), turn_seconds=0.05, turn_calls=None)
    assert sum(timed) + 0.005e9 >= 0.05e9
    assert 5 <= len(timed) <= 26
    assert len(burst(lambda: time.sleep(0.01), turn_seconds=0.0, turn_calls=None)) == 2


def test_garbage_collection_waits_for_the_end_of_a_turn():
    seen = []
    burst(lambda: seen.append(gc.isenabled()), turn_seconds=0, turn_calls=3)
    assert seen == [False] * 4
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        burst(lambda: 1 / 0, turn_seconds=0, turn_calls=3)
    assert gc.isenabled()


def test_measure_finds_which_callable_is_faster():
    runs = {"slow": lambda: time.sleep(0.004), "fast": lambda: time.sleep(0.001)}
    schedule = Schedule(warmup=1, rounds=6, turn_seconds=0.02, foreign_limit=1.0)
    found = measure(runs, schedule=schedule, batch_size=2)
    assert list(found) == ["slow", "fast"]
    assert 2 < interleaved_speedup(found) < 5
    assert found["fast"].batch_size == 2


def interleaved_speedup(found):
    from lpot_examples.benchmark.stats import paired_speedup

    return paired_speedup(found["slow"], found["fast"]).value


def test_foreign_load_is_what_is_busy_beyond_ourselves(tmp_path, monkeypatch):
    stat = tmp_path / "stat"
    clock = iter([100.0, 101.0])
    monkeypatch.setattr(interleaved.time, "perf_counter", lambda: next(clock))
    load = ForeignLoad([0, 2], stat=stat)
    head = "cpu 0 0 0 0 0 0 0 0 0 0\n"
    # user nice system idle iowait irq softirq steal guest guest_nice, ticks of 10 ms
    stat.write_text(
        head + "cpu0 5 0 0 9 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\n"
    )
    load.start(own_seconds=3.0)
    stat.write_text(
        head + "cpu0 85 20 0 9 0 0 0 0 50 0\ncpu1 900 0 0 0 0 0 0 0 0 0\n"
        "cpu2 0 0 10 99 99 0 0 30 0 0\n"
    )
    # busy: 80 + 20 + 10 + 30 ticks = 1.4 s; own 1.0 s; wall 1 s on 2 cores
    assert load.share(own_seconds=4.0) == pytest.approx(0.2)


def test_foreign_load_is_unknown_without_the_kernels_counters(tmp_path):
    load = ForeignLoad([0], stat=tmp_path / "none")
    load.start(own_seconds=0)
    assert load.share(own_seconds=0) is None
