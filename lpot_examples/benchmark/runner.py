"""Benchmarks of model files in fresh, pinned processes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lpot_examples.benchmark.interleaved import (
    Progress,
    Schedule,
    collect,
    play_rounds,
    select_rounds,
)
from lpot_examples.benchmark.pool import BenchmarkError, worker_pool
from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.benchmark.worker import LOADER, Job
from lpot_examples.host import available_cores, host_info, library_versions

_TIMEOUT = 600.0
# compare() fits this many rounds into its budget, so that the interval is narrow, unless turns
# would become shorter than this: a burst must outlast the caches' recovery.
_ROUNDS = 30
_SHORTEST_TURN = 0.05


def benchmark(
    models: Sequence[Path | str] | Mapping[str, Path],
    *,
    batch_size: int = 1,
    warmup: int = 10,
    iterations: int | None = None,
    cores_per_instance: int | None = None,
    num_of_instance: int = 1,
    threads: int | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    input_file: Path | None = None,
    progress: Progress | None = None,
    timeout: float = _TIMEOUT,
    loader: str = LOADER,
    runtimes: Mapping[str, str] | None = None,
    skip_failing: bool = False,
) -> BenchmarkReport:
    """Time model files against each other; the first is the baseline.

    Args:
        models: Model files, or these by the names they shall have.
        batch_size: Samples in a call.
        warmup: Calls of each model before anything is timed.
        iterations: Timed calls of each model in each instance, at least (rounded up to whole
            turns); by default as many as fit into 30 turns of 0.15 s.
        cores_per_instance: Cores of an instance; by default this process's cores shared equally.
        num_of_instance: Processes that run at the same time, on disjoint cores.
        threads: Threads inside one op; by default one for each core of the instance.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        input_file: ``.npy`` or ``.npz`` with the batch; noise without it.
        progress: Told after each round.
        timeout: Seconds that loading, warming up or one turn may take.
        loader: See `worker.Job`.
        runtimes: See `run_benchmark`.
        skip_failing: See `run_benchmark`.

    Raises:
        BenchmarkError: If the cores do not suffice or a process fails.
        ModelError: If a model cannot be loaded.
        DataError: If no batch can be made for a model.
    """
    return run_benchmark(
        models if isinstance(models, Mapping) else named(models),
        schedule=_schedule(warmup, iterations),
        batch_size=batch_size,
        cores=share_cores(num_of_instance, cores_per_instance),
        threads=threads,
        inputs=inputs,
        outputs=outputs,
        input_file=input_file,
        progress=progress,
        timeout=timeout,
        loader=loader,
        runtimes=runtimes,
        skip_failing=skip_failing,
    )


def compare(
    models: Mapping[str, Path],
    *,
    seconds: float = 9.0,
    precision: float | None = None,
    batch_size: int = 1,
    threads: int | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    input_file: Path | None = None,
    progress: Progress | None = None,
    loader: str = LOADER,
    runtimes: Mapping[str, str] | None = None,
) -> BenchmarkReport:
    """Time named models in one fresh process, or one for each runtime, within a time budget.

    Args:
        models: Model files by name, such as ``{"fp32": …, "int8": …}``; the first is the baseline.
        seconds: Time for the rounds. Starting, loading and warming up come on top, and half as
            much again where noisy rounds are repeated.
        precision: Width of the speed-ups' intervals, as a fraction, at which less time is enough.
        batch_size: Samples in a call.
        threads: Cores, and threads, to use; by default all.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        input_file: ``.npy`` or ``.npz`` with the batch; noise without it.
        progress: Told after each round.
        loader: See `worker.Job`.
        runtimes: See `run_benchmark`.

    Raises:
        LpotError: As `benchmark`.
    """
    turn = max(_SHORTEST_TURN, seconds / _ROUNDS / len(models))
    rounds = max(6, round(seconds / turn / len(models)))
    schedule = Schedule(
        rounds=rounds, turn_seconds=turn, max_seconds=1.5 * seconds, precision=precision
    )
    return run_benchmark(
        models,
        schedule=schedule,
        batch_size=batch_size,
        cores=share_cores(1, threads),
        inputs=inputs,
        outputs=outputs,
        input_file=input_file,
        progress=progress,
        loader=loader,
        runtimes=runtimes,
    )


def run_benchmark(
    models: Mapping[str, Path],
    *,
    schedule: Schedule,
    batch_size: int,
    cores: Sequence[tuple[int, ...]],
    threads: int | None = None,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    input_file: Path | None = None,
    progress: Progress | None = None,
    timeout: float = _TIMEOUT,
    loader: str = LOADER,
    runtimes: Mapping[str, str] | None = None,
    skip_failing: bool = False,
) -> BenchmarkReport:
    """Time models by a given schedule, with processes on each of the given sets of cores.

    Each instance is one process, or one for each runtime on the same cores.

    Args:
        models: Model files by name; the first is the baseline.
        schedule: Portions and duration.
        batch_size: Samples in a call.
        cores: The cores of each instance.
        threads: Threads inside one op; by default one for each core of the instance.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        input_file: ``.npy`` or ``.npz`` with the batch; noise without it.
        progress: Told after each round.
        timeout: Seconds that loading, warming up or one turn may take.
        loader: See `worker.Job`.
        runtimes: Name of the runtime by the name of a model; its file's own where it is not
            listed. A file may be listed under several names, with a runtime each.
        skip_failing: Whether a model that cannot be run is left out and told in
            `BenchmarkReport.failed`.

    Raises:
        LpotError: As `benchmark`.
    """
    if batch_size < 1:
        raise BenchmarkError(f"the batch size must be at least 1; {batch_size} was given.")
    started = time.monotonic()
    jobs = [
        Job(
            models={name: str(path) for name, path in models.items()},
            cores=instance,
            threads=threads or len(instance),
            batch_size=batch_size,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            input_file=None if input_file is None else str(input_file),
            loader=loader,
            runtimes=runtimes or {},
            skip_failing=skip_failing,
        )
        for instance in cores
    ]
    parts = [part for job in jobs for part in job.by_runtime()]
    with worker_pool(parts, timeout=timeout) as pool:
        names = [name for name in models if name not in pool.failed]
        rounds = play_rounds(names, pool, schedule, progress=progress)
    kept, noise = select_rounds(rounds, schedule)
    return BenchmarkReport(
        latency={
            name: collect(kept, name, batch_size=batch_size, instances=len(jobs)) for name in names
        },
        models=jobs[0].models,
        noise=noise,
        host=host_info(),
        cores=tuple(cores),
        threads=jobs[0].threads,
        batch_size=batch_size,
        seconds=time.monotonic() - started,
        versions=library_versions(),
        runtimes=jobs[0].runtimes,
        failed={name: str(error) for name, error in pool.failed.items()},
    )


def share_cores(instances: int, cores_per_instance: int | None) -> list[tuple[int, ...]]:
    """Choose disjoint sets of cores, different physical cores first.

    Args:
        instances: How many sets.
        cores_per_instance: Cores in each; None shares all equally.

    Raises:
        BenchmarkError: If there are not enough cores.
    """
    cores = available_cores()
    if instances < 1 or (cores_per_instance is not None and cores_per_instance < 1):
        raise BenchmarkError(
            "num_of_instance and cores_per_instance must be at least 1; "
            f"{instances} and {cores_per_instance} were given."
        )
    each = cores_per_instance or max(1, len(cores) // instances)
    if instances * each > len(cores):
        raise BenchmarkError(
            f"{instances} instance(s) of {each} core(s) need {instances * each} cores, but this "
            f"process may use {len(cores)}. Lower --num_of_instance or --cores_per_instance."
        )
    return [cores[i * each : (i + 1) * each] for i in range(instances)]


def named(models: Sequence[Path | str]) -> dict[str, Path]:
    """Name model files by their file names, or by their paths where these coincide.

    Raises:
        BenchmarkError: If there is none, or one is given twice.
    """
    paths = [Path(model) for model in models]
    if not paths:
        raise BenchmarkError("a benchmark needs at least one model file; none was given.")
    repeated = [path for path in paths if paths.count(path) > 1]
    if repeated:
        raise BenchmarkError(f"{repeated[0]} is given twice; give each model once.")
    names = [path.name for path in paths]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in paths}


def _schedule(warmup: int, iterations: int | None) -> Schedule:
    if warmup < 0 or (iterations is not None and iterations < 1):
        raise BenchmarkError(
            f"warmup must be at least 0 and iterations at least 1; {warmup} and {iterations} "
            "were given."
        )
    if iterations is None:
        return Schedule(warmup=warmup)
    # About ten calls a turn, but enough rounds for an interval where there are few iterations.
    rounds = min(iterations, max(6, round(iterations / 10)))
    calls = -(-iterations // rounds)
    return Schedule(warmup=warmup, rounds=rounds, turn_calls=calls, max_seconds=3600.0)
