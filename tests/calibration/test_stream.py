"""Batches are put together and read ahead without a change of what is seen."""

import threading

import numpy as np
import pytest

from lpot_examples.calibration.stream import MOST_SAMPLES, ahead, joined, together


def batch(count, *, size=4, value=0.0):
    return {"image": np.full((count, size, size, 3), value, np.float32)}


def counts(batches, *, free=True, sizes=(1000,)):
    groups = together(batches, lambda _: free, sizes=sizes)
    return [[len(one["image"]) for one in group] for group in groups]


def test_small_batches_go_together():
    assert counts([batch(1)] * 11) == [[1] * MOST_SAMPLES, [1] * 3]
    assert counts([batch(3)] * 3) == [[3, 3], [3]]
    assert counts([batch(20), batch(1), batch(20)]) == [[20], [1], [20]]
    assert counts([]) == []


def test_a_group_ends_where_a_snapshot_is_due():
    assert counts([batch(1)] * 7, sizes=(3, 5)) == [[1] * 3, [1] * 2, [1] * 2]
    assert counts([batch(4), batch(7), batch(1)], sizes=(4, 5, 100)) == [[4], [7], [1]]


def test_what_cannot_be_put_together_stays_apart():
    assert counts([batch(1)] * 3, free=False) == [[1]] * 3
    assert counts([batch(1), batch(1, size=5), batch(1, size=5)]) == [[1], [1, 1]]
    # Memory: a run of large images is one of few.
    assert counts([batch(1, size=600)] * 3) == [[1]] * 3
    assert counts([batch(1, size=350)] * 3) == [[1, 1], [1]]


def test_joined_keeps_the_order():
    made = joined([batch(2, value=1.0), batch(1, value=2.0)])
    np.testing.assert_array_equal(made["image"][:, 0, 0, 0], [1, 1, 2])
    alone = batch(1)
    assert joined([alone]) is alone


def test_the_next_item_is_read_while_the_consumer_works():
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    reading = ahead(items())
    assert next(reading) == 1
    assert second.wait(10)
    assert list(reading) == [2]


def test_what_reading_raises_comes_after_what_was_read():
    def items():
        yield 1
        raise ValueError("no such photograph")

    reading = ahead(items())
    assert next(reading) == 1
    with pytest.raises(ValueError, match="no such photograph"):
        next(reading)


def test_a_consumer_that_stops_ends_the_reading():
    read = []

    def items():
        for index in range(100):
            read.append(index)
            yield index

    before = set(threading.enumerate())
    reading = ahead(items())
    next(reading)
    reading.close()
    assert len(read) <= 2
    assert set(threading.enumerate()) <= before
