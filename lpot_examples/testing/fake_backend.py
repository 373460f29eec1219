"""A backend without a framework: networks of pure arithmetic, with known truth.

Every group of a `FakeNetwork` adds its own output error and its own loss of accuracy while it is
int8. So the best configuration is known, a whole run takes milliseconds, and whatever drives
backends (tuner, trials, journal, strategies) is tested for what it decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.base import (
    OpDecision,
    Progress,
    Reference,
    Transferred,
    exactness_of,
)
from lpot_examples.calibration.feed import Array, InputSpec, samples
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.conclusion import TuningResult
from lpot_examples.emission import Emission
from lpot_examples.errors import ModelError, OutputError
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.events import Listener
from lpot_examples.execution.choice import make_executor
from lpot_examples.forms import beside
from lpot_examples.graph import Group, Op, OpGraph, Precision, TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.search import build_space
from lpot_examples.spec import Spec, load_spec
from lpot_examples.tuner import Tuner
from lpot_examples.workspace import Workspace, open_workspace, replacing

_ALGORITHMS = {"minmax": 1.0, "percentile": 1.2, "mse": 1.1, "kl": 1.3}


@dataclass(frozen=True, kw_only=True)
class FakeNetwork:
    """What each group costs in int8.

    Attributes:
        harm: Group name to the accuracy it costs, in the metric's unit.
        error: Group name to the output error it adds; equal to its harm where it is not given.
        fp32_score: The score of the network as given.
        algorithms: Factor on all of this for each activation algorithm; the least is the best.
        unable: Names of the groups that cannot be int8.
        types: Group name to its op type; ``Conv2D`` where it is not given.
        suited: Group name to the one activation algorithm with which it does no harm.
    """

    harm: Mapping[str, float]
    error: Mapping[str, float] = field(default_factory=dict)
    fp32_score: float = 0.8
    algorithms: Mapping[str, float] = field(default_factory=lambda: _ALGORITHMS)
    unable: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    suited: Mapping[str, str] = field(default_factory=dict)

    @property
    def op_graph(self) -> OpGraph:
        """One group for each name, of 1000 multiply-accumulates."""
        return OpGraph(tuple(self._group(name) for name in self.harm))

    def score(self, config: TuningConfig) -> float:
        """Return the accuracy of a configuration."""
        return self.fp32_score - self._factor(config) * sum(
            self.harm[name] for name in self._int8(config)
        )

    def output_error(self, config: TuningConfig) -> float:
        """Return the label-free error of a configuration, as a probe measures it."""
        return self._factor(config) * sum(
            self.error.get(name, self.harm[name]) for name in self._int8(config)
        )

    def _factor(self, config: TuningConfig) -> float:
        # Any fixed preference does, as long as no two configurations are the same network.
        odd = 1 + 0.01 * config.equalization + 0.01 * (config.weight_algorithm != "minmax")
        return self.algorithms[config.activation_algorithm] * odd + 0.01 * (
            not config.bias_correction
        )

    def _int8(self, config: TuningConfig) -> list[str]:
        """Return the groups that are int8 and not in the form that suits them."""
        return [
            name
            for name in self.harm
            if name not in self.unable | config.fp32
            and config.algorithm(name) != self.suited.get(name)
        ]

    def _group(self, name: str) -> Group:
        able = name not in self.unable
        op_type = self.types.get(name, "Conv2D")
        return Group(
            name=name,
            type=op_type,
            ops=(Op(name, op_type),),
            precisions=(Precision.INT8, Precision.FP32) if able else (Precision.FP32,),
            reason="" if able else "it has no int8 kernel",
            macs=1000,
        )


@dataclass(frozen=True)
class FakeModel:
    """A network with its score. Its file is JSON."""

    score: float
    error: float
    config: Mapping[str, Any] | None = None

    def __call__(self, batch: Any) -> Array:
        """Return ones, off by as much as the output error says; float64 [samples, 2]."""
        count = len(next(iter(batch.values())) if isinstance(batch, Mapping) else batch)
        return np.full((count, 2), 1 + np.sqrt(self.error))

    def save(self, path: str | Path) -> Path:
        """Write to a file, whole or not at all.

        Raises:
            OutputError: If it cannot be written.
        """
        target = Path(path)
        text = json.dumps({"score": self.score, "error": self.error, "config": self.config})
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                temporary.write_text(text)
        except OSError as error:
            raise OutputError(f"cannot write the model to {target}: {error.strerror}.") from error
        return target

    def close(self) -> None:
        """Nothing is held."""


class FakeBackend:
    """See `backends.base.Backend`.

    Args:
        network: The fp32 network.

    Attributes:
        emitted: Digests of the configurations emitted, in order.
        calibrations: How many calibration passes were made.
    """

    engine = "fake"
    notes: tuple[str, ...] = ()
    suffix = ".fake"

    def __init__(self, network: FakeNetwork) -> None:
        self.network = network
        self.op_graph = network.op_graph
        self.emitted: list[str] = []
        self.calibrations = 0

    @property
    def op_types(self) -> Mapping[str, str]:
        """The type of every group's one op."""
        return {group.name: group.type for group in self.op_graph.groups}

    @property
    def input_spec(self) -> InputSpec:
        """One input ``input`` of float32 [any, 3]."""
        return {"input": ((None, 3), np.dtype(np.float32))}

    def baseline(self) -> FakeModel:
        """Return the network as given."""
        return FakeModel(self.network.fp32_score, 0.0)

    def calibrate(
        self,
        batches: Iterable[dict[str, Array]],
        *,
        sizes: Sequence[int],
        progress: Progress | None = None,
    ) -> dict[int, Statistics]:
        """Count the samples."""
        self.calibrations += 1
        seen = 0
        for batch in batches:
            seen += samples(batch)
            if progress is not None:
                progress(seen)
        return {size: Statistics({}, min(size, seen)) for size in sizes}

    def emit(self, config: TuningConfig, statistics: Statistics) -> FakeModel:
        """Return the network of a configuration."""
        self.emitted.append(config.digest())
        network = self.network
        return FakeModel(network.score(config), network.output_error(config), config.to_dict())

    def load(self, path: Path) -> FakeModel:
        """Read a file; see `read_fake`."""
        return read_fake(path)

    def reader(self, *, given: bool = False) -> Callable[[Path], FakeModel]:
        """Return what reads a file."""
        return read_fake

    def explain(
        self, config: TuningConfig, statistics: Statistics, reverted: Mapping[str, str]
    ) -> list[OpDecision]:
        """Return every op's precision and reason."""
        return [
            OpDecision(
                name=group.name,
                type=group.type,
                group=group.name,
                precision="fp32" if self._kept(group, config) else "int8",
                reason=group.reason or reverted.get(group.name, "fake kernel"),
            )
            for group in self.op_graph.groups
        ]

    def exactness(self, config: TuningConfig, statistics: Statistics) -> dict[str, list[str]]:
        """Return that no group could saturate anywhere."""
        return exactness_of(self.explain(config, statistics, {}))

    def latencies(
        self, config: TuningConfig, statistics: Statistics, batch: dict[str, Array]
    ) -> None:
        """Return None: there is nothing to time."""

    def references(self, batches: Sequence[dict[str, Array]]) -> list[Reference]:
        """Return the fp32 network's output on each batch."""
        fp32 = self.baseline()
        return [Reference([fp32(batch)]) for batch in batches]

    def raw_outputs(self, model: Any, batch: dict[str, Array], reference: Reference) -> list[Array]:
        """Return the one output."""
        return [model(batch)]

    @staticmethod
    def _kept(group: Group, config: TuningConfig) -> bool:
        return not group.quantizable or group.name in config.fp32


