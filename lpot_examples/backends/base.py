"""What the tuner needs of a framework. It knows backends through this interface alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lpot_examples.calibration.feed import Array, InputSpec
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import ModelError
from lpot_examples.graph import LatencyMap, OpGraph, TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, InstructionSet

Progress = Callable[[int], None]
Exactness = Mapping[str, Sequence[str]]
"""Instruction set (of `host.INSTRUCTION_SETS`) → groups whose kernels could saturate there."""

FRAGILE = "could saturate without VNNI"
"""Part of the reason of every op that is not exact on all instruction sets."""


@dataclass(frozen=True, kw_only=True)
class OpDecision:
    """What became of one op, and why.

    Attributes:
        name: Its name.
        type: Its type in the framework's terms.
        group: Name of its fusion group, or an empty string.
        precision: ``int8`` or ``fp32``.
        reason: One clause that explains the precision.
    """

    name: str
    type: str
    group: str
    precision: str
    reason: str


def exactness_of(decisions: Iterable[OpDecision]) -> dict[str, list[str]]:
    """Return the `Exactness` that the reasons of ops tell of."""
    fragile = sorted({one.group or one.name for one in decisions if FRAGILE in one.reason})
    return {name: fragile if isa.u8s8_saturates else [] for name, isa in INSTRUCTION_SETS.items()}


@dataclass(frozen=True)
class Reference:
    """What the fp32 network gives on a batch.

    Attributes:
        outputs: The arrays that int8 is compared with.
        given: Values that the int8 network is given meanwhile, by the backend's names.
        shared: What all samples share, which was taken from the outputs; empty if nothing was.
    """

    outputs: Sequence[Array]
    given: Mapping[str, Array] = field(default_factory=dict)
    shared: Sequence[Array] = ()


def exactness_by(fragile: Callable[[InstructionSet], Iterable[str]]) -> dict[str, list[str]]:
    """Return the `Exactness` that a function tells of; it is asked once for each table of kernels.

    Args:
        fragile: Returns the groups whose kernels could saturate on an instruction set.
    """
    by_table: dict[Any, list[str]] = {}
    for isa in INSTRUCTION_SETS.values():
        if isa.exact not in by_table:
            by_table[isa.exact] = sorted(fragile(isa))
    return {name: by_table[isa.exact] for name, isa in INSTRUCTION_SETS.items()}


def require_quantizable(op_graph: OpGraph, source: str) -> None:
    """Refuse a network that nothing can be tuned of.

    Raises:
        ModelError: If no group can run in int8; with the reasons.
    """
    if op_graph.quantizable:
        return
    reasons = sorted({group.reason for group in op_graph.groups})
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise ModelError(
        f"{source} has no convolution or matrix product that can run in int8{why}; "
        "there is nothing to tune."
    )


class Model(Protocol):
    """A network that can be run, scored and saved."""

    def __call__(self, batch: Any) -> Any:
        """Run on a batch."""

    def save(self, path: str | Path) -> Path:
        """Write to a file, whole or not at all."""

    def close(self) -> None:
        """Release its memory."""


class Backend(Protocol):
    """One fp32 network in a framework, and the means to make int8 networks of it."""

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know about how the network was prepared."""

    @property
    def engine(self) -> str:
        """What makes the int8 networks; with its version, if it is not of this project."""

    @property
    def op_graph(self) -> OpGraph:
        """The network, neutrally described."""

    @property
    def op_types(self) -> Mapping[str, str]:
        """Type by name of every op of the network as given."""

    @property
    def input_spec(self) -> InputSpec:
        """Shape and dtype by input name."""

    @property
    def suffix(self) -> str:
        """The file name suffix of its models, such as ``.pb``."""

    def baseline(self) -> Model:
        """Return the fp32 network as it was given."""

    def calibrate(
        self,
        batches: Iterable[dict[str, Array]],
        *,
        sizes: Sequence[int],
        progress: Progress | None = None,
    ) -> dict[int, Statistics]:
        """Collect statistics in one pass, with a snapshot after each number of samples."""

    def emit(self, config: TuningConfig, statistics: Statistics) -> Model:
        """Return a new network that follows a configuration.

        Raises:
            EmitError: If it cannot be made of this configuration, though perhaps of another.
        """

    def load(self, path: Path) -> Model:
        """Read a network of this framework with the inputs and outputs of this one."""

    def reader(self, *, given: bool = False) -> Callable[[Path], Model]:
        """Return a function that does what `load` does, in any process: it can be pickled.

        Args:
            given: Whether it shall read the network as given, so that it runs as that of
                `baseline`.
        """

    def explain(
        self, config: TuningConfig, statistics: Statistics, reverted: Mapping[str, str]
    ) -> list[OpDecision]:
        """Return every op's precision and reason; ``reverted`` says why groups stay fp32."""

    def exactness(self, config: TuningConfig, statistics: Statistics) -> Exactness:
        """Return which groups of a configuration's network could saturate, and where."""

    def latencies(
        self, config: TuningConfig, statistics: Statistics, batch: dict[str, Array]
    ) -> LatencyMap | None:
        """Time every choice of precision on this host, or return None if that is not possible.

        Args:
            config: Says which groups may be int8 at all.
            statistics: Calibration statistics.
            batch: What to run on.
        """

    def references(self, batches: Sequence[dict[str, Array]]) -> Sequence[Reference]:
        """Return what the fp32 network gives on batches where int8 is compared with it."""

    def raw_outputs(
        self, model: Model, batch: dict[str, Array], reference: Reference
    ) -> list[Array]:
        """Return what a model gives on a batch where a reference was taken, in the same order.

        That is the outputs, or what goes into decisions that would hide or magnify small errors.
        """


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """A configuration of a network in the terms of another form of it.

    Attributes:
        config: The same decisions, with the names of that form's groups.
        statistics: The same statistics, with the names of its tensors.
        counterparts: Its groups to the groups that they were before, where there is one.
        reasons: Its groups that stay fp32 although they could be int8, and why.
        collected: Its tensors whose statistics had to be collected anew.
    """

    config: TuningConfig
    statistics: Statistics
    counterparts: Mapping[str, str]
    reasons: Mapping[str, str]
    collected: tuple[str, ...] = ()


class Transfer(Protocol):
    """The way from a tuned network to the same one for another runtime."""

    @property
    def backend(self) -> Backend:
        """The fp32 network in its other form."""

    def deviation(self, batch: dict[str, Array]) -> float:
        """Return how far the fp32 networks of both forms are apart on a batch.

        That is the root of the mean squared difference as a share of the root mean square, of the
        output where it is the largest.
        """

    def transfer(
        self,
        config: TuningConfig,
        statistics: Statistics,
        batches: Callable[[], Iterable[dict[str, Array]]],
    ) -> Transferred:
        """Return what a configuration is in the other form.

        Args:
            config: The configuration.
            statistics: What it was emitted with.
            batches: Yields the samples of the statistics again, where they lack a tensor.
        """
