"""Fetches numbered items ahead of their use, in threads, and keeps them in memory up to a bound."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from threading import Thread
from typing import Any, Generic, TypeVar

CACHE_BYTES = 1 << 30
_MOST_THREADS = 8
# Items fetched before anybody asks: of 640 × 640 pixels they take 0.5 GB.
_EARLY = 400

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Gives items in any order, each fetched once where memory allows.

    What is in memory stays there: a pass over more than fits would push out every item just before
    it is needed again.

    Args:
        fetch: Returns the item of a number; called in threads, several at a time.
        weigh: Returns the memory an item takes, bytes.
        cache_bytes: Memory for items, bytes; 0 for none.
        ahead: How many items are being fetched while the consumer works; at least two for each
            thread.
    """

    def __init__(
        self,
        fetch: Callable[[int], Item],
        *,
        weigh: Callable[[Item], int],
        cache_bytes: int = CACHE_BYTES,
        ahead: int = 0,
    ) -> None:
        self._fetch = fetch
        self._weigh = weigh
        self._capacity = self._room = cache_bytes
        self._threads = min(_MOST_THREADS, max(2, len(os.sched_getaffinity(0))))
        self._ahead = max(ahead, 2 * self._threads)
        self._cache: dict[int, Item] = {}
        self._early: dict[int, Future[Item]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the items behind: another process fetches its own."""
        return {**self.__dict__, "_cache": {}, "_early": {}, "_room": self._capacity}

    def begin(self, numbers: Iterable[int]) -> None:
        """Start fetching now what `items` will be asked for first, at most a few hundred items.

        Returns at once. The threads end with the process, whether the items are ever used or not.
        """
        waiting = deque((number, Future[Item]()) for number in islice(numbers, _EARLY))
        self._early = dict(waiting)
        for _ in range(min(self._threads, len(waiting))):
            Thread(target=_fetch_all, args=(waiting, self._fetch), daemon=True).start()

    def items(self, numbers: Iterable[int]) -> Generator[Item, None, None]:
        """Yield the items of these numbers, in this order.

        An exception of ``fetch`` is raised at its item; abandoning the iteration ends the threads.
        """
        pending: deque[tuple[int, Callable[[], Item]]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                for number in numbers:
                    pending.append((number, self._begin(pool, number)))
                    if len(pending) > self._ahead:
                        yield self._finished(*pending.popleft())
                while pending:
                    yield self._finished(*pending.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, number: int) -> Callable[[], Item]:
        """Start fetching an item unless it is in memory; the result gives it when ready."""
        if number in self._cache:
            return lambda: self._cache[number]
        if number in self._early:
            return self._early.pop(number).result
        fetching: Future[Item] = pool.submit(self._fetch, number)
        return fetching.result

    def _finished(self, number: int, result: Callable[[], Item]) -> Item:
        item = result()
        if number not in self._cache:
            size = self._weigh(item)
            if size <= self._room:
                self._room -= size
                self._cache[number] = item
        return item


def _fetch_all(waiting: deque[tuple[int, Future[Item]]], fetch: Callable[[int], Item]) -> None:
    """Settle futures until none is waiting; an exception waits for whoever asks for the item."""
    with suppress(IndexError):  # several threads take from the deque
        while True:
            number, future = waiting.popleft()
            try:
                item = fetch(number)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(item)


def chunks(values: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of ``size`` values; the last may be shorter."""
    chunk: list[Item] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
