"""The files that a run delivers, one entry each: the result, and its forms for other runtimes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import OpDecision
from lpot_examples.benchmark.result import BenchmarkReport


@dataclass(frozen=True, kw_only=True)
class Score:
    """What the evaluation of an artifact gave.

    Attributes:
        metric: The metric's name.
        fp32: The score of the network as given, on its own runtime.
        score: That of the artifact, on its own runtime; of several metrics the first one.
        loss: What was lost in the metric's unit; see `search.trial.Trial`.
        allowance: The greatest loss that the bar allows.
        met: Whether the bar is met.
        loss_relative: The first metric's loss as a fraction of fp32; None where that is 0.
        scores: Every metric by name, where there are several.
        interval: How sure the loss is, or None.
        differing: Samples whose score differs from the result's, and all of them; None where single
            samples are not known.
    """

    metric: str
    fp32: float
    score: float
    loss: float
    allowance: float
    met: bool
    loss_relative: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    interval: Mapping[str, Any] | None = None
    differing: Sequence[int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        differing = None if self.differing is None else list(self.differing)
        return {**asdict(self), "differing": differing}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A group that is not in the same precision in both forms.

    Attributes:
        group: Its name here.
        counterpart: Its name in the result, or an empty string.
        here: Its precision here.
        there: Its precision in the result, or an empty string.
        reason: Why it is what it is here.
    """

    group: str
    counterpart: str
    here: str
    there: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Distances:
    """How far networks are apart on a few samples, as signal-to-error ratios in decibels.

    Attributes:
        samples: How many.
        result: The result and its fp32 network.
        artifact: The artifact and its fp32 network.
        between: Both of them; None where outputs come from decisions.
        fp32: Both fp32 networks.
    """

    samples: int
    result: float
    artifact: float
    between: float | None
    fp32: float


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A further form of a run's result.

    Attributes:
        form: As on the command line, such as ``onnx``.
        runtime: What runs it.
        path: Its file; None if none was written.
        source: The fp32 network in this form, or None.
        score: Its evaluation; None if accuracy was not checked, or nothing was written.
        decisions: Every op's precision and reason.
        exact_on: By instruction set whether the weights cannot saturate.
        differences: The groups that are not as in the result.
        missing: The result's int8 groups that have no counterpart here.
        collected: Tensors whose statistics were collected for this form.
        distances: How far it is from the result.
        latency: The comparison of ``fp32`` and ``int8`` of the result and of this form, which go by
            the form's name; None if it was left out.
        error: Why nothing was written, or an empty string.
    """

    form: str
    runtime: str
    path: Path | None = None
    source: Path | None = None
    score: Score | None = None
    decisions: Sequence[OpDecision] = ()
    exact_on: Mapping[str, bool] = field(default_factory=dict)
    differences: Sequence[Difference] = ()
    missing: Sequence[str] = ()
    collected: Sequence[str] = ()
    distances: Distances | None = None
    latency: BenchmarkReport | None = None
    error: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar was met; None if accuracy was not checked."""
        if self.error:
            return False
        return None if self.score is None else self.score.met

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the report."""
        return {
            **_file(self.form, self.runtime, self.path, precision="int8"),
            "source": None if self.source is None else str(self.source),
            "met": self.met,
            "accuracy": None if self.score is None else self.score.to_dict(),
            "groups": group_counts(self.decisions),
            "latency_ms": None if self.latency is None else _latency(self.latency, self.form),
            "exact_on": dict(self.exact_on),
            "differences": {
                "groups": [asdict(one) for one in self.differences],
                "missing": list(self.missing),
                "collected": list(self.collected),
                "decibels": None if self.distances is None else asdict(self.distances),
            },
            "ops": [asdict(one) for one in self.decisions],
            "error": self.error,
        }


def own_entry(
    path: Path,
    *,
    runtime: str,
    precision: str,
    source: Path | None,
    score: Score | None,
    decisions: Sequence[OpDecision],
    latency: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the entry of the result itself.

    Args:
        path: Its file.
        runtime: What runs it.
        precision: ``fp32`` where int8 was slower.
        source: The network as given, or None if it has no file.
        score: Its evaluation, or None if accuracy was not checked.
        decisions: Every op's precision and reason.
        latency: The report's section.
    """
    form = path.suffix.removeprefix(".") or "pb"
    return {
        **_file(form, runtime, path, precision=precision),
        "source": None if source is None else str(source),
        "met": None if score is None else score.met,
        "accuracy": None if score is None else score.to_dict(),
        "groups": group_counts(decisions),
        "latency_ms": dict(latency) if latency["measured"] else None,
        "error": "",
    }


def group_counts(decisions: Iterable[OpDecision]) -> dict[str, int]:
    """Return how many fusion groups run in each precision."""
    found = Counter(one.precision for one in decisions if one.name == one.group)
    return {"int8": found["int8"], "fp32": found["fp32"]}


def _file(form: str, runtime: str, path: Path | None, *, precision: str) -> dict[str, Any]:
    content = None if path is None else path.read_bytes()
    return {
        "form": form,
        "runtime": runtime,
        "path": None if path is None else str(path),
        "sha256": None if content is None else hashlib.sha256(content).hexdigest(),
        "size_bytes": None if content is None else len(content),
        "precision": precision,
    }


def _latency(latency: BenchmarkReport, form: str) -> dict[str, Any]:
    """Return the figures of a form; ``over_…`` tell how many times as fast int8 is."""
    fp32, int8 = f"fp32 {form}", f"int8 {form}"
    speedup = latency.ratio(fp32, int8)
    return {
        "fp32": latency.latency[fp32].to_dict(),
        "int8": latency.latency[int8].to_dict(),
        "speedup": speedup.value,
        "speedup_interval": speedup.interval.to_dict(),
        "faster_than_fp32": speedup.interval.low > 1,
        "slower_than_fp32": speedup.interval.high < 1,
        "over_source": latency.ratio("fp32", int8).to_dict(),
        "over_result": latency.ratio("int8", int8).to_dict(),
        "batch_size": latency.batch_size,
        "noise": latency.noise.to_dict(),
    }


def written_with(report: Path) -> dict[str, Path]:
    """Return the further forms of a result that its report lists, as far as they are unchanged.

    Returns:
        Form to file; empty if there is no such report.
    """
    found = {}
    try:
        entries = json.loads(report.read_text(encoding="utf-8")).get("artifacts", [])[1:]
        for entry in entries:
            path = Path(entry["path"] or "")
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]:
                found[str(entry["form"])] = path
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}  # there is none, or it is no report
    return found
