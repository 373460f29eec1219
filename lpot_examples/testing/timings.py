"""Made-up latency comparisons, for tests of what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lpot_examples.benchmark.interleaved import Noise
from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.benchmark.stats import LatencyStats
from lpot_examples.host import host_info


def timed(ratios: Sequence[float], *, runner_up: float | None = None) -> BenchmarkReport:
    """Return a quiet comparison, a round for each ratio.

    Args:
        ratios: What fp32 takes in each round, in milliseconds; int8 takes 1 ms in all of them.
        runner_up: What the runner-up takes in all of them; None to have none.
    """
    rounds = {"fp32": [np.full(5, ratio) for ratio in ratios], "int8": [np.ones(5)] * len(ratios)}
    if runner_up is not None:
        rounds["runner_up"] = [np.full(5, runner_up)] * len(ratios)
    return quiet({name: LatencyStats(rounds_ms=tuple(one)) for name, one in rounds.items()})


def quiet(latency: Mapping[str, LatencyStats]) -> BenchmarkReport:
    """Return a comparison that nothing disturbed.

    Args:
        latency: By name; the first is the baseline.
    """
    return BenchmarkReport(
        latency=latency,
        models={name: name for name in latency},
        noise=Noise(rounds=8, kept=8, foreign=0.0, quiet=True),
        host=host_info(),
        cores=((0,),),
        threads=1,
        batch_size=1,
        seconds=1.0,
        versions={},
    )
