"""What a benchmark found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lpot_examples.benchmark.interleaved import Noise
from lpot_examples.benchmark.stats import LatencyStats, Speedup, paired_speedup
from lpot_examples.host import HostInfo


@dataclass(frozen=True, kw_only=True)
class BenchmarkReport:
    """The latencies of models timed in the same rounds.

    Attributes:
        latency: Statistics by model name; the first is the baseline of the speed-ups.
        models: Path of each model file by the same names.
        noise: What other processes did meanwhile.
        host: The machine, as the workers saw it.
        cores: Ids of the CPUs of each instance.
        threads: Threads inside one op, in each instance.
        batch_size: Samples in a batch.
        seconds: Wall time of the whole benchmark, start of the workers included.
        versions: Library versions by name.
        runtimes: Runtime by the name of a model, where it is not the file's own.
        failed: What is wrong with the models that cannot be run, by name; these have no latency.
    """

    latency: Mapping[str, LatencyStats]
    models: Mapping[str, str]
    noise: Noise
    host: HostInfo
    cores: tuple[tuple[int, ...], ...]
    threads: int
    batch_size: int
    seconds: float
    versions: Mapping[str, str]
    runtimes: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        """Name of the model that the others are compared with."""
        return next(iter(self.latency))

    def speedup(self, name: str) -> Speedup:
        """Return how many times as fast as the baseline a model is, paired by round."""
        return self.ratio(self.baseline, name)

    def ratio(self, one: str, other: str) -> Speedup:
        """Return how many times as fast as one model another is, paired by round."""
        return paired_speedup(self.latency[one], self.latency[other])

    def renamed(self, old: str, new: str) -> BenchmarkReport:
        """Return a report in which a model goes by another's name, and that other is left out."""
        names = {name: old if name == new else name for name in self.latency if name != old}
        return replace(
            self,
            latency={name: self.latency[source] for name, source in names.items()},
            models={name: self.models[source] for name, source in names.items()},
            runtimes={
                name: self.runtimes[source]
                for name, source in names.items()
                if source in self.runtimes
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the single timings as JSON values."""
        models = {
            name: {
                "path": self.models[name],
                **({"runtime": self.runtimes[name]} if name in self.runtimes else {}),
                "latency_ms": stats.to_dict(),
                "speedup": None if name == self.baseline else self.speedup(name).to_dict(),
            }
            for name, stats in self.latency.items()
        }
        return {
            "mode": "benchmark",
            "batch_size": self.batch_size,
            "instances": len(self.cores),
            "cores_per_instance": len(self.cores[0]),
            "cores": [list(instance) for instance in self.cores],
            "baseline": self.baseline,
            "models": models,
            "failed": dict(self.failed),
            "noise": self.noise.to_dict(),
            "seconds": self.seconds,
            "host": {**self.host.to_dict(), "threads": self.threads},
            "versions": dict(self.versions),
        }
