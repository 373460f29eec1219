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
