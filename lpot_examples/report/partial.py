"""The report of a run that has not ended, from its journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpot_examples.errors import LpotError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.repeat import Repeatability
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.graph import OpGraph
from lpot_examples.host import host_info
from lpot_examples.journal import Journal, read_events, seconds_spent
from lpot_examples.report.run import run_facts
from lpot_examples.report.sections import (
    accuracy_section,
    criterion_section,
    full_evaluations,
    objective_section,
)
from lpot_examples.search.objective import Objective, Work
from lpot_examples.search.trial import Trial
from lpot_examples.spec import Spec, load_spec
from lpot_examples.trials import bars_of

# Events that a run ends with.
ENDINGS = ("finished", "exhausted")

_BEGINNINGS = ("started", "resumed")


def describe_run(
    journal: Journal,
    *,
    spec: Spec,
    criterion: Criterion,
    graph: OpGraph,
    source: Path | None,
    strategy: str,
    engine: str,
) -> None:
    """Write what a report needs to know of a run into its journal, once.

    Args:
        journal: The run's.
        spec: The tuning spec.
        criterion: The bar.
        graph: The network.
        source: The fp32 model's file, or None.
        strategy: The name of the strategy that runs.
        engine: What makes the int8 networks.
    """
    if journal.find("described") is not None:
        return
    host = host_info()
    journal.write(
        "described",
        name=spec.model.name,
        criterion=criterion_section(criterion),
        groups=[
            {"name": g.name, "type": g.type, "able": g.quantizable, "reason": g.reason}
            | {"macs": g.macs}
            for g in graph.groups
        ],
        source=None if source is None else str(source),
        source_bytes=None if source is None else source.stat().st_size,
        strategy=strategy,
        strategy_requested=spec.tuning.strategy.name,
        engine=engine,
        host={**host.to_dict(), "threads": host.logical_cores},
        spec=spec.to_dict(),
        seed=spec.tuning.random_seed,
        run=run_facts(),
    )


def report_from_journal(path: Path) -> dict[str, Any]:
    """Return the report of a run as far as its journal goes.

    Args:
        path: The journal.

    Raises:
        LpotError: If it cannot be read, or holds no run.
    """
    try:
        events = list(read_events(path))
    except OSError as error:
        raise LpotError(f"cannot read the journal {path}: {error.strerror}.") from error
    described = _last(events, "described")
    if described is None:
        raise LpotError(
            f"{path} does not say which network was tuned: its run was stopped before it began, or "
            "is of an older version. Run the same tune command again."
        )
    return _report(events, described)


def ending(path: Path) -> dict[str, Any] | None:
    """Return the event that ended the run of a journal, or None if it goes on."""
    try:
        return _ending(read_events(path))
    except OSError:
        return None


def _ending(events: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    last = None
    for event in events:
        if event["event"] in ENDINGS:
            last = event
        elif event["event"] in _BEGINNINGS:
            last = None
    return last


def _report(events: list[dict[str, Any]], described: dict[str, Any]) -> dict[str, Any]:
    spec = load_spec(described["spec"])
    objective = Objective.of(spec)
    known = _of_the_same_data(events)
    baseline, end = _baseline(known), _ending(events)
    records = _records(known)
    trials = [trial for trial, _ in records]
    best = objective.best(trials, _work(described["groups"]))
    precision = "int8"
    if end is not None and best is not None:
        best, precision = _result(records, best, sha256=end["sha256"])
    repeatability = _repeatability(known, best)
    costs = _last(known, "latencies")
    started = next((event for event in events if event["event"] in _BEGINNINGS), {})
    saved = end or _last(known, "saved") or {}
    return {
        "model": {
            "name": described["name"],
            "path": saved.get("model", ""),
            "sha256": saved.get("sha256", ""),
            "precision": precision,
        },
        "source": {"path": described["source"]} if described["source"] else None,
        "engine": described["engine"],
        "accuracy": accuracy_section(
            bars_of(spec), baseline=baseline, best=best, repeatability=repeatability
        ),
        "search": {
            "strategy": described["strategy"],
            "strategy_requested": described["strategy_requested"],
            "objective": objective_section(objective),
            "complete": end is not None,
            "sessions": sum(event["event"] in _BEGINNINGS for event in events),
            "shipped": best.index if best else None,
            "trials": len(trials),
            "full_evaluations": full_evaluations(
                trials, baseline=baseline, repeatability=repeatability
            ),
            "seconds": seconds_spent(events),
            "sensitivity": (_last(known, "sensitivity") or {"found": {}})["found"],
            "latency_map": None if costs is None else costs["map"],
            "history": [trial.to_dict() for trial in trials],
        },
        "latency_ms": {"fp32": None, "int8": None, "speedup": None, "measured": False},
        "size_bytes": {"fp32": described["source_bytes"], "int8": _size(best)},
        "ops": _ops(described["groups"], best, over=end is not None),
        "config": best.config.to_dict() if best else {},
        "calibration": {},
        "host": described["host"],
        "versions": (started.get("identity") or {}).get("versions", {}),
        "seed": described["seed"],
        "spec": described["spec"],
        "run": described["run"],
    }


def _of_the_same_data(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what earlier sessions found with other calibration data."""
    data = [event["calibration"] for event in events if "calibration" in event]
    return [
        event for event in events if "calibration" not in event or event["calibration"] == data[-1]
    ]


