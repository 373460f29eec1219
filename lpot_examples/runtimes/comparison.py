"""What a run over networks and runtimes found: the fastest, and the fastest that keeps the bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.benchmark.stats import LatencyStats, Speedup
from lpot_examples.evaluation.bars import Bars
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.runtimes.artifacts import Artifact


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of one artifact; None where it was not measured, or could not be.

    Attributes:
        artifact: The network on its runtime.
        latency: Statistics of its calls.
        speedup: Against the first artifact that has a latency, which has none itself.
        accuracy: Its score.
        change: Relative change of the score against the first one; None for that one, and where
            that is 0.
        met: Whether the bar is met.
        reasons: Why something is missing, a sentence each.
    """

    artifact: Artifact
    latency: LatencyStats | None = None
    speedup: Speedup | None = None
    accuracy: EvaluationResult | None = None
    change: float | None = None
    met: bool | None = None
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as JSON values."""
        one, score = self.artifact, self.accuracy
        return {
            "path": str(one.model),
            "runtime": one.runtime,
            "precision": one.precision or None,
            "made": one.note or None,
            "reasons": list(self.reasons),
            "accuracy": score
            and {
                "metric": score.metric,
                "score": score.score,
                "samples": score.samples,
                "details": score.details,
                "relative_change": self.change,
                "bar_met": self.met,
            },
            "latency_ms": self.latency and self.latency.to_dict(),
            "speedup": self.speedup and self.speedup.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Artifacts measured in one run; the first of those that could be measured is the baseline.

    Attributes:
        artifacts: All of them, also those that cannot be run.
        report: Their latency; None if it was not measured.
        scores: Their accuracy by the artifact's name.
        failures: Why an accuracy could not be had, by the artifact's name.
        bars: What may be lost of the accuracy.
    """

    artifacts: Sequence[Artifact]
    report: BenchmarkReport | None = None
    scores: Mapping[str, EvaluationResult] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    bars: Bars | None = None

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One row for each artifact, in order."""
        return tuple(self._row(one) for one in self.artifacts)

    @property
    def fastest(self) -> Row | None:
        """The artifact with the shortest median; None if no latency was measured."""
        return self._quickest(self.rows)

    @property
    def recommended(self) -> Row | None:
        """The fastest one that meets the bar; None if accuracy or latency was not measured."""
        return self._quickest([row for row in self.rows if row.met])

    def even(self, one: Row, other: Row) -> bool:
        """Tell whether the measurement does not say which of two is faster."""
        if self.report is None or one.latency is None or other.latency is None:
            return False
        interval = self.report.ratio(other.artifact.name, one.artifact.name).interval
        return interval.low <= 1 <= interval.high

    def rivals(self, row: Row) -> tuple[Row, ...]:
        """Return the others that may be as fast as a row and keep the bar if it does."""
        others = (other for other in self.rows if other is not row)
        return tuple(one for one in others if self.even(row, one) and (one.met or not row.met))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the single timings as JSON values."""
        conditions = {} if self.report is None else self.report.to_dict()
        for key in ("failed", "models", "mode"):
            conditions.pop(key, None)
        fastest, recommended = self.fastest, self.recommended
        return {
            "mode": "runtimes",
            "models": {row.artifact.name: row.to_dict() for row in self.rows},
            "bar": self.bars.describe() if self.bars else None,
            "fastest": fastest and fastest.artifact.name,
            "fastest_within_bar": recommended and recommended.artifact.name,
            **conditions,
        }

    def _quickest(self, rows: Sequence[Row]) -> Row | None:
        timed = [(row.latency.p50, index) for index, row in enumerate(rows) if row.latency]
        return rows[min(timed)[1]] if timed else None

    def _row(self, one: Artifact) -> Row:
        name, report = one.name, self.report
        latency = report.latency.get(name) if report else None
        score = self.scores.get(name)
        first = next(iter(self.scores.values()), None)
        unfit = [one.reason, report.failed.get(name, "") if report else ""]
        reasons = (*unfit, self.failures.get(name, ""))
        return Row(
            artifact=one,
            latency=latency,
            speedup=report.speedup(name)
            if report and latency and name != report.baseline
            else None,
            accuracy=score,
            change=_change(first, score),
            met=self.bars.judge(first, score).met if self.bars and first and score else None,
            reasons=tuple(dict.fromkeys(reason for reason in reasons if reason)),
        )


def _change(first: EvaluationResult | None, score: EvaluationResult | None) -> float | None:
    if first is None or score is None or score is first or not first.score:
        return None
    return (score.score - first.score) / abs(first.score)
