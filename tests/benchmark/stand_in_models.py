"""Models without a framework for the worker processes; the file name says what a model does."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from lpot_examples.errors import ModelError


class StandIn:
    input_names = ("image",)

    def __init__(self, path, runtime=""):
        self.path = Path(path)
        self.runtime = runtime

    def input_spec(self, name):
        batch = 3 if "fixed3" in str(self.path) else None
        return (batch, 4), np.dtype(np.float32)

    def __call__(self, batch):
        start = time.monotonic()
        act, _, amount = self.path.stem.partition("-")
        getattr(self, act)(float(amount or 0))
        log = os.environ.get("STAND_IN_LOG")
        if log:
            entry = {
                "pid": os.getpid(),
                "model": self.path.stem,
                "runtime": self.runtime,
                "start": start,
                "end": time.monotonic(),
                "cores": sorted(os.sched_getaffinity(0)),
                "batch": list(batch["image"].shape),
            }
            with Path(log).open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def sleep(self, milliseconds):
        time.sleep(milliseconds / 1e3)

    def fixed3(self, _):
        time.sleep(0.001)

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

    def spin(self, milliseconds):
        """A thread uses the CPU after the call is over, as those of thread pools do."""

        def busy():
            while time.thread_time() < milliseconds / 1e3:
                pass

        threading.Thread(target=busy, daemon=True).start()


def load(path, *, inputs, outputs, threads, runtime=""):
    if "missing" in str(path):
        raise ModelError(f"cannot read the model {path}")
    if "dies" in str(path):
        os.kill(os.getpid(), signal.SIGSEGV)
    return StandIn(path, runtime)
