"""Times forms of one network in turns, in one process: ``python -m peers.search_latency``.

Standard input: JSON with ``runtime`` (a key of `runtimes.RUNTIMES`), ``files`` (by name),
``inputs``, ``outputs``, ``data`` (folder with ``validation.npy``), ``cores``, ``rounds``. The last
line of standard output is the answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.benchmark.interleaved import (
    LocalPlayer,
    Schedule,
    collect,
    play_rounds,
    select_rounds,
)
from lpot_examples.benchmark.stats import LatencyStats, paired_speedup
from lpot_examples.host import host_info

RESULT = "result"
_MAX_SECONDS = 120.0


def main() -> None:
    """Load everything, time it and answer."""
    job = json.load(sys.stdin)
    os.sched_setaffinity(0, job["cores"])
    from peers.runtimes import RUNTIMES

    image = np.load(Path(job["data"]) / "validation.npy", mmap_mode="r")[:1].copy()
    runs: dict[str, Callable[[], object]] = {}
    facts: dict[str, Any] = {}
    for name, file in job["files"].items():
        opened = RUNTIMES[job["runtime"]](
            Path(file),
            inputs=job["inputs"],
            outputs=job["outputs"],
            threads=len(job["cores"]),
            batch=1,
        )
        runs[name], facts[name] = partial(opened.run, image), opened.facts
    schedule = Schedule(rounds=job["rounds"], max_seconds=_MAX_SECONDS)
    answer = timed(runs, schedule)
    same = _same(job["files"])
    host = host_info()
    print(json.dumps({**answer, "same": same, "facts": facts, "host": host.to_dict()}))


def timed(
    runs: Mapping[str, Callable[[], object]], schedule: Schedule, *, of: str = RESULT
) -> dict[str, Any]:
    """Time callables in turns.

    Args:
        runs: By name.
        schedule: Rounds and turns.
        of: The one that the others are compared with.

    Returns:
        ``ms``: statistics by name, with ``p10``. ``ratios``: latency of ``of`` / that of each
        other, paired by round, with an interval. ``noise``.
    """
    rounds = play_rounds(list(runs), LocalPlayer(runs), schedule)
    kept, noise = select_rounds(rounds, schedule)
    stats: dict[str, LatencyStats] = {name: collect(kept, name) for name in runs}
    ms = {
        name: {**found.to_dict(), "p10": float(np.percentile(found.samples_ms, 10))}
        for name, found in stats.items()
    }
    ratios = {
        name: paired_speedup(stats[of], found).to_dict()
        for name, found in stats.items()
        if name != of
    }
    return {"ms": ms, "ratios": ratios, "noise": noise.to_dict()}


def _same(files: Mapping[str, str]) -> list[str]:
    """Return the names of files that are the result, byte for byte."""
    digests = {
        name: hashlib.sha256(Path(file).read_bytes()).digest() for name, file in files.items()
    }
    return [name for name, one in digests.items() if name != RESULT and one == digests[RESULT]]


if __name__ == "__main__":
    main()
