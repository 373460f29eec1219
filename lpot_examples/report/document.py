"""What a report file must hold to be shown, read without trusting where it came from.

Sections that a run did not get to, or that older versions did not write, are None or empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from lpot_examples.errors import LpotError
from lpot_examples.report.entries import ArtifactEntry, Part


class File(Part):
    """A model file.

    Attributes:
        name: The model's name in the spec.
        precision: ``fp32`` where int8 was slower, and the result is therefore fp32.
        slower_int8: The int8 model's file in that case.
        path: Where it was written or read.
        sha256: Of its bytes, in hexadecimal.
    """

    name: str = ""
    path: str = ""
    sha256: str = ""
    precision: str = "int8"
    slower_int8: str | None = None


class Interval(Part):
    """A confidence interval; ``confidence`` in 0–1."""

    low: float
    high: float
    confidence: float | None = None


class DropInterval(Part):
    """The interval of the loss; see `evaluation.interval`.

    Attributes:
        verdict: ``supported``, ``refuted`` or ``undecided``, where it was judged.
    """

    verdict: str = ""

    low: float
    high: float
    relative: Interval | None = None
    level: float
    method: str = ""
    samples: int | None = None


class Repeatability(Part):
    """What evaluating a model again showed; see `evaluation.repeat`."""

    text: str = ""


class Bar(Part):
    """The accuracy bar; see `evaluation.criterion.Criterion`."""

    relative: float | None = None
    absolute: float | None = None
    higher_is_better: bool = True
    text: str = ""


class MetricEntry(Part):
    """One metric beside its own bar.

    Attributes:
        name: What it is called.
        fp32: Its value for the network as given.
        int8: Its value for the shipped network, or None if there is none yet.
        loss: What was lost, in the metric's unit; negative for a gain.
        loss_relative: The same as a fraction of the fp32 value; None where that is 0.
        allowance: The greatest loss that its bar allows.
        criterion: Its bar.
        weight: What it counts where weighted losses are compared, else None.
        met: Whether its own bar is met. With weights the weighted losses decide.
    """

    name: str
    fp32: float
    int8: float | None = None
    loss: float | None = None
    loss_relative: float | None = None
    allowance: float = 0.0
    criterion: Bar = Bar()
    weight: float | None = None
    met: bool | None = None


class Weighted(Part):
    """The weighted loss of several metrics, and the greatest one allowed."""

    loss: float
    allowance: float


class Accuracy(Part):
    """The scores; losses are in the metric's unit, negative for a gain.

    Of several metrics those outside of ``metrics`` are the first one's, but for ``met``.
    """

    checked: bool = False
    metric: str | None = None
    samples: int | None = None
    fp32: float | None = None
    int8: float | None = None
    drop_relative: float | None = None
    drop_absolute: float | None = None
    criterion: Bar = Bar()
    met: bool | None = None
    metrics: tuple[MetricEntry, ...] = ()
    weighted: Weighted | None = None
    interval: DropInterval | None = None
    certainty: str | None = None
    repeatability: Repeatability | None = None

    @property
    def several(self) -> bool:
        """Whether there is more than one metric."""
        return len(self.metrics) > 1


class Config(Part):
    """What is shown of a `TuningConfig`."""

    fp32: tuple[str, ...] = ()
    activation_algorithm: str = ""
    activation_overrides: Mapping[str, str] = {}
    weight_algorithm: str = ""
    per_tensor: tuple[str, ...] = ()
    weight_bits: Mapping[str, int] = {}
    equalization: float = 0.0
    bias_correction: bool = False
    uncorrected: tuple[str, ...] = ()
    samples: int = 0

    @property
    def algorithms(self) -> str:
        """The algorithms of activations and of weights."""
        return f"{self.activation_algorithm}/{self.weight_algorithm}"


class Stop(Part):
    """Why an evaluation was not finished; ``bound`` is the least loss, in the metric's unit."""

    bound: float | None = None


class TrialEntry(Part):
    """A trial; see `search.trial.Trial`."""

    index: int
    config: Config
    score: float | None = None
    loss: float | None = None
    allowance: float = 0.0
    met: bool = False
    seconds: float = 0.0
    evaluated: float = 1.0
    error: str = ""
    scores: Mapping[str, float] = {}
    costs: Mapping[str, float] = {}
    stopped_early: Stop | None = None

    @property
    def why(self) -> str:
        """Why it has no score, or an empty string."""
        if self.score is not None:
            return ""
        if self.error or self.stopped_early is None:
            return self.error or "no score"
        bound = self.stopped_early.bound
        least = "" if bound is None else f": the loss is above {bound:.4f}"
        return f"stopped early{least}"

    @property
    def latency(self) -> float | None:
        """Its latency in milliseconds, or None."""
        return self.costs.get("performance")

    @property
    def used(self) -> float | None:
        """Its loss as a share of what is allowed; None if there is none, or nothing is allowed."""
        if self.loss is None or self.allowance <= 0:
            return None
        return self.loss / self.allowance


class UnitEntry(Part):
    """A unit of a `LatencyMap`; milliseconds."""

    name: str
    group: bool
    int8: float
    fp32: float


