"""What to deploy: the best setting for latency and for throughput, and how to start it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lpot_examples.benchmark.runner import share_cores
from lpot_examples.benchmark.serving.choice import Candidate, Choice, choose
from lpot_examples.benchmark.serving.layouts import Setting
from lpot_examples.benchmark.serving.result import LoadPoint, ServingReport

# Variables that change how fast the runtimes are; named where they are set.
_VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation.

    Attributes:
        latency: The shortest call of one instance at the smallest batch; None if nothing with one
            instance was measured.
        throughput: The most samples per second; under a limit the most with p99 within it, None if
            nothing keeps it.
        under_load: The load at which the limit is kept, where there is a limit.
    """

    latency: Choice | None
    throughput: Choice | None
    under_load: LoadPoint | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the recommendation as JSON values."""
        found: dict[str, Any] = {}
        for name, choice in (("latency", self.latency), ("throughput", self.throughput)):
            found[name] = None
            if choice is not None:
                setting = choice.best.served.setting
                found[name] = {
                    **choice.to_dict(),
                    "environment": environment(setting),
                    "affinity": [list(cores) for cores in affinity(setting)],
                }
        if self.throughput is not None and self.under_load is not None:
            batch = self.throughput.best.served.setting.batch
            found["throughput"]["under_load"] = self.under_load.to_dict(batch=batch)
        return found


def advise(report: ServingReport) -> Advice:
    """Choose among the settings of the long rounds."""
    finals = report.finals()
    subjects = list(report.models)
    smallest = min(one.setting.batch for one in finals)
    quick = [
        Candidate(one, 1.0 / one.stats.round_medians_ms)
        for one in finals
        if one.setting.layout.instances == 1 and one.setting.batch == smallest
    ]
    points: dict[Setting, LoadPoint] = {}
    if report.latency_limit is None:
        much = [Candidate(one, one.round_throughputs) for one in finals]
    else:
        for curve in report.curves:
            point = curve.within(report.latency_limit)
            if point is not None:
                points[curve.setting] = point
        much = [
            Candidate(one, points[one.setting].level * one.round_throughputs)
            for one in finals
            if one.setting in points
        ]
    throughput = choose(much, subjects=subjects) if much else None
    return Advice(
        latency=choose(quick, subjects=subjects) if quick else None,
        throughput=throughput,
        under_load=None if throughput is None else points.get(throughput.best.served.setting),
    )


def affinity(setting: Setting) -> list[tuple[int, ...]]:
    """Return the ids of the CPUs of each instance."""
    return share_cores(setting.layout.instances, setting.layout.cores)


def environment(setting: Setting) -> dict[str, str]:
    """Return the environment variables of each instance."""
    set_here = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return {"OMP_NUM_THREADS": str(setting.layout.cores), **set_here}


def commands(setting: Setting) -> tuple[str, ...]:
    """Return what each instance is to be started with."""
    variables = " ".join(f"{name}={value}" for name, value in environment(setting).items())
    return tuple(f"taskset -c {_ids(cores)} env {variables}" for cores in affinity(setting))


def _ids(cores: Sequence[int]) -> str:
    """Write CPUs as taskset takes them, such as ``0-3,8``."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