def _baseline(events: Sequence[dict[str, Any]]) -> EvaluationResult | None:
    event = _last(events, "baseline")
    if event is None:
        return None
    return EvaluationResult(
        score=event["score"],
        metric=event["metric"],
        samples=event["samples"],
        scores=event.get("scores", {}),
    )


def _records(events: Sequence[dict[str, Any]]) -> list[tuple[Trial, str]]:
    """Return the trials, each once, with the SHA-256 of their files.

    One that was stopped early and evaluated fully after all takes its own place again.
    """
    found: dict[str, tuple[Trial, str]] = {}
    for event in events:
        if event["event"] not in ("trial", "settled"):
            continue
        digest = event["digest"]
        index = found[digest][0].index if digest in found else len(found) + 1
        trial = Trial.from_dict({**event["data"], "index": index})
        if event["event"] == "settled" and digest in found:
            trial = replace(trial, evaluated=trial.evaluated + found[digest][0].evaluated)
        found[digest] = (trial, event["sha256"])
    return list(found.values())


def _result(records: Sequence[tuple[Trial, str]], best: Trial, *, sha256: str) -> tuple[Trial, str]:
    """Return the trial whose file a run ended with, and the precision of that file.

    Args:
        records: Trials with the SHA-256 of their files.
        best: The one that the objective prefers.
        sha256: The result's. That of no trial is the fp32 network, where int8 was slower.
    """
    same = [trial for trial, made in records if made == sha256]
    if best in same:
        return best, "int8"
    return (same[0], "int8") if same else (best, "fp32")


def _work(groups: Sequence[dict[str, Any]]) -> Work:
    macs = {group["name"]: group["macs"] or 1 for group in groups}
    return lambda trial: sum(macs.get(name, 1) for name in trial.config.fp32)


def _repeatability(events: Sequence[dict[str, Any]], best: Trial | None) -> Repeatability | None:
    """Return what evaluating fp32, or the best trial, again showed."""
    event = _last(events, "confirmed")
    if event is None or best is None or event["digest"] != best.config.digest():
        event = _last(events, "repeated")
    return None if event is None else Repeatability.from_dict(event)


def _size(best: Trial | None) -> int | None:
    size = None if best is None else best.costs.get("modelsize")
    return None if size is None else round(size)


def _ops(
    groups: Iterable[dict[str, Any]], best: Trial | None, *, over: bool
) -> list[dict[str, Any]]:
    """Return the groups as the best trial has them; nothing before there is one."""
    if best is None:
        return []
    kept = best.config.fp32
    where = "in the best trial" if over else "in the best trial so far"
    return [
        {
            "name": group["name"],
            "type": group["type"],
            "group": group["name"],
            "precision": "int8" if group["able"] and group["name"] not in kept else "fp32",
            "reason": group["reason"]
            or f"{'kept in fp32' if group['name'] in kept else 'int8'} {where}",
        }
        for group in groups
    ]


def _last(events: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((event for event in reversed(events) if event["event"] == name), None)
