"""The process that runs the models: ``python -m lpot_examples.benchmark.worker``.

It speaks JSON, one object a line. The first line on standard input is a `Job`; the worker pins
itself to the job's cores, loads the models and answers ``{"ready": true, "failed": {…}}``. Then it
obeys:

    {"do": "warm_up", "model": name, "calls": n}              -> {"cpu": s, "peak": b}
    {"do": "turn", "model": name, "seconds": s, "calls": n or null}      -> {"ns": [...], …}
    {"do": "cpu"}                                             -> {"cpu": s, "peak": b}

and the commands of `serving.commands`.

``cpu`` is the CPU time the process has used, ``peak`` its greatest resident memory in bytes. A
failure is answered with ``{"error": class name, "message": text}``. The end of standard input ends
the worker, so that none survives its parent.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

LOADER = "lpot_examples.runtimes.table:load"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker shall load.

    Attributes:
        models: Path of each model file by the name used in reports.
        cores: Ids of the CPUs to run on; empty where the system cannot pin.
        threads: Threads inside one op.
        batch_size: Samples in a batch; None where the commands say it.
        inputs: Input names, or empty to find them.
        outputs: Output names, or empty to find them.
        input_file: ``.npy`` or ``.npz`` with the batch; None for noise.
        loader: ``module:function`` that loads a model, called as `LOADER` is; with ``runtime``
            for the models that have one.
        runtimes: Runtime by the name of a model; its file's own where it is not listed.
        skip_failing: Whether a model that cannot be loaded and run once is told and left out; else
            it fails the job.
    """

    models: Mapping[str, str]
    cores: tuple[int, ...]
    threads: int
    batch_size: int | None = 1
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_file: str | None = None
    loader: str = LOADER
    runtimes: Mapping[str, str] = field(default_factory=dict)
    skip_failing: bool = False

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))

    def by_runtime(self) -> list[Job]:
        """Return one job for each runtime: thread pools of several would disturb each other."""
        groups: dict[str, dict[str, str]] = {}
        for name, path in self.models.items():
            groups.setdefault(self.runtimes.get(name, ""), {})[name] = path
        return [
            replace(self, models=models, runtimes=dict.fromkeys(models, runtime) if runtime else {})
            for runtime, models in groups.items()
        ]


def main() -> None:
    """Serve one job on standard input and output."""
    replies = _private_stdout()
    lines = iter(sys.stdin.readline, "")
    try:
        for reply in serve(lines):
            print(json.dumps(reply), file=replies, flush=True)
    except Exception as error:
        print(json.dumps(_failure(error)), file=replies, flush=True)
        raise


def serve(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Carry out a job and its commands.

    Args:
        lines: The job, then one command a line.

    Yields:
        The answer to each.
    """
    job = Job(**json.loads(next(lines)))
    if job.cores and hasattr(os, "sched_setaffinity"):
        # Before NumPy or TensorFlow start threads: these inherit it, and count cores by it.
        os.sched_setaffinity(0, job.cores)
    runs, failed = _load(job)
    # What loading left behind stays; looking at it again would take as long as dozens of calls.
    gc.collect()
    gc.freeze()
    yield {"ready": True, "failed": failed}
    for line in lines:
        yield _obey(json.loads(line), runs)


def _obey(command: dict[str, Any], runs: Mapping[str, Run]) -> dict[str, Any]:
    from lpot_examples.benchmark.interleaved import burst
    from lpot_examples.benchmark.serving.commands import COMMANDS

    answer: dict[str, Any] = {}
    if command["do"] == "warm_up":
        for _ in range(command["calls"]):
            runs[command["model"]]()
    elif command["do"] == "turn":
        run = runs[command["model"]]
        answer["ns"] = burst(run, turn_seconds=command["seconds"], turn_calls=command["calls"])
    elif command["do"] in COMMANDS:
        answer = COMMANDS[command["do"]](runs[command["model"]], command)
    return {**answer, "cpu": time.process_time(), "peak": _peak()}


def _peak() -> int:
    """Return the greatest resident memory of this process, bytes.

    Not from getrusage where it can be helped: that includes the parent's memory before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Run:
    """A model and the batches it is fed.

    Args:
        model: The model.
        batch_size: Samples in the batch of a call without a size; None where there are none.
        input_file: See `Job`.

    Raises:
        DataError: If no such batch can be made for the model.
    """

    def __init__(self, model: Any, *, batch_size: int | None, input_file: str | None) -> None:
        self.model = model
        self._input_file = None if input_file is None else Path(input_file)
        self._feeds: dict[int, Any] = {}
        self._run: Callable[[], object] | None = None
        if batch_size is not None:
            self._run = self.sized(batch_size)

    def __call__(self) -> object:
        """Run the model on its batch."""
        assert self._run is not None
        return self._run()

    def sized(self, batch_size: int) -> Callable[[], object]:
        """Return what runs the model on a batch of a given size, which is made once.

        Raises:
            DataError: If no such batch can be made for the model.
        """
        from lpot_examples.benchmark.inputs import make_feed

        if batch_size not in self._feeds:
            self._feeds[batch_size] = make_feed(
                self.model, batch_size=batch_size, input_file=self._input_file
            )
        model, feed = self.model, self._feeds[batch_size]
        return lambda: model(feed)


def _load(job: Job) -> tuple[dict[str, Run], dict[str, dict[str, str]]]:
    """Return what runs each model, and what is wrong with those that cannot be run."""
    module, _, function = job.loader.partition(":")
    load = getattr(importlib.import_module(module), function)
    runs: dict[str, Run] = {}
    failed: dict[str, dict[str, str]] = {}
    for name in job.models:
        try:
            run = _loaded(job, name, load)
            if job.skip_failing and job.batch_size is not None:
                run()
            runs[name] = run
        except Exception as error:
            if not job.skip_failing:
                raise
            failed[name] = _failure(error)
    return runs, failed


def _loaded(job: Job, name: str, load: Callable[..., Any]) -> Run:
    runtime = {"runtime": job.runtimes[name]} if name in job.runtimes else {}
    model = load(
        job.models[name], inputs=job.inputs, outputs=job.outputs, threads=job.threads, **runtime
    )
    return Run(model, batch_size=job.batch_size, input_file=job.input_file)


def _failure(error: Exception) -> dict[str, str]:
    first_line = next(iter(str(error).splitlines()), "")
    return {"error": type(error).__name__, "message": first_line or type(error).__name__}


def _private_stdout() -> TextIO:
    """Keep standard output for answers; whatever native code prints goes to standard error."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