def read_fake(path: Path) -> FakeModel:
    """Read a network's file.

    Raises:
        ModelError: If it is not one of these.
    """
    try:
        return FakeModel(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is not a fake network: {error}.") from error


class FakeTransfer:
    """To a network in another form; see `backends.base.Transfer`.

    Args:
        network: That network.
        known: Names of its groups that have a counterpart, of the same name.
        deviation: How far both fp32 networks are apart.
    """

    def __init__(
        self, network: FakeNetwork, *, known: Sequence[str] | None = None, deviation: float = 0.0
    ) -> None:
        self.backend = FakeBackend(network)
        self._known = tuple(network.harm) if known is None else tuple(known)
        self._deviation = deviation

    def deviation(self, batch: dict[str, Array]) -> float:
        """Return what was said; it is asked of a single sample."""
        assert samples(batch) == 1
        return self._deviation

    def transfer(
        self,
        config: TuningConfig,
        statistics: Statistics,
        batches: Callable[[], Iterable[dict[str, Array]]],
    ) -> Transferred:
        """Return the same configuration, with the groups that are not known in fp32."""
        new = [name for name in self.backend.network.harm if name not in self._known]
        return Transferred(
            config=config.with_fp32(new),
            statistics=statistics,
            counterparts={name: name for name in self._known},
            reasons=dict.fromkeys(new, "nothing corresponds to it"),
        )


Emissions = Callable[[Workspace, Spec, Journal, Listener], Sequence[Emission]]


def emitting(transfer: FakeTransfer) -> Emissions:
    """Return what `tune_fake` takes to make a form ``other`` of the result, for ``another``."""

    def made(
        workspace: Workspace, spec: Spec, journal: Journal, listener: Listener
    ) -> list[Emission]:
        return [
            Emission(
                form="other",
                runtime="another",
                transfer=transfer,
                dataloader=[],
                spec=spec,
                workspace=replace(workspace, output=beside(workspace.output, ".other")),
                journal=journal,
                listener=listener,
                benchmark_seconds=0,
            )
        ]

    return made


def tune_fake(
    network: FakeNetwork,
    folder: Path,
    *,
    spec: Mapping[str, Any] | None = None,
    dataloader: Iterable[Any] | None = None,
    eval_func: Callable[..., Any] | None = lambda model: model.score,
    output: Path | None = None,
    listener: Listener | None = None,
    backend: FakeBackend | None = None,
    workers: int = 0,
    trial_timeout: float = 0.0,
    emissions: Emissions | None = None,
) -> TuningResult:
    """Tune a fake network as `quantization.tune` tunes a real one.

    Args:
        network: The network.
        folder: The workspace.
        spec: Dotted keys of the spec, such as ``tuning.exit_policy.max_trials``, and values.
        dataloader: Calibration data; 40 samples by default, of which 8 calibrate.
        eval_func: Scores a model; by default the truth.
        output: The result's file; by default in the workspace.
        listener: Told of everything.
        backend: The network's backend, to be looked at afterwards.
        workers: Processes that evaluate; 0 for this one.
        trial_timeout: Seconds that an evaluation may take in a worker; 0 for no limit.
        emissions: Returns what makes further forms of the result; see `emitting`.

    Raises:
        LpotError: As `quantization.tune`.
    """
    given = {
        "model": {"name": "fake", "framework": "tensorflow"},
        "quantization": {"calibration": {"sampling_size": 8}},
    }
    overrides = {"tuning.workspace.path": str(folder), **(spec or {})}
    loaded = load_spec(given, overrides=overrides)
    backend = backend or FakeBackend(network)
    only_performance = loaded.tuning.exit_policy.performance_only
    evaluator = None if eval_func is None or only_performance else Evaluator(eval_func)
    space = build_space(backend.op_graph, backend.op_types, loaded)
    identity = {"network": repr(network), "spec": loaded.fingerprint()}
    workspace = open_workspace(loaded, identity, output=output, suffix=backend.suffix, room=0)
    journal = Journal(workspace.journal, identity)
    executor = None
    try:
        workspace.sweep()
        if eval_func is not None and evaluator is not None:
            executor = make_executor(
                eval_func, evaluator, workers=workers, trial_timeout=trial_timeout
            )
        return Tuner(
            backend=backend,
            space=space,
            spec=loaded,
            dataloader=[np.ones((4, 3), np.float32)] * 10 if dataloader is None else dataloader,
            evaluator=evaluator,
            executor=executor,
            workspace=workspace,
            journal=journal,
            source=None,
            calibration_key="fake",
            listener=(listener := listener or Listener()),
            runtime="fake",
            emissions=() if emissions is None else emissions(workspace, loaded, journal, listener),
        ).run()
    finally:
        if executor is not None:
            executor.close()
        journal.close()
