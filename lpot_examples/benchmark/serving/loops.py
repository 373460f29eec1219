"""What a worker does while it serves: back to back, or request by request as they arrive.

All workers of a machine read one clock (`time.monotonic`), so they begin at the same time, and a
request's arrival means the same in the process that chose it and in the one that serves it.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence

# Timers are late by this much. The rest of a wait is spent in a loop, so that it is not counted
# as the model's latency.
_LATENESS = 0.0003
_MIN_CALLS = 2

clock = time.monotonic


def closed_loop(run: Callable[[], object], *, begin: float, seconds: float) -> list[int]:
    """Call back to back, and time the calls that lie within the given stretch of time.

    Calls before it are not timed, at least one of them; those that end after it do not count, as
    the other instances may have stopped. Two calls are timed however slow they are.

    Args:
        run: Runs the model.
        begin: When the stretch begins, on `clock`.
        seconds: Its length.

    Returns:
        The duration of each counted call, nanoseconds.
    """
    durations: list[int] = []
    with _uncollected():
        run()
        while clock() < begin:
            run()
        start = clock()
        while True:
            run()
            stop = clock()
            if stop > begin + seconds and len(durations) >= _MIN_CALLS:
                return durations
            durations.append(int((stop - start) * 1e9))
            start = stop


def open_loop(run: Callable[[], object], *, begin: float, arrivals: Sequence[float]) -> list[float]:
    """Serve requests one after another, each not before it has arrived.

    A request's latency is the time from its arrival to its completion, however long the queue was:
    the arrivals are fixed beforehand and do not wait for the model.

    Args:
        run: Serves one request.
        begin: What the arrivals count from, on `clock`.
        arrivals: Seconds after ``begin``, in order.

    Returns:
        The latency of each request, seconds.
    """
    latencies: list[float] = []
    with _uncollected():
        run()
        for arrival in arrivals:
            _wait_until(begin + arrival)
            run()
            latencies.append(clock() - begin - arrival)
    return latencies


def _wait_until(moment: float) -> None:
    remaining = moment - clock()
    if remaining > _LATENESS:
        time.sleep(remaining - _LATENESS)
    while clock() < moment:
        pass


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep garbage collection out of the timings.

    It is made up for afterwards: with TensorFlow loaded it takes a tenth of a second, and before
    the first request it would be a queue that nobody asked for.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
            gc.collect()
