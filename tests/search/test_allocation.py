"""Minimum cuts find what brute force finds, and the Pareto list holds nothing that is beaten."""

import itertools
import random

import pytest

from lpot_examples.graph import Crossing, LatencyMap, Unit
from lpot_examples.search.allocation import allocate, pareto, predict, refine


def random_map(seed):
    rng = random.Random(seed)
    names = [f"u{number}" for number in range(rng.randint(2, 8))]
    units = {
        name: Unit(name=name, group=rng.random() < 0.7, int8=rng.random(), fp32=2 * rng.random())
        for name in names
    }
    crossings = []
    for number in range(len(names)):
        maker = rng.choice([*names, None])
        readers = rng.sample(names, rng.randint(1, min(3, len(names))))
        crossings.append(
            Crossing(
                tensor=str(number),
                maker=maker,
                readers=tuple(reader for reader in readers if reader != maker),
                outside=rng.random() < 0.3,
                quantize=rng.random() / 2,
                dequantize=rng.random() / 2,
            )
        )
    return LatencyMap(units=units, crossings=tuple(crossings), rest=0.1), rng


def subsets(names):
    names = sorted(names)
    counts = range(len(names) + 1)
    return (frozenset(some) for n in counts for some in itertools.combinations(names, n))


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_is_the_exact_minimum(seed):
    costs, rng = random_map(seed)
    penalties = {name: rng.random() for name in costs.groups}
    fixed = {name: rng.random() < 0.5 for name in costs.units if rng.random() < 0.2}
    int8 = {name for name, kind in fixed.items() if kind}
    fp32 = fixed.keys() - int8

    def total(chosen):
        return costs.cost(chosen) + sum(penalties.get(name, 0) for name in chosen)

    found = allocate(costs, fixed_int8=int8, fixed_fp32=fp32, penalties=penalties)
    allowed = [one for one in subsets(costs.units) if int8 <= one and not fp32 & one]
    assert found in allowed
    assert total(found) == pytest.approx(min(map(total, allowed)), abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_the_list_trades_latency_for_sensitivity(seed):
    costs, rng = random_map(seed)
    harm = {name: rng.random() for name in costs.groups}
    front = pareto(costs, harm)
    assert all(
        here.latency < there.latency and here.sensitivity > there.sensitivity
        for here, there in itertools.pairwise(front)
    )
    best = {fp32: predict(costs, fp32) for fp32 in subsets(costs.groups)}
    for one in front:
        assert one.latency == pytest.approx(best[one.fp32], abs=1e-3)
        for fp32, latency in best.items():
            left = sum(harm[name] for name in costs.groups - fp32)
            assert not (latency < one.latency - 1e-3 and left < one.sensitivity - 1e-9)
    assert front[-1].sensitivity == pytest.approx(0)
    fine = refine(costs, front, harm)
    assert [one for one in fine if one in front] == front


def test_ties_go_to_int8_and_data_movement_follows():
    units = {
        "a": Unit(name="a", group=True, int8=1.0, fp32=1.0),
        "moves": Unit(name="moves", group=False, int8=0.3, fp32=0.2),
        "b": Unit(name="b", group=True, int8=1.0, fp32=3.0),
    }
    between = {"outside": False, "quantize": 0.5, "dequantize": 0.5}
    crossings = (
        Crossing(tensor="x", maker=None, readers=("a",), **(between | {"quantize": 0.0})),
        Crossing(tensor="y", maker="a", readers=("moves",), **between),
        Crossing(tensor="z", maker="moves", readers=("b",), **between),
    )
    costs = LatencyMap(units=units, crossings=crossings, rest=0.0)
    assert allocate(costs) == {"a", "moves", "b"}
    assert predict(costs, {"a", "b"}) == pytest.approx(4.2)
    assert predict(costs, {"a"}) == pytest.approx(1.0 + 0.2 + 0.5 + 1.0)
    assert LatencyMap.from_dict(costs.to_dict()) == costs


def test_a_tensor_is_converted_once_for_all_its_readers():
    units = {name: Unit(name=name, group=True, int8=0.0, fp32=1.0) for name in "abc"}
    shared = Crossing(
        tensor="x", maker=None, readers=("a", "b", "c"), outside=True, quantize=2.0, dequantize=9.0
    )
    costs = LatencyMap(units=units, crossings=(shared,), rest=0.0)
    assert costs.cost({"a"}) == 4.0
    assert allocate(costs) == {"a", "b", "c"}
