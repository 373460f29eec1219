import pickle
import threading
import time

import pytest

from lpot_examples.data.prefetch import Prefetcher, chunks


def double(number):
    return 2 * number


def weight(_):
    return 10


def test_items_in_order_whatever_takes_how_long():
    def slow(number):
        time.sleep(0.01 * (3 - number % 4))
        return number

    prefetcher = Prefetcher(slow, weigh=weight)
    assert list(prefetcher.items(range(12))) == list(range(12))
    assert list(prefetcher.items([5, 3, 5])) == [5, 3, 5]


@pytest.mark.parametrize(("room", "again"), [(0, 5), (25, 3), (1000, 0)])
def test_what_fits_is_fetched_once(room, again):
    fetched = []

    def fetch(number):
        fetched.append(number)
        return number

    prefetcher = Prefetcher(fetch, weigh=weight, cache_bytes=room)
    list(prefetcher.items(range(5)))
    fetched.clear()
    list(prefetcher.items(range(5)))
    assert len(fetched) == again


def test_an_exception_comes_at_its_item():
    def fetch(number):
        if number == 3:
            raise ValueError("three")
        return number

    items = Prefetcher(fetch, weigh=weight).items(range(9))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(items)


def test_the_next_ones_are_fetched_while_the_consumer_works():
    fetched = threading.Event()

    def fetch(number):
        if number == 2:
            fetched.set()
        return number

    items = Prefetcher(fetch, weigh=weight, ahead=4).items(range(9))
    next(items)
    assert fetched.wait(5)
    items.close()


def test_copies_in_another_process_begin_empty():
    prefetcher = Prefetcher(double, weigh=weight, cache_bytes=20)
    list(prefetcher.items(range(2)))
    copy = pickle.loads(pickle.dumps(prefetcher))
    assert not copy._cache and copy._room == 20
    assert list(copy.items(range(3))) == [0, 2, 4]


def test_chunks():
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []


def test_what_was_begun_is_not_fetched_again():
    fetched = []

    def fetch(number):
        fetched.append(number)
        return 2 * number

    prefetcher = Prefetcher(fetch, weigh=weight)
    prefetcher.begin(range(6))
    assert list(prefetcher.items(range(9))) == [2 * number for number in range(9)]
    assert sorted(fetched) == list(range(9))


def test_fetching_begins_before_anybody_asks():
    done = threading.Event()

    def fetch(number):
        if number == 3:
            done.set()
        return number

    Prefetcher(fetch, weigh=weight).begin(range(4))
    assert done.wait(5)


def test_what_was_begun_may_be_asked_for_in_another_order_or_not_at_all():
    prefetcher = Prefetcher(double, weigh=weight)
    prefetcher.begin(range(5))
    assert list(prefetcher.items([4, 7, 0])) == [8, 14, 0]


def test_an_exception_of_what_was_begun_comes_at_its_item():
    def fetch(number):
        if number == 1:
            raise ValueError("one")
        return number

    prefetcher = Prefetcher(fetch, weigh=weight)
    prefetcher.begin(range(3))
    items = prefetcher.items(range(3))
    assert next(items) == 0
    with pytest.raises(ValueError, match="one"):
        next(items)


def test_only_so_many_are_begun(monkeypatch):
    monkeypatch.setattr("lpot_examples.data.prefetch._EARLY", 3)
    fetched = []
    prefetcher = Prefetcher(fetched.append, weigh=weight)
    prefetcher.begin(range(100))
    list(prefetcher.items(range(3)))
    assert sorted(fetched) == [0, 1, 2]


def test_another_process_begins_by_itself():
    prefetcher = Prefetcher(double, weigh=weight)
    prefetcher.begin(range(3))
    assert list(pickle.loads(pickle.dumps(prefetcher)).items([1])) == [2]
