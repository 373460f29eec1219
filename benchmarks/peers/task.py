"""What a maker is told and what it answers: ``python -m peers.make_… task.json``."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]

CALIBRATION = 32
"""Images that every column is calibrated with."""

CHECK = 8
"""Other images, on which outputs are compared and latencies are taken."""

RECORD = "made.json"


@dataclass(kw_only=True)
class Task:
    """One model to make.

    Attributes:
        network: A key of `networks.NETWORKS`.
        fp32: The frozen fp32 graph; not there yet when the network itself is made.
        images: ``.npz`` with ``calibration`` [32, H, W, 3] and ``check`` [8, H, W, 3], float32.
        inputs: Names of its inputs (one).
        outputs: Names of its outputs.
        target: The model file to write; everything else goes into its folder.
        data: The user's folder, for networks that need it.
        seconds: Wall time of each stage, filled in here.
        facts: What else a reader should know, filled in by the maker.
    """

    network: str
    fp32: Path
    images: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    target: Path
    data: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the work under a name."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started

    def calibration(self) -> Images:
        """Return the calibration images."""
        with np.load(self.images) as file:
            images: Images = file["calibration"]
        return images

    def batches(self, size: int) -> Iterator[Images]:
        """Yield the calibration images in batches."""
        images = self.calibration()
        for start in range(0, len(images), size):
            yield images[start : start + size]


def run(make: Callable[[Task], None]) -> None:
    """Read the task that the command line names, carry it out and write what it took."""
    values = json.loads(Path(sys.argv[1]).read_text())
    task = Task(
        network=values["network"],
        fp32=Path(values["fp32"]),
        images=Path(values["images"]),
        inputs=tuple(values["inputs"]),
        outputs=tuple(values["outputs"]),
        target=Path(values["target"]),
        data=Path(values["data"]) if values["data"] else None,
    )
    make(task)
    answer = {"seconds": task.seconds, "facts": task.facts}
    (task.target.parent / RECORD).write_text(json.dumps(answer, indent=2) + "\n")
