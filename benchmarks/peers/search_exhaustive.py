"""Finds the fastest subset of groups in fp32 that meets the bar, by trying all that could matter.

``python -m peers.search_exhaustive`` reads a job (see `search_run.enumerate_subsets`). Everything
but the subset is as in the configuration that the search found. Subsets are visited by their
predicted latency, the fastest first; the prediction only orders and rules out what it puts beyond
`_BEYOND` times the best so far. The others are emitted and timed in turns with fp32; those slower
than `_SLOWER` times the fastest that met the bar are not scored. The fastest `_FINALISTS` are
timed again, together with the search's result, and the winner once more against that alone, so
that being picked for a lucky timing gains it nothing. Subsets are kept in a file, so that the next
bar, or the next start, goes on from there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.benchmark.interleaved import Schedule, burst
from lpot_examples.calibration.feed import batches
from lpot_examples.errors import LpotError
from lpot_examples.evaluation.result import as_result
from lpot_examples.graph import LatencyMap, TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, host_info
from lpot_examples.search.allocation import predict
from lpot_examples.zoo.topologies import find_topology
from peers.search_latency import timed

_MOST_GROUPS = 12
_BEYOND, _SLOWER, _FINALISTS = 1.5, 1.15, 6
_FINAL_SHARE, _LONGEST_FINAL = 0.4, 60.0  # of the time; seconds of each of the two final timings
_QUICK_ROUNDS, _QUICK_SECONDS = 6, 0.02
_FP32 = "fp32"


class Enumeration:
    """The network of a job, and what is known of its subsets.

    Args:
        job: As read.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        topology = find_topology(job["topology"])
        dataset = Path(job["dataset"]) if job["dataset"] else None
        given = load_model(job["model"])
        self.backend = TensorFlowBackend(given, INSTRUCTION_SETS[host_info().isa])
        self.groups = [group.name for group in self.backend.op_graph.quantizable]
        if len(self.groups) > _MOST_GROUPS:
            raise LpotError(f"{len(self.groups)} groups are too many to enumerate")
        self.config = replace(TuningConfig.from_dict(job["config"]), fp32=frozenset())
        size = self.config.samples or 10**9
        loader = topology.q_dataloader(dataset)
        calibration = list(batches(loader, self.backend.input_spec, limit=size))
        self.statistics = self.backend.calibrate(iter(calibration), sizes=[size])[size]
        self.sample = {name: array[:1] for name, array in calibration[0].items()}
        self._evaluate = topology.eval_func(dataset)
        self.fp32 = self.backend.baseline()
        self.fp32_score = as_result(self._evaluate(self.fp32)).score
        # Another calibration or another build makes other networks.
        described = json.dumps([self.config.to_dict(), host_info().to_dict(), self.fp32_score])
        code = Path(sys.modules[TensorFlowBackend.__module__].__file__ or "").parents[2]
        digest = hashlib.sha256(described.encode() + Path(job["model"]).read_bytes())
        for file in sorted(code.rglob("*.py")):
            digest.update(file.read_bytes())
        self._key = digest.hexdigest()[:16]
        self._cache = Path(job["cache"])
        self.known: dict[frozenset[str], dict[str, Any]] = {}
        if self._cache.is_file():
            for line in self._cache.read_text().splitlines():
                one = json.loads(line)
                if one["key"] == self._key:
                    self.known[frozenset(one["fp32"])] = one

    def costs(self) -> LatencyMap | None:
        """Return what each choice costs, measured now."""
        return self.backend.latencies(self.config, self.statistics, self.sample)

    def run_of(self, model: Any) -> Callable[[], object]:
        """Return a call of a network with one sample."""
        return partial(model, self.sample)

    def emit(self, fp32: frozenset[str]) -> Any:
        """Return the network of a subset; all groups in fp32 is the network as given."""
        if len(fp32) == len(self.groups):
            return self.fp32
        return self.backend.emit(replace(self.config, fp32=fp32), self.statistics)

    def visit(self, fp32: frozenset[str], best: float) -> dict[str, Any]:
        """Time a subset, and score it unless it is too slow to matter.

        Args:
            fp32: The groups in fp32.
            best: Latency / fp32 of the fastest that met the bar so far.
        """
        known = self.known.get(fp32, {})
        if "score" in known or (known and known["ratio"] > _SLOWER * best):
            return known
        model = self.emit(fp32)
        try:
            ratio = known.get("ratio")
            if ratio is None:
                ratio = self._quick_ratio(model)
            found = {"key": self._key, "fp32": sorted(fp32), "ratio": ratio}
            if ratio <= _SLOWER * best:
                found["score"] = as_result(self._evaluate(model)).score
        finally:
            if model is not self.fp32:
                model.close()
        self.known[fp32] = found
        with self._cache.open("a") as file:
            file.write(json.dumps(found) + "\n")
        return found

    def _quick_ratio(self, model: Any) -> float:
        """Return the latency of a network / that of fp32, roughly."""
        runs = (self.run_of(model), self.run_of(self.fp32))
        ratios = []
        for _ in range(_QUICK_ROUNDS):
            spent = [burst(run, turn_seconds=_QUICK_SECONDS, turn_calls=None) for run in runs]
            ratios.append(median(spent[0]) / median(spent[1]))
        return median(ratios)


