"""Runs a peer's search in its own environment, and scores for it what it asks to be scored."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.benchmark.pool import Worker
from lpot_examples.errors import LpotError
from peers.players import first_line
from peers.search_score import Scorer
from peers.store import environment


class ForeignSearch(Worker):
    """A `Worker` that runs a module of this package and asks for scores.

    Args:
        interpreter: Python of the peer's environment.
        module: ``peers.search_nncf`` or the like.
        task: What it is told, as JSON.
        cores: CPUs it may use.
        timeout: Seconds that all of it may take.
    """

    def __init__(
        self,
        interpreter: Path,
        module: str,
        task: dict[str, Any],
        *,
        cores: Sequence[int],
        timeout: float,
    ) -> None:
        self._end = time.monotonic() + timeout
        self._timeout = timeout
        self._buffer = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in kill)
        self._process = subprocess.Popen(
            [str(interpreter), "-P" if _has_safe_path(interpreter) else "-u", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=task["folder"],
            env={**environment(threads=len(cores)), "TF_ENABLE_ONEDNN_OPTS": "1"},
            start_new_session=True,
        )
        self._send_line(json.dumps({**task, "cores": list(cores)}))

    def next(self) -> dict[str, Any]:
        """Wait for the next line, but not beyond the timeout of the whole search."""
        self._timeout = max(0.0, self._end - time.monotonic())
        return self.receive("searching")


def _has_safe_path(interpreter: Path) -> bool:
    check = [str(interpreter), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(check, check=False).returncode == 0


def run(search: ForeignSearch, scorer: Scorer, *, timeout: float) -> dict[str, Any]:
    """Serve a search until it is done.

    Returns:
        ``status`` (``ok`` or what went wrong), ``fp32``, ``full_evaluations`` (samples scored
        divided by all samples, the fp32 network's included), ``calls`` over all samples, ``wall_s``
        and, if it is done, what the peer says of itself.
    """
    started = time.monotonic()
    scored, calls, scores = 0, 0, []
    done: dict[str, Any] = {}
    status, certified = "ok", None
    try:
        while not done:
            message = search.next()
            if "done" in message:
                done = message["done"]
                break
            outputs = list(np.load(message["score"]).values())
            rows = np.asarray(message["rows"], np.int64)
            score, values = scorer.score(outputs, rows)
            if message.get("certify"):
                certified = score
            else:
                scored += len(rows)
                if len(rows) == scorer.samples:
                    calls += 1
                    scores.append(score)
            search.send({"score": score, "values": values})
    except LpotError as error:
        late = time.monotonic() - started >= timeout - 1
        status = f"timeout after {timeout:.0f} s" if late else first_line(error)
    finally:
        search.kill()
    return {
        "status": done.get("failure") or status,
        "fp32": scores[0] if scores else None,
        "scores": scores,
        "accuracy": certified,
        "full_evaluations": scored / scorer.samples,
        "calls": calls,
        "wall_s": done.get("wall_s", time.monotonic() - started),
        "search_s": done.get("search_s"),
        "facts": done.get("facts", {}),
    }
