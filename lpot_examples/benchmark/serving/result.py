"""What serving was measured to be: settings back to back, and curves of latency under load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.benchmark.interleaved import Noise
from lpot_examples.benchmark.serving.layouts import Layout, Setting
from lpot_examples.benchmark.stats import Interval, LatencyStats, median_interval
from lpot_examples.host import HostInfo


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """A setting with every instance busy, back to back.

    Attributes:
        setting: What was measured.
        stats: The calls of all instances, by round.
        final: Whether it was timed in the long, interleaved rounds; else in a short pass only,
            whose figures choose what is timed again.
    """

    setting: Setting
    stats: LatencyStats
    final: bool

    @cached_property
    def round_throughputs(self) -> NDArray[np.float64]:
        """Samples per second of all instances together, float64 [rounds]."""
        samples = self.setting.batch * self.setting.layout.instances
        return np.array([1000.0 * samples / ms.mean() for ms in self.stats.rounds_ms])

    @property
    def throughput(self) -> float:
        """Median over the rounds, samples per second."""
        return float(np.median(self.round_throughputs))

    @property
    def throughput_interval(self) -> Interval:
        """Confidence interval of the median throughput."""
        return median_interval(self.round_throughputs)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            **_setting(self.setting),
            "final": self.final,
            "throughput": self.throughput,
            "throughput_interval": self.throughput_interval.to_dict(),
            "latency_ms": {
                **{name: getattr(self.stats, name) for name in ("p50", "p90", "p99", "mean")},
                "p50_interval": self.stats.p50_interval.to_dict(),
            },
            "calls": len(self.stats.samples_ms),
            "rounds": len(self.stats.rounds_ms),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadPoint:
    """Latency at one level of load.

    Attributes:
        level: Requests offered, as a share of the measured saturation, 0–1.
        offered: Requests offered per second, on average.
        passes_ms: Latencies of the counted requests of each pass, float64 [requests],
            milliseconds; queueing included.
        foreign: Share of the cores that others used meanwhile, 0–1; None if unknown.
    """

    level: float
    offered: float
    passes_ms: tuple[NDArray[np.float64], ...]
    foreign: float | None = None

    @cached_property
    def latencies_ms(self) -> NDArray[np.float64]:
        """All counted requests, milliseconds."""
        return np.concatenate(self.passes_ms)

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latency, milliseconds."""
        return float(np.percentile(self.latencies_ms, percent))

    def to_dict(self, *, batch: int) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "level": self.level,
            "requests_per_second": self.offered,
            "samples_per_second": self.offered * batch,
            "requests": len(self.latencies_ms),
            "latency_ms": {f"p{percent}": self.percentile(percent) for percent in (50, 90, 99)},
            "p99_of_passes_ms": [float(np.percentile(one, 99)) for one in self.passes_ms],
            "foreign": self.foreign,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadCurve:
    """Latency under load of one setting.

    Attributes:
        setting: What served.
        saturation: Requests per second with every instance always busy.
        points: By ascending level.
    """

    setting: Setting
    saturation: float
    points: tuple[LoadPoint, ...]

    def within(self, limit_ms: float) -> LoadPoint | None:
        """Return the highest load up to which p99 stays within a limit; None if none does."""
        best = None
        for point in self.points:
            if point.percentile(99) > limit_ms:
                break
            best = point
        return best

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as JSON values."""
        return {
            **_setting(self.setting),
            "saturation_requests_per_second": self.saturation,
            "points": [point.to_dict(batch=self.setting.batch) for point in self.points],
        }


@dataclass(frozen=True, kw_only=True)
class ServingReport:
    """Everything that a serving measurement found.

    Attributes:
        models: Path by the name of each subject that could be run, in the order given.
        runtimes: Runtime by the same names, where it is not the file's own.
        served: Every setting that was tried.
        curves: Latency under load, of the best settings.
        layouts: The layouts that were tried.
        cores: Ids of the CPUs in use.
        failed: What is wrong with the models that cannot be run, by name.
        remarks: What was left out, and why; one sentence each.
        noise: What others did during the long rounds.
        latency_limit: Milliseconds within which p99 was wanted; None for no limit.
        seconds: Wall time of everything.
        seed: Seed of the arrivals.
        host: The machine.
        versions: Library versions by name.
    """

    models: Mapping[str, str]
    runtimes: Mapping[str, str]
    served: tuple[Served, ...]
    curves: tuple[LoadCurve, ...]
    layouts: tuple[Layout, ...]
    cores: tuple[int, ...]
    failed: Mapping[str, str]
    remarks: tuple[str, ...]
    noise: Noise
    latency_limit: float | None
    seconds: float
    seed: int
    host: HostInfo
    versions: Mapping[str, str]

    def of(self, subject: str) -> list[Served]:
        """Return a subject's settings, those of the long rounds first, by falling throughput."""
        own = [one for one in self.served if one.setting.subject == subject]
        return sorted(own, key=lambda one: (not one.final, -one.throughput))

    def finals(self) -> list[Served]:
        """Return the settings of the long rounds."""
        return [one for one in self.served if one.final]

    def served_as(self, setting: Setting) -> Served:
        """Return the figures of a setting."""
        return next(one for one in self.served if one.setting == setting)

    def sustained(self, subject: str, limit_ms: float) -> tuple[LoadCurve, LoadPoint] | None:
        """Return the most samples per second of a subject with p99 within a limit, or None."""
        found = [
            (curve, point)
            for curve in self.curves
            if curve.setting.subject == subject and (point := curve.within(limit_ms)) is not None
        ]
        return max(found, key=lambda one: one[1].offered * one[0].setting.batch, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the single timings as JSON values."""
        return {
            "mode": "serving",
            "models": {
                name: {
                    "path": path,
                    **({"runtime": self.runtimes[name]} if name in self.runtimes else {}),
                    "settings": [one.to_dict() for one in self.of(name)],
                    "load": [c.to_dict() for c in self.curves if c.setting.subject == name],
                    **self._within(name),
                }
                for name, path in self.models.items()
            },
            "latency_limit_ms": self.latency_limit,
            "layouts": [str(layout) for layout in self.layouts],
            "cores": list(self.cores),
            "failed": dict(self.failed),
            "remarks": list(self.remarks),
            "noise": self.noise.to_dict(),
            "seconds": self.seconds,
            "seed": self.seed,
            "host": self.host.to_dict(),
            "versions": dict(self.versions),
        }

    def _within(self, subject: str) -> dict[str, Any]:
        if self.latency_limit is None:
            return {}
        found = self.sustained(subject, self.latency_limit)
        if found is None:
            return {"within_limit": None}
        curve, point = found
        return {
            "within_limit": {**_setting(curve.setting), **point.to_dict(batch=curve.setting.batch)}
        }


def names_of(served: Sequence[Served]) -> list[str]:
    """Return the subjects of some settings, each once, in their order."""
    return list(dict.fromkeys(one.setting.subject for one in served))


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "model": setting.subject,
        "instances": setting.layout.instances,
        "cores_per_instance": setting.layout.cores,
        "batch_size": setting.batch,
    }
