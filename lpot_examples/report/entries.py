"""What a report holds of each delivered file, as far as it is shown; see `report.document`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a report; what is not known of it is left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ArtifactScore(Part):
    """Its evaluation on its own runtime; see `report.artifacts.Score`."""

    metric: str = ""
    fp32: float
    score: float
    loss: float
    allowance: float = 0.0
    loss_relative: float | None = None
    met: bool
    scores: Mapping[str, float] = {}
    differing: tuple[int, int] | None = None

    @property
    def lost(self) -> str:
        """The loss in words."""
        if self.loss_relative is None or len(self.scores) > 1:
            return f"{self.loss:+.4f}"
        return f"{100 * self.loss_relative:+.2f} %"


class ArtifactTiming(Part):
    """Milliseconds of a call."""

    p50: float


class ArtifactLatency(Part):
    """Its latency beside that of its fp32 form, on its own runtime."""

    fp32: ArtifactTiming
    int8: ArtifactTiming
    speedup: float
    slower_than_fp32: bool = False


class GroupDifference(Part):
    """A group in another precision than in the result; see `report.artifacts.Difference`."""

    group: str
    counterpart: str = ""
    here: str
    there: str = ""
    reason: str = ""


class Decibels(Part):
    """Signal-to-error ratios; see `report.artifacts.Distances`."""

    samples: int
    result: float
    artifact: float
    between: float | None = None
    fp32: float


class Differences(Part):
    """How it differs from the result."""

    groups: tuple[GroupDifference, ...] = ()
    missing: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()
    decibels: Decibels | None = None


class ArtifactEntry(Part):
    """A delivered file; see `report.artifacts.Artifact`."""

    form: str
    runtime: str = ""
    path: str | None = None
    source: str | None = None
    size_bytes: int | None = None
    precision: str = "int8"
    met: bool | None = None
    accuracy: ArtifactScore | None = None
    groups: Mapping[str, int] = {}
    latency_ms: ArtifactLatency | None = None
    differences: Differences = Differences()
    error: str = ""

    @property
    def verdict(self) -> str:
        """Whether it meets the bar, in a few words."""
        if self.error:
            return "not made"
        if self.met is None:
            return "not checked"
        return "meets the bar" if self.met else "MISSES the bar"

    def remarks(self) -> list[str]:
        """Return what else should be known of it, in sentences."""
        found = [f"There is no .{self.form} file: {self.error}"] if self.error else []
        if self.latency_ms is not None and self.latency_ms.slower_than_fp32:
            place = f"; {self.source} is its fp32 form" if self.source else ""
            found.append(f"The .{self.form} file is slower than fp32 on {self.runtime}{place}.")
        difference = self.differences
        if difference.groups:
            found.append(f"{_groups(len(difference.groups))} in another precision there.")
        if difference.missing:
            found.append(f"{_groups(len(difference.missing))} not found there.")
        if difference.decibels is not None and difference.decibels.between is not None:
            found.append(
                f"On {difference.decibels.samples} samples the outputs of the two int8 files are "
                f"{difference.decibels.between:.1f} dB apart; from fp32 the first is "
                f"{difference.decibels.result:.1f} dB, the .{self.form} file "
                f"{difference.decibels.artifact:.1f} dB."
            )
        if self.accuracy is not None and self.accuracy.differing is not None:
            number, of = self.accuracy.differing
            found.append(f"{number} of {of} samples score otherwise than with the first file.")
        return found


def _groups(number: int) -> str:
    return f"{number} group is" if number == 1 else f"{number} groups are"
