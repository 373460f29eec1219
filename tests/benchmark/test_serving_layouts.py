import numpy as np
import pytest

from lpot_examples.benchmark.pool import BenchmarkError
from lpot_examples.benchmark.serving.arrivals import deal, poisson
from lpot_examples.benchmark.serving.layouts import (
    Layout,
    Setting,
    layouts,
    left_out,
    thread_layouts,
)
from lpot_examples.benchmark.serving.remarks import Remarks


def names(found):
    return [str(layout) for layout in found]


@pytest.mark.parametrize(
    ("cores", "found"),
    [
        (1, ["1×1"]),
        (2, ["1×1", "1×2", "2×1"]),
        (7, ["1×1", "1×7", "3×2", "7×1"]),  # a prime: some cores stay idle
        (28, ["1×1", "1×28", "2×14", "4×7", "7×4", "14×2", "28×1"]),
    ],
)
def test_all_even_divisions_of_the_cores_are_tried(cores, found):
    assert names(layouts(cores)) == found


def test_one_thread_on_each_physical_core_is_tried_as_well():
    found = names(layouts(8, physical=4))
    assert {"1×8", "2×4", "4×2", "8×1", "1×4", "2×2", "4×1"} < set(found)


def test_many_divisors_are_thinned_evenly_and_it_is_said():
    found = layouts(96)
    assert len(found) == 9
    assert {"1×96", "96×1"} < set(names(found))
    sizes = sorted(layout.cores for layout in found if layout.total == 96)
    assert max(b / a for a, b in zip(sizes, sizes[1:], strict=False)) <= 3
    said = left_out(96, found)
    assert said.startswith("Not tried: ")
    assert all(str(layout) not in said.replace(",", "").split() for layout in found)
    assert left_out(28, layouts(28)) == ""


def test_what_was_asked_for_is_tried_as_far_as_it_fits():
    assert names(layouts(8, instances=(2, 4))) == ["2×4", "4×2"]
    assert names(layouts(8, cores_per_instance=(3,))) == ["2×3"]
    assert names(layouts(8, instances=(2, 4), cores_per_instance=(2, 4))) == ["2×2", "2×4", "4×2"]
    with pytest.raises(BenchmarkError, match="at least 9 cores, but this process may use 8"):
        layouts(8, instances=(9,))
    with pytest.raises(BenchmarkError, match="at least 1"):
        layouts(8, instances=(0,))


def test_threads_are_tried_one_by_one_and_then_in_steps():
    assert names(thread_layouts(3)) == ["1×1", "1×2", "1×3"]
    counts = [layout.cores for layout in thread_layouts(56, physical=28)]
    assert counts[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {28, 56} < set(counts)
    assert len(counts) < 16


def test_arrivals_are_a_poisson_process_of_the_seed():
    arrivals = poisson(50.0, 200.0, seed=3)
    assert (arrivals == poisson(50.0, 200.0, seed=3)).all()
    assert len(poisson(50.0, 200.0, seed=4)) != len(arrivals)
    assert abs(len(arrivals) - 10_000) < 4 * 100
    gaps = np.diff(arrivals)
    assert (gaps >= 0).all()
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)  # exponential
    # Of a Poisson process the counts in equal stretches vary as much as they are large.
    counts = np.histogram(arrivals, bins=400, range=(0, 200))[0]
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.25)


def test_requests_are_dealt_in_turn():
    dealt = deal(np.arange(7.0), 3)
    assert [own.tolist() for own in dealt] == [[0, 3, 6], [1, 4], [2, 5]]


def test_what_was_left_out_is_said_once_from_the_smallest_batch_on():
    remarks = Remarks()
    remarks.add("a sentence.")
    remarks.add("a sentence.")
    for batch in (4, 8):
        for layout in (Layout(1, 2), Layout(2, 1)):
            remarks.leave_out(Setting("int8.pb", layout, batch), "a call would take long")
    assert remarks.was_left_out(Setting("int8.pb", Layout(1, 2), 16))
    assert not remarks.was_left_out(Setting("int8.pb", Layout(1, 2), 2))
    assert remarks.sentences() == (
        "a sentence.",
        "int8.pb: batches from 4 left out at 1×2, 2×1: a call would take long.",
    )
