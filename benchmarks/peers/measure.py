"""Measures one network: loads every column, compares outputs, times all in turns."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.benchmark.interleaved import (
    Round,
    Schedule,
    collect,
    play_rounds,
    select_rounds,
)
from lpot_examples.benchmark.stats import LatencyStats, paired_speedup
from lpot_examples.errors import LpotError
from lpot_examples.host import host_info
from peers.columns import COLUMNS, OURS, REFERENCE
from peers.players import ColumnFailed, PeerWorker, Players, first_line
from peers.store import Artifact, Store
from peers.summary import output_error
from peers.worker import Job

# What changes which kernels run.
_VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to measure.

    Attributes:
        batches: Batch sizes; each divides the number of check images.
        schedule: Rounds and turns of each batch size.
        timeout: Seconds within which a worker must answer a command.
    """

    batches: tuple[int, ...]
    schedule: Schedule
    timeout: float


def result_key(artifacts: dict[str, Artifact], plan: Plan, cores: Sequence[int]) -> str:
    """Return a hash of all that a result of one network depends on."""
    known = {
        "keys": {name: artifact.key for name, artifact in artifacts.items()},
        "batches": plan.batches,
        "schedule": plan.schedule.__dict__,
        "cores": list(cores),
        "host": host_info().to_dict(),
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(kw_only=True)
class _Session:
    """The workers of one network and what is known of each column."""

    artifacts: dict[str, Artifact]
    plan: Plan
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    workers: dict[str, PeerWorker] = field(default_factory=dict)

    def fail(self, name: str, reason: str) -> None:
        """Note why a column cannot be measured, and end its worker."""
        self.columns[name]["error"] = reason
        if name in self.workers:
            self.workers.pop(name).kill()

    def close(self) -> None:
        """End every worker."""
        for worker in self.workers.values():
            worker.kill()

    @contextlib.contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Turn an error of a column's worker into a note."""
        try:
            yield
        except LpotError as error:
            self.fail(name, first_line(error))


def measure_network(
    store: Store, network: str, artifacts: dict[str, Artifact], plan: Plan
) -> dict[str, Any]:
    """Measure the columns of a network.

    Args:
        store: Where the models are.
        network: A key of `networks.NETWORKS`.
        artifacts: The models by column; failures to make them are carried over.
        plan: How to measure.

    Returns:
        JSON values: everything about each column, noise and ratios by batch size.
    """
    session = _Session(artifacts=artifacts, plan=plan)
    for name, artifact in artifacts.items():
        session.columns[name] = {
            "error": artifact.error,
            "made": artifact.record,
            "key": artifact.key,
            "latency_ms": {},
        }
    result: dict[str, Any] = {"network": network, "noise": {}, "ratios": {}}
    with contextlib.ExitStack() as stack:
        stack.callback(session.close)
        _start(session, store)
        for batch in plan.batches:
            _open(session, batch)
            if batch == plan.batches[0]:
                _compare_outputs(session)
            rounds = _rounds(session, store.cores)
            if not rounds:
                break
            kept, noise = select_rounds(rounds, plan.schedule)
            stats = {name: collect(kept, name, batch_size=batch) for name in session.workers}
            for name, found in stats.items():
                session.columns[name]["latency_ms"][str(batch)] = _latency(found)
            result["noise"][str(batch)] = noise.to_dict()
            result["ratios"][str(batch)] = ratios(stats)
    return {**result, "columns": session.columns}


def ratios(stats: dict[str, LatencyStats]) -> dict[str, dict[str, Any]]:
    """Return ours / column for every other column, paired by round; below 1 we are faster."""
    if OURS not in stats:
        return {}
    return {
        name: paired_speedup(stats[OURS], other).to_dict()
        for name, other in stats.items()
        if name != OURS
    }


def _start(session: _Session, store: Store) -> None:
    """Start a worker for each model; all import at the same time."""
    given = session.artifacts[REFERENCE]
    for name, artifact in session.artifacts.items():
        if artifact.error:
            continue
        column = COLUMNS[name]
        job = Job(
            runtime=column.runtime,
            path=str(artifact.path),
            inputs=tuple(given.record["facts"]["inputs"]),
            outputs=tuple(given.record["facts"]["outputs"]),
            images=str(given.images),
            cores=store.cores,
        )
        interpreter = store.python(column.runtime_environment)
        session.workers[name] = PeerWorker(interpreter, job, timeout=session.plan.timeout)
    for name in list(session.workers):
        with session.guarded(name):
            reply = session.workers[name].answer("starting")
            session.columns[name] |= {key: reply[key] for key in ("import_s", "host", "version")}


def _open(session: _Session, batch: int) -> None:
    for name in list(session.workers):
        with session.guarded(name):
            command = {"do": "open", "batch": batch}
            reply = session.workers[name].ask(command, f"loading at batch {batch}")
            opened = {key: reply[key] for key in ("load_s", "first_s", "facts")}
            session.columns[name].setdefault("opened", {})[str(batch)] = opened


def _compare_outputs(session: _Session) -> None:
    """Compare every column's outputs on the check images with those of the network as given."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.npz" for name in session.workers}
        for name in list(session.workers):
            with session.guarded(name):
                command = {"do": "check", "file": str(files[name])}
                session.workers[name].ask(command, "computing outputs")
        if REFERENCE not in session.workers:
            return
        wanted = dict(np.load(files[REFERENCE]))
        for name in session.workers:
            session.columns[name]["output"] = output_error(wanted, dict(np.load(files[name])))


def _rounds(session: _Session, cores: Sequence[int]) -> list[Round]:
    """Play the rounds; a column that fails is left out and the rounds start again.

    No round is played if all have failed.
    """
    while session.workers:
        players = Players(session.workers, cores)
        try:
            return play_rounds(list(session.workers), players, session.plan.schedule)
        except ColumnFailed as failed:
            session.fail(failed.name, str(failed))
    return []


def _latency(stats: LatencyStats) -> dict[str, Any]:
    values = stats.to_dict()
    return {**values, "p10": float(np.percentile(stats.samples_ms, 10))}
