"""What both peers' searches share. It runs in their environments, Python 3.10 included.

The task comes as one line of JSON on standard input: ``fp32`` (file), ``inputs``, ``outputs``,
``data`` (folder of `search_score.Scorer`), ``folder`` (to write into), ``target`` (the result),
``all_int8`` (what everything in int8 makes), ``bar``, ``max_trials``, ``cores``. Scores are asked
for on standard output, and read from standard input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from peers.worker import private_stdout


class Peer:
    """The task, and the way to scores.

    Attributes:
        task: As above.
        calibration: float32 [n, H, W, C].
        validation: float32 [n, H, W, C].
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._lock = threading.Lock()  # NNCF may rank in threads
        self._replies = private_stdout()
        self.task: dict[str, Any] = json.loads(sys.stdin.readline())
        os.sched_setaffinity(0, self.task["cores"])
        data = Path(self.task["data"])
        self.calibration = np.load(data / "calibration.npy")
        self.validation = np.load(data / "validation.npy")

    def score(self, outputs: list[Any], rows: Any, *, certify: bool = False) -> Any:
        """Return (score, score of each row).

        Args:
            outputs: Every output of the network for these rows.
            rows: Numbers of validation images.
            certify: The search is over, and this does not count.
        """
        order = np.argsort(rows)
        rows = np.asarray(rows)[order]
        file = str(Path(self.task["folder"]) / "outputs.npz")
        with self._lock:
            np.savez(file, **{f"o{i}": np.asarray(o)[order] for i, o in enumerate(outputs)})
            self._say({"score": file, "rows": rows.tolist(), "certify": certify})
            answer = json.loads(sys.stdin.readline())
        values = np.empty(len(order))
        values[order] = answer["values"]
        return answer["score"], values.tolist()

    def wall(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._started

    def done(self, **facts: Any) -> None:
        """End the search."""
        self._say({"done": facts})

    def fail(self, error: BaseException) -> None:
        """Say that the search failed."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        self._say({"error": type(error).__name__, "message": (lines or [""])[0][:300]})

    def _say(self, message: dict[str, Any]) -> None:
        print(json.dumps(message), file=self._replies, flush=True)


def run(search: Callable[[Peer], None]) -> None:
    """Search, certify the file that was saved, and say how it went."""
    peer = Peer()
    try:
        search(peer)
    except Exception as error:
        peer.fail(error)
        raise
