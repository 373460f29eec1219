"""When requests arrive: a Poisson process, dealt to the instances in turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def poisson(rate: float, seconds: float, *, seed: int) -> NDArray[np.float64]:
    """Return the arrivals of a Poisson process.

    Args:
        rate: Mean arrivals a second, above 0.
        seconds: Length of the stretch of time.
        seed: Seed of the random numbers; the same one gives the same arrivals.

    Returns:
        Seconds from the beginning, ascending, float64 [arrivals].
    """
    rng = np.random.default_rng(seed)
    # The number of arrivals is Poisson, and given their number they are uniform.
    return np.sort(rng.uniform(0.0, seconds, size=rng.poisson(rate * seconds)))


def deal(arrivals: NDArray[np.float64], instances: int) -> list[NDArray[np.float64]]:
    """Give the requests to the instances in turn: the i-th one to instance i modulo their number.

    Returns:
        The arrivals of each instance.
    """
    return [arrivals[first::instances] for first in range(instances)]
