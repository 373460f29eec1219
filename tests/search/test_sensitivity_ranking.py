"""The ranking finds the guilty groups of networks whose truth is known, within its budget."""

import math
from zlib import crc32

import numpy as np
import pytest

from lpot_examples.graph import Group, Op, Precision, TuningConfig
from lpot_examples.search.sensitivity import MAX_PROBES, sensitivities


def groups(count):
    return [
        Group(
            name=f"g{index}",
            type="Conv2D",
            ops=(Op(f"g{index}", "Conv2D"),),
            precisions=(Precision.INT8, Precision.FP32),
        )
        for index in range(count)
    ]


def rank(candidates, *arguments):
    """Names, the most harmful first; equal ones in order of execution."""
    found = sensitivities(candidates, *arguments)
    names = [group.name for group in candidates]
    return sorted(names, key=lambda name: -found[name])


class Probe:
    """Adds up what each int8 group is to blame for; counts and keeps what it is asked."""

    def __init__(self, harm, *, together=(), noise=0.0):
        self.harm = harm
        self.together = frozenset(together)
        self.noise = noise
        self.asked = []

    def __call__(self, config):
        self.asked.append(config)
        int8 = set(self.harm) - config.fp32
        error = sum(self.harm[name] for name in int8)
        # A set that does harm unless all of it is fp32, as parallel branches may.
        error += 1.0 * bool(self.together & int8)
        if self.noise:
            seed = crc32(" ".join(sorted(config.fp32)).encode())
            error *= 1 + self.noise * np.random.default_rng(seed).standard_normal()
        return error


def guilty_network(count, guilty, *, quiet=1e-3):
    return {f"g{i}": 1.0 if i in guilty else quiet for i in range(count)}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 20, 53, 64, 155, 300])
@pytest.mark.parametrize("seed", range(3))
def test_the_guilty_come_first(count, seed):
    """Splitting a block costs two probes, so what fits the budget is log2 of the block each."""
    rng = np.random.default_rng(seed)
    block = math.ceil(count / 8)
    most = max(1, (MAX_PROBES - 8) // (2 * max(1, math.ceil(math.log2(block)))))
    number = min(count, 1 + seed, most)
    guilty = set(rng.choice(count, number, replace=False).tolist())
    probe = Probe(guilty_network(count, guilty, quiet=1e-3 / count))
    order = rank(groups(count), TuningConfig(), probe)
    assert sorted(order) == sorted(probe.harm)
    assert {int(name[1:]) for name in order[:number]} == guilty
    # The probe of the whole network comes on top.
    assert len(probe.asked) <= min(MAX_PROBES, 2 * count) + 1


def test_a_quiet_network_stays_within_the_budget():
    for count in (1, 5, 8, 9, 100):
        probe = Probe({f"g{i}": 0.0 for i in range(count)})
        assert rank(groups(count), TuningConfig(), probe) == list(probe.harm)
        assert len(probe.asked) <= min(MAX_PROBES, 2 * count) + 1


def test_all_alike_keeps_the_order_of_execution():
    probe = Probe({f"g{i}": 1.0 for i in range(64)})
    order = rank(groups(64), TuningConfig(), probe)
    assert len(probe.asked) <= MAX_PROBES + 1
    assert sorted(order) == sorted(probe.harm)


def test_the_worst_of_few_comes_first():
    """With one group per block the order is that of the harm."""
    harm = {"g0": 0.1, "g1": 0.4, "g2": 0.2, "g3": 0.3}
    assert rank(groups(4), TuningConfig(), Probe(harm)) == ["g1", "g3", "g2", "g0"]


def test_neighbours_that_matter_only_together():
    """One by one, neither would change anything."""
    harm = dict.fromkeys((f"g{i}" for i in range(32)), 1e-4)
    probe = Probe(harm, together={"g8", "g9"})
    assert set(rank(groups(32), TuningConfig(), probe)[:4]) >= {"g8", "g9"}


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_hide_a_guilty_group(seed):
    harm = guilty_network(60, {7 * seed + 3})
    order = rank(groups(60), TuningConfig(), Probe(harm, noise=0.02))
    assert order[0] == f"g{7 * seed + 3}"


def test_what_is_fp32_already_stays_so():
    probe = Probe(guilty_network(10, {4}))
    config = TuningConfig(fp32=frozenset({"g1"}), equalization=0.5)
    order = rank([g for g in groups(10) if g.name != "g1"], config, probe)
    assert order[0] == "g4"
    assert "g1" not in order
    assert all("g1" in asked.fp32 and asked.equalization == 0.5 for asked in probe.asked)


def test_progress_never_exceeds_its_total():
    seen = []
    probe = Probe(guilty_network(64, {5, 40, 63}))
    rank(groups(64), TuningConfig(), probe, lambda *args: seen.append(args[1:]))
    assert all(0 <= done <= total == MAX_PROBES for done, total in seen)
    assert seen[-1] == (MAX_PROBES, MAX_PROBES)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