def main() -> None:
    """Enumerate, and answer on the last line."""
    started = time.monotonic()
    job = json.load(sys.stdin)
    os.sched_setaffinity(0, job["cores"])
    print(json.dumps(answer(Enumeration(job), job, started=started)))


def answer(one: Enumeration, job: dict[str, Any], *, started: float) -> dict[str, Any]:
    """Return the optimum, the search's result beside it, and how many subsets it took."""
    floor = one.fp32_score * (1 - job["bar"]) - 1e-12
    costs = one.costs()
    subsets = list(_subsets(one.groups))
    predicted = {s: predict(costs, s) if costs else float(len(s)) for s in subsets}
    subsets.sort(key=lambda s: (predicted[s], sorted(s)))
    everything = frozenset(one.groups)
    best, at = one.visit(everything, float("inf"))["ratio"], predicted[everything]
    passing = {everything: best}
    status, visited, ruled_out = "ok", 1, 0
    end = started + (1 - _FINAL_SHARE) * job["seconds"]
    for number, subset in enumerate(subsets):
        if costs is not None and predicted[subset] > _BEYOND * at:
            ruled_out += 1
            continue
        if time.monotonic() > end:
            left = len(subsets) - number
            status = f"out of time with {left} of {len(subsets)} subsets left; start again"
            break
        try:
            found = one.visit(subset, best)
        except LpotError:  # it cannot be made, so it is no candidate
            visited += 1
            continue
        visited += 1
        if found.get("score", -1.0) >= floor:
            passing[subset] = found["ratio"]
            if found["ratio"] < best:
                best, at = found["ratio"], predicted[subset]
    scored = sum("score" in found for found in one.known.values())
    return {
        "status": status,
        "fp32": one.fp32_score,
        "groups": len(one.groups),
        "subsets": len(subsets),
        "visited": visited,
        "ruled out by prediction": ruled_out,
        "scored": scored,
        "passing": len(passing),
        "host": host_info().to_dict(),
        **_final(one, passing, job),
    }


def _subsets(groups: list[str]) -> Iterator[frozenset[str]]:
    for count in range(len(groups) + 1):
        yield from map(frozenset, itertools.combinations(groups, count))


def _final(
    one: Enumeration, passing: dict[frozenset[str], float], job: dict[str, Any]
) -> dict[str, Any]:
    """Time the fastest again, and the fastest of these against the search's result."""
    seconds = min(_LONGEST_FINAL, 0.3 * _FINAL_SHARE * job["seconds"])
    schedule = Schedule(rounds=job["rounds"], max_seconds=seconds)
    fastest = sorted(passing, key=lambda s: passing[s])[:_FINALISTS]
    models = {" ".join(sorted(s)) or "all int8": one.emit(s) for s in fastest}
    given = load_model(job["model"])
    ours = load_model(job["result"], inputs=given.input_names, outputs=given.output_names)
    runs = {name: one.run_of(model) for name, model in models.items()}
    runs["ours"] = one.run_of(ours)
    # The finals are timed as they are in `search_latency`; foreign load is told in the answer.
    finals = timed(runs, schedule, of="ours")
    optimum = min(models, key=lambda name: finals["ms"][name]["p50"])
    last = {"ours": runs["ours"], "optimum": runs[optimum], _FP32: one.run_of(one.fp32)}
    confirmed = timed(last, schedule, of="ours")
    subset = next(s for s, name in zip(fastest, models, strict=True) if name == optimum)
    return {
        "optimum": sorted(subset),
        "accuracy": one.known[subset]["score"],
        "ours is": sorted(job["config"]["fp32"]),
        "ms": {name: values["p50"] for name, values in confirmed["ms"].items()},
        "ours / optimum": confirmed["ratios"]["optimum"],
        "noise": confirmed["noise"],
        "finals": {name: values["p50"] for name, values in finals["ms"].items()},
    }


if __name__ == "__main__":
    main()
