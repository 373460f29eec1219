"""Models without a framework for the worker processes; the file name says what a model does."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from lpot_examples.errors import ModelError


class StandIn:
    input_names = ("image",)

    def __init__(self, path):
        self.path = Path(path)

    def input_spec(self, name):
        return (None, 4), np.dtype(np.float32)

    def __call__(self, batch):
        start = time.monotonic()
        act, _, amount = self.path.stem.partition("-")
        getattr(self, act)(float(amount or 0))
        log = os.environ.get("STAND_IN_LOG")
        if log:
            entry = {
                "pid": os.getpid(),
                "model": self.path.stem,
                "start": start,
                "end": time.monotonic(),
                "cores": sorted(os.sched_getaffinity(0)),
                "batch": list(batch["image"].shape),
            }
            with Path(log).open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def sleep(self, milliseconds):
        time.sleep(milliseconds / 1e3)

    def print(self, _):
        os.write(1, b"native chatter\n")
        time.sleep(0.001)

    def crash(self, _):
        print("last words of the kernel", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)

    def killed(self, _):
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self, _):
        if os.environ.get("STAND_IN_PID"):
            Path(os.environ["STAND_IN_PID"]).write_text(str(os.getpid()))
        time.sleep(60)

    def defect(self, _):
        raise RuntimeError("no such kernel\nand a second line")


def load(path, *, inputs, outputs, threads):
    if "missing" in str(path):
        raise ModelError(f"cannot read the model {path}")
    return StandIn(path)