class CrossingEntry(Part):
    """A crossing of a `LatencyMap`; milliseconds."""

    tensor: str
    maker: str | None
    readers: tuple[str, ...]
    outside: bool
    quantize: float
    dequantize: float


class LatencyEntry(Part):
    """A measured `graph.LatencyMap`."""

    units: tuple[UnitEntry, ...]
    crossings: tuple[CrossingEntry, ...] = ()
    rest: float = 0.0

    @property
    def groups(self) -> dict[str, UnitEntry]:
        """The units that are groups, by name."""
        return {unit.name: unit for unit in self.units if unit.group}


class ObjectiveEntry(Part):
    """What the search made small; see `search.objective.Objective`.

    Attributes:
        names: The objectives.
        weights: One for each, or empty for equal ones.
        text: All of it in words.
    """

    names: tuple[str, ...] = ("performance",)
    weights: tuple[float, ...] = ()
    text: str = "performance"

    @property
    def plain(self) -> bool:
        """Whether it is latency alone, as by default."""
        return self.names == ("performance",)


class Ratio(Part):
    """How many times as fast as another a model is, with its interval."""

    value: float
    interval: Interval


class RunnerUp(Part):
    """The runner-up that the best trial was timed with; see `report.build.Rival`."""

    trial: int
    instead_of: int
    ratio: Ratio
    taken: bool


class Search(Part):
    """The search, its cost and what it learnt of each group.

    Attributes:
        objective: What decides among trials that meet the bar.
        runner_up: What was timed with the best trial, or None.
        shipped: Index of the trial whose model the report describes.
        sensitivity: Group name to the output error that reverting it removes.
        latency_map: What groups and the boundaries between them take, as measured, or None.
    """

    shipped: int | None = None
    runner_up: RunnerUp | None = None
    strategy: str = ""
    strategy_requested: str = ""
    objective: ObjectiveEntry = ObjectiveEntry()
    complete: bool = True
    sessions: int = 1
    trials: int = 0
    full_evaluations: float = 0
    seconds: float = 0.0
    history: tuple[TrialEntry, ...] = ()
    sensitivity: Mapping[str, float] = {}
    latency_map: LatencyEntry | None = None


class Timing(Part):
    """Latencies of a call in milliseconds, and samples per second."""

    p50: float
    p90: float
    p99: float
    mean: float | None = None
    throughput: float | None = None


class Noise(Part):
    """What other processes did while latency was measured."""

    quiet: bool = True
    remark: str = ""


class Latency(Part):
    """The comparison of fp32 with int8."""

    measured: bool = False
    fp32: Timing | None = None
    int8: Timing | None = None
    speedup: float | None = None
    speedup_interval: Interval | None = None
    faster_than_fp32: bool = False
    slower_than_fp32: bool = False
    batch_size: int | None = None
    noise: Noise | None = None


class Sizes(Part):
    """Bytes of the model files."""

    fp32: int | None = None
    int8: int | None = None


class OpEntry(Part):
    """What became of one op; see `backends.base.OpDecision`."""

    name: str
    type: str = ""
    group: str = ""
    precision: str
    reason: str = ""


class ExactOn(Part):
    """Instruction sets on which the emitted weights cannot saturate."""

    instruction_sets: Mapping[str, bool] = {}
    groups_that_may_saturate_elsewhere: int = 0


class Run(Part):
    """How the run was started, and when its report was made (UTC, ISO 8601)."""

    command: str = ""
    written: str = ""


# Sections that are shown as they come, whatever they hold.
_Open = Annotated[Mapping[str, Any], BeforeValidator(lambda value: value or {})]


class Report(Part):
    """A whole report."""

    model: File
    source: File | None = None
    engine: str = ""
    accuracy: Accuracy
    artifacts: tuple[ArtifactEntry, ...] = ()
    search: Search
    latency_ms: Latency = Latency()
    size_bytes: Sizes = Sizes()
    ops: tuple[OpEntry, ...] = ()
    config: Config = Config()
    calibration: _Open = {}
    host: _Open = {}
    exact_on: ExactOn = ExactOn()
    instruction_sets: _Open = {}
    versions: _Open = {}
    seed: int | None = None
    spec: _Open = {}
    run: Run = Run()

    @cached_property
    def kept(self) -> frozenset[str]:
        """Names of the groups that the configuration keeps in fp32."""
        return frozenset(self.config.fp32)


def parse_report(data: object, *, origin: str = "the report") -> Report:
    """Check the values of a report and give them names.

    Args:
        data: JSON values.
        origin: What to call them in a message.

    Raises:
        LpotError: If they are not a report.
    """
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise LpotError(
            f"{origin} is not a report of a tuning run: {place}: {first['msg']}. Give the "
            "….report.json that a run wrote, or its workspace."
        ) from error


def read_report(path: Path) -> dict[str, Any]:
    """Read a report file.

    Raises:
        LpotError: If it cannot be read, or is not a report.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LpotError(f"cannot read the report {path}: {error.strerror}.") from error
    except ValueError as error:
        raise LpotError(
            f"{path} is not JSON ({error}); give the ….report.json that a run wrote."
        ) from error
    parse_report(data, origin=str(path))
    checked: dict[str, Any] = data
    return checked
