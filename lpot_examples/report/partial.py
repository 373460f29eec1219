"""The report of a run that has not ended, from its journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lpot_examples.errors import LpotError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.graph import OpGraph
from lpot_examples.host import host_info
from lpot_examples.journal import Journal, read_events, seconds_spent
from lpot_examples.report.run import run_facts
from lpot_examples.spec import Spec

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
        criterion=_criterion(criterion),
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
        last = None
        for event in read_events(path):
            if event["event"] in ENDINGS:
                last = event
            elif event["event"] in _BEGINNINGS:
                last = None
    except OSError:
        return None
    return last


def _report(events: list[dict[str, Any]], described: dict[str, Any]) -> dict[str, Any]:
    baseline = _last(events, "baseline")
    trials = _trials(events)
    best = _best(trials, described["groups"])
    end = next((event for event in events if event["event"] in ENDINGS), None)
    started = next((event for event in events if event["event"] in _BEGINNINGS), {})
    evaluated = sum(trial.get("evaluated", 1.0) for trial in trials)
    saved = end or _last(events, "saved") or {}
    return {
        "model": {
            "name": described["name"],
            "path": saved.get("model", ""),
            "sha256": saved.get("sha256", ""),
        },
        "source": {"path": described["source"]} if described["source"] else None,
        "engine": described["engine"],
        "accuracy": _accuracy(baseline, best, described["criterion"]),
        "search": {
            "strategy": described["strategy"],
            "strategy_requested": described["strategy_requested"],
            "complete": end is not None,
            "sessions": sum(event["event"] in _BEGINNINGS for event in events),
            "shipped": best["index"] if best else None,
            "trials": len(trials),
            "full_evaluations": evaluated + (1 if baseline else 0),
            "seconds": seconds_spent(events),
            "history": trials,
        },
        "latency_ms": {"fp32": None, "int8": None, "speedup": None, "measured": False},
        "size_bytes": {"fp32": described["source_bytes"], "int8": None},
        "ops": _ops(described["groups"], best),
        "config": best["config"] if best else {},
        "calibration": {},
        "host": described["host"],
        "versions": (started.get("identity") or {}).get("versions", {}),
        "seed": described["seed"],
        "spec": described["spec"],
        "run": described["run"],
    }


def _accuracy(
    baseline: dict[str, Any] | None, best: dict[str, Any] | None, criterion: dict[str, Any]
) -> dict[str, Any]:
    fp32 = None if baseline is None else baseline["score"]
    loss = None if best is None else best["loss"]
    interval = None if best is None else best.get("interval")
    relative = loss / abs(fp32) if loss is not None and fp32 else None
    return {
        "checked": fp32 is not None and best is not None,
        "metric": None if baseline is None else baseline["metric"],
        "samples": None if baseline is None else baseline["samples"],
        "fp32": fp32,
        "int8": None if best is None else best["score"],
        "drop_relative": relative,
        "drop_absolute": loss,
        "criterion": criterion,
        "met": None if best is None else best["met"],
        "interval": interval,
        "certainty": interval and interval["text"],
    }


def _trials(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials of the data that were calibrated with last, each once."""
    recorded = [event for event in events if event["event"] == "trial"]
    data = recorded[-1].get("calibration") if recorded else None
    latest = {event["digest"]: event for event in recorded if event.get("calibration") == data}
    return [{**event["data"], "index": i} for i, event in enumerate(latest.values(), 1)]


def _best(
    trials: Iterable[dict[str, Any]], groups: Iterable[dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the trial that meets the bar with least work in fp32, else the most accurate."""
    work = {group["name"]: group["macs"] or 1 for group in groups}
    scored = [trial for trial in trials if trial["score"] is not None]
    passing = [trial for trial in scored if trial["met"]]
    if passing:
        return min(
            passing,
            key=lambda t: (sum(work.get(name, 1) for name in t["config"]["fp32"]), t["loss"]),
        )
    return min(scored, key=lambda trial: trial["loss"], default=None)


def _ops(groups: Iterable[dict[str, Any]], best: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the groups as the best trial has them; nothing before there is one."""
    if best is None:
        return []
    kept = set(best["config"]["fp32"])
    return [
        {
            "name": group["name"],
            "type": group["type"],
            "group": group["name"],
            "precision": "int8" if group["able"] and group["name"] not in kept else "fp32",
            "reason": group["reason"]
            or f"{'kept in fp32' if group['name'] in kept else 'int8'} in the best trial so far",
        }
        for group in groups
    ]


def _criterion(criterion: Criterion) -> dict[str, Any]:
    return {
        "relative": criterion.relative,
        "absolute": criterion.absolute,
        "higher_is_better": criterion.higher_is_better,
        "text": criterion.describe(),
    }


def _last(events: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((event for event in reversed(events) if event["event"] == name), None)
