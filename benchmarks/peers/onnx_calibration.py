"""What one calibration costs: ``python -m peers.onnx_calibration job.json``.

The job: ``tool`` (``ours``, ``MinMax``, ``Entropy`` or ``Percentile``), ``network`` (``.onnx``, as
the tool wants it), ``images`` (``.npy``, [n, c, h, w]), ``cores``. What counts goes from the opened
network to the ranges of all tensors; for ours, those by every one of its algorithms. Memory is what
that adds to the process at its peak. The answer is one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Run the calibration that the command line asks for."""
    job = json.loads(Path(sys.argv[1]).read_text())
    os.sched_setaffinity(0, job["cores"])
    images = np.load(job["images"])
    with tempfile.TemporaryDirectory() as folder:
        prepare = _ours if job["tool"] == "ours" else _onnxruntime
        run = prepare(job, images, folder)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from the present
        before, cpu, wall = _memory("VmRSS"), time.process_time(), time.perf_counter()
        tensors = run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = _memory("VmHWM") - before
    print(json.dumps({"seconds": wall, "cpu": cpu, "peak_mb": peak, "tensors": tensors}))


def _ours(job: dict[str, Any], images: Any, folder: str) -> Callable[[], int]:
    from lpot_examples.backends.registry import framework_of
    from lpot_examples.calibration.ranges import ALGORITHMS
    from lpot_examples.host import INSTRUCTION_SETS, host_info

    path = Path(job["network"])
    framework = framework_of(path)
    network = framework.open(path)
    backend = framework.backend(
        network, INSTRUCTION_SETS[host_info().isa], approach="post_training_static_quant"
    )
    (name,) = backend.input_spec

    def run() -> int:
        batches = ({name: one[None]} for one in images)
        found = backend.calibrate(batches, sizes=[len(images)])[len(images)]
        for tensor in found.tensors:
            for algorithm in ALGORITHMS:
                found.range(tensor, algorithm)
        return len(found.tensors)

    return run


def _onnxruntime(job: dict[str, Any], images: Any, folder: str) -> Callable[[], int]:
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    from peers.onnx_make import reader

    network = Path(job["network"])
    data = reader(network, images)

    def run() -> int:
        calibrator = create_calibrator(
            str(network),
            augmented_model_path=f"{folder}/augmented.onnx",
            calibrate_method=CalibrationMethod[job["tool"]],
        )
        calibrator.collect_data(data)
        return len(calibrator.compute_data().data)

    return run


def _memory(key: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) for one in status if one.startswith(key)) / 1024


if __name__ == "__main__":
    main()
