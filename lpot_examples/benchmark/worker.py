"""The process that runs the models: ``python -m lpot_examples.benchmark.worker``.

It speaks JSON, one object a line. The first line on standard input is a `Job`; the worker pins
itself to the job's cores, loads the models and answers ``{"ready": true}``. Then it obeys:

    {"do": "warm_up", "model": name, "calls": n}              -> {"cpu": s, "peak": b}
    {"do": "turn", "model": name, "seconds": s, "calls": n or null}      -> {"ns": [...], …}

``cpu`` is the CPU time the process has used, ``peak`` its greatest resident memory in bytes. A
failure is answered with ``{"error": class name, "message": text}``. The end of standard input ends
the worker, so that none survives its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

LOADER = "lpot_examples.backends.registry:load_model"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker shall load.

    Attributes:
        models: Path of each model file by the name used in reports.
        cores: Ids of the CPUs to run on; empty where the system cannot pin.
        threads: Threads inside one op.
        batch_size: Samples in a batch.
        inputs: Input names, or empty to find them.
        outputs: Output names, or empty to find them.
        input_file: ``.npy`` or ``.npz`` with the batch; None for noise.
        loader: ``module:function`` that loads a model, called as `LOADER` is.
    """

    models: Mapping[str, str]
    cores: tuple[int, ...]
    threads: int
    batch_size: int = 1
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_file: str | None = None
    loader: str = LOADER

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))


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
    runs = _load(job)
    yield {"ready": True}
    for line in lines:
        yield _obey(json.loads(line), runs)


def _obey(command: dict[str, Any], runs: Mapping[str, Callable[[], object]]) -> dict[str, Any]:
    from lpot_examples.benchmark.interleaved import burst

    run = runs[command["model"]]
    answer: dict[str, Any] = {}
    if command["do"] == "warm_up":
        for _ in range(command["calls"]):
            run()
    else:
        answer["ns"] = burst(run, turn_seconds=command["seconds"], turn_calls=command["calls"])
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


def _load(job: Job) -> dict[str, Callable[[], object]]:
    from lpot_examples.benchmark.inputs import make_feed

    module, _, function = job.loader.partition(":")
    load = getattr(importlib.import_module(module), function)
    runs: dict[str, Callable[[], object]] = {}
    for name, path in job.models.items():
        model = load(path, inputs=job.inputs, outputs=job.outputs, threads=job.threads)
        feed = make_feed(
            model,
            batch_size=job.batch_size,
            input_file=None if job.input_file is None else Path(job.input_file),
        )
        runs[name] = _bind(model, feed)
    return runs


def _bind(model: Callable[[Any], object], feed: object) -> Callable[[], object]:
    return lambda: model(feed)


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
