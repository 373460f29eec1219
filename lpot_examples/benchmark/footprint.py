"""The peak memory of a process that runs a model: what the objective ``footprint`` compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lpot_examples.benchmark.pool import Worker
from lpot_examples.benchmark.runner import share_cores
from lpot_examples.benchmark.worker import LOADER, Job

_TIMEOUT = 300.0

# The first calls allocate what later ones use again.
_CALLS = 3


def peak_memory(
    model: Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    loader: str = LOADER,
) -> int:
    """Return the peak resident bytes of a fresh process that loads and runs a model at batch 1.

    The runtime's own memory is included: only differences between models mean anything.

    Args:
        model: Its file.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        loader: See `worker.Job`.

    Raises:
        LpotError: If the model cannot be run.
    """
    cores = share_cores(1, None)[0]
    job = Job(
        models={"model": str(model)},
        cores=cores,
        threads=len(cores),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        loader=loader,
    )
    worker = Worker(job, timeout=_TIMEOUT)
    try:
        worker.receive("loading the model")
        worker.send({"do": "warm_up", "model": "model", "calls": _CALLS})
        return int(worker.receive("running the model")["peak"])
    finally:
        worker.kill()
