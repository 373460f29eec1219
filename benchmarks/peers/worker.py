"""The process that runs one model: ``python -m peers.worker``.

It speaks JSON, one object a line, as `lpot_examples.benchmark.worker` does. The first line on
standard input is a `Job`; the worker pins itself to its cores, imports the runtime and answers
with what it runs on. Then it obeys:

    {"do": "open", "batch": n}                     -> {"load_s": s, "first_s": s, "facts": {...}}
    {"do": "check", "file": path}                  -> {}; the outputs of the check images, .npz
    {"do": "warm_up", "seconds": s}                -> {"calls": n}
    {"do": "turn", "seconds": s, "calls": null}    -> {"ns": [...]}

Every answer has ``cpu``, the CPU time used so far, or is ``{"error": class, "message": text}``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from peers.runtimes import Opened

_LEAST_WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker shall load.

    Attributes:
        runtime: A key of `runtimes.RUNTIMES`, and the name of its Python module.
        path: The model file.
        inputs: Names of its inputs (one).
        outputs: Names of its outputs.
        images: ``.npz`` whose ``check`` holds the images to run on.
        cores: CPUs to run on.
    """

    runtime: str
    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    images: str
    cores: tuple[int, ...]

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))


class Model:
    """The model of a job, at the batch size it was last opened for."""

    def __init__(self, job: Job) -> None:
        import numpy as np

        with np.load(job.images) as file:
            self._images = file["check"]
        self._job = job
        self._batch = 1
        self._opened: Opened | None = None

    def open(self, batch: int) -> dict[str, Any]:
        """Load the model, unless it is there and takes any batch size, and run it once."""
        from peers.runtimes import FIXED_BATCH, RUNTIMES

        job = self._job
        self._batch = batch
        started = time.perf_counter()
        if self._opened is None or job.runtime in FIXED_BATCH:
            self._opened = None  # its memory is free before the next takes some
            self._opened = RUNTIMES[job.runtime](
                Path(job.path),
                inputs=job.inputs,
                outputs=job.outputs,
                threads=len(job.cores),
                batch=batch,
            )
        loaded = time.perf_counter()
        self()
        first = time.perf_counter() - loaded
        return {"load_s": loaded - started, "first_s": first, "facts": self._opened.facts}

    def __call__(self) -> object:
        """Run the first batch of the images."""
        return self._run(self._images[: self._batch])

    def check(self, file: str) -> dict[str, Any]:
        """Write the outputs of all images."""
        import numpy as np

        size = self._batch
        starts = range(0, len(self._images) - size + 1, size)
        parts = [[np.array(a) for a in self._run(self._images[i : i + size])] for i in starts]
        outputs = (np.concatenate(port) for port in zip(*parts, strict=True))
        by_name: dict[str, Any] = dict(zip(self._job.outputs, outputs, strict=True))
        np.savez(file, **by_name)
        return {}

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Run for a time, at least twice."""
        calls, end = 0, time.perf_counter() + seconds
        while calls < _LEAST_WARM_UP or time.perf_counter() < end:
            self()
            calls += 1
        return {"calls": calls}

    def turn(self, seconds: float, calls: int | None) -> dict[str, Any]:
        """Time a burst of calls."""
        from lpot_examples.benchmark.interleaved import burst

        return {"ns": burst(self, turn_seconds=seconds, turn_calls=calls)}

    def _run(self, images: Any) -> list[Any]:
        assert self._opened is not None, "open comes first"
        return self._opened.run(images)


def main() -> None:
    """Serve one job on standard input and output."""
    replies = private_stdout()
    try:
        for reply in serve(iter(sys.stdin.readline, "")):
            print(json.dumps({**reply, "cpu": time.process_time()}), file=replies, flush=True)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        failure = {"error": type(error).__name__, "message": (lines or [""])[0][:300]}
        print(json.dumps(failure), file=replies, flush=True)
        raise


def serve(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Carry out a job and its commands, yielding the answer to each."""
    job = Job(**json.loads(next(lines)))
    os.sched_setaffinity(0, job.cores)  # before threads start, which inherit it
    started = time.perf_counter()
    module = importlib.import_module(job.runtime)
    imported = time.perf_counter() - started
    from lpot_examples.host import host_info

    model = Model(job)
    yield {
        "import_s": imported,
        "host": host_info().to_dict(),
        "version": str(module.__version__).split("-")[0],
    }
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "open": model.open,
        "check": model.check,
        "warm_up": model.warm_up,
        "turn": model.turn,
    }
    for line in lines:
        command = json.loads(line)
        yield commands[command.pop("do")](**command)


def private_stdout() -> TextIO:
    """Keep standard output for answers; whatever native code prints goes to standard error."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
