"""The TensorFlow backend as the tuner sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import (
    Model,
    OpDecision,
    Progress,
    Reference,
    exactness_by,
    require_quantizable,
)
from lpot_examples.backends.comparison import references_of, without_shared
from lpot_examples.backends.tensorflow.calibrate import collect
from lpot_examples.backends.tensorflow.compared import Compared, compared_tensors
from lpot_examples.backends.tensorflow.emit import Emitted, Emitter
from lpot_examples.backends.tensorflow.explain import decisions
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.groups import ComputeGroup, find_groups
from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.backends.tensorflow.passes import clean
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.sources import observed_tensors
from lpot_examples.calibration.feed import Array, InputSpec
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import ModelError
from lpot_examples.graph import Op, OpGraph, TuningConfig
from lpot_examples.graph.latency import LatencyMap
from lpot_examples.host import InstructionSet


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The cleaned fp32 network, for other forms of it.

    Attributes:
        model: It.
        graph: It, as an index.
        groups: The groups that can run in int8, by name.
        observed: The tensors that statistics are collected of.
        compared: Where int8 networks are compared with it; see `compared.compared_tensors`.
    """

    model: TensorFlowModel
    graph: Graph
    groups: Mapping[str, ComputeGroup]
    observed: Sequence[str]
    compared: Compared


class TensorFlowBackend:
    """An fp32 frozen graph and everything derived from it.

    Args:
        model: The network as given; never changed.
        isa: The instruction set to emit int8 kernels for.

    Raises:
        ModelError: If the network holds nothing that an int8 kernel could run.
    """

    engine = "lpot"
    suffix = ".pb"

    def __init__(self, model: TensorFlowModel, isa: InstructionSet) -> None:
        self._model = model
        self._isa = isa
        model.check()
        self._refuse_quantized(model)
        self._model.graph  # noqa: B018 (TensorFlow must be able to import it)
        self._graph = Graph(model.graph_def, inputs=model.input_names, outputs=model.output_names)
        self._graph.remove_unreachable()
        self._passes = clean(self._graph)
        self._shapes = Shapes(self._graph)
        self._grouping = find_groups(self._graph, self._shapes)
        self._emitter = Emitter(self._graph, self._grouping, self._shapes, isa)
        self.op_graph = OpGraph(self._grouping.described, self._others())
        require_quantizable(self.op_graph, model.source)

    @property
    def op_types(self) -> Mapping[str, str]:
        """Type by name of every op of the network as given, and of those in its functions."""
        given = {node.name: node.op for node in self._model.graph_def.node}
        inlined = {op.name: op.type for group in self.op_graph.groups for op in group.ops}
        return given | inlined

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the network was prepared."""
        applied, notes = self._passes.applied, []
        if count := applied["strip_fake_quant"]:
            notes.append(
                f"the network went through quantization-aware training: {count} FakeQuant ops were "
                "dropped from the int8 network, which rounds by itself; its "
                "ranges come from calibration, not from training. The fp32 network keeps them."
            )
        if count := applied["convert_layout"]:
            notes.append(
                f"{count} ops were converted from the layout NCHW to NHWC, for "
                "which there are int8 kernels on CPU."
            )
        return tuple(notes)

    @property
    def input_spec(self) -> InputSpec:
        """Shape and dtype by input name."""
        return {name: self._model.input_spec(name) for name in self._model.input_names}

    def baseline(self) -> Model:
        """Return the network as given."""
        return self._model

    def calibrate(
        self,
        batches: Iterable[dict[str, Array]],
        *,
        sizes: Sequence[int],
        progress: Progress | None = None,
    ) -> dict[int, Statistics]:
        """Collect the statistics of every tensor that an int8 kernel could read or make."""
        tensors, by_channel = self._observed
        return collect(
            self._graph.to_graph_def([*by_channel, *self._graph.inputs]),
            tensors,
            batches,
            sizes=sizes,
            progress=progress,
            channel_tensors=by_channel,
        )

    @property
    def cleaned(self) -> Cleaned:
        """The cleaned fp32 network."""
        return Cleaned(
            model=self._wrap(self._graph.to_graph_def(), fast_start=False),
            graph=self._graph,
            groups=self._grouping.compute,
            observed=self._observed[1],
            compared=self._compared,
        )

    def emit(self, config: TuningConfig, statistics: Statistics) -> TensorFlowModel:
        """Return the int8 network of a configuration, ready for a quick start."""
        emitted = self._emitter.emit(config, statistics)
        return self._wrap(emitted.graph_def, fast_start=True)

    def latencies(
        self, config: TuningConfig, statistics: Statistics, batch: Mapping[str, Array]
    ) -> LatencyMap:
        """Time every choice of precision on this host; ``config`` says what may be int8."""
        from lpot_examples.backends.tensorflow.profile import measure

        return measure(
            self._graph,
            self._shapes,
            self._emitter.emit(config, statistics),
            fp32_def=self._graph.to_graph_def(),
            feed=batch,
            outputs=self._model.output_names,
        )

    def load(self, path: Path) -> TensorFlowModel:
        """Read a network with the inputs and outputs of this one."""
        return self.reader()(path)

    def reader(self, *, given: bool = False) -> Callable[[Path], TensorFlowModel]:
        """Return a function that reads such networks and can be pickled."""
        inputs, outputs = self._model.input_names, self._model.output_names
        return partial(load_model, inputs=inputs, outputs=outputs, fast_start=not given)

    def explain(
        self, config: TuningConfig, statistics: Statistics, reverted: Mapping[str, str]
    ) -> list[OpDecision]:
        """Return every op's precision and reason."""
        emitted: Emitted = self._emitter.emit(config, statistics)
        fragile = self._emitter.fragile(config, emitted.plan)
        return decisions(self._graph, self._grouping, emitted, reverted, fragile)

    def exactness(self, config: TuningConfig, statistics: Statistics) -> dict[str, list[str]]:
        """Return by instruction set the groups whose kernels could saturate there."""
        plan = self._emitter.plan(config, statistics)
        return exactness_by(partial(self._emitter.fragile, config, plan))

    def references(self, batches: Sequence[dict[str, Array]]) -> list[Reference]:
        """Return what the fp32 network gives on batches where int8 is compared with it."""
        fp32 = self._wrap(self._graph.to_graph_def(), fast_start=False)
        wanted = self._compared
        try:
            found = [fp32.run((*wanted.fetched, *wanted.given), batch) for batch in batches]
        finally:
            fp32.close()
        return references_of(found, given=wanted.given, inner=wanted.inner)

    def raw_outputs(
        self, model: Model, batch: dict[str, Array], reference: Reference
    ) -> list[Array]:
        """Return what a model gives on a batch where a reference was taken."""
        assert isinstance(model, TensorFlowModel)
        found = model.run(self._compared.fetched, batch, given=reference.given)
        return without_shared(reference, found)

    @cached_property
    def _observed(self) -> tuple[list[str], list[str]]:
        """The tensors whose ranges are collected, and those whose channels are."""
        groups = self._grouping.compute.values()
        tensors = observed_tensors(self._graph, groups)
        return tensors, sorted({*tensors, *(group.source for group in groups)})

    @cached_property
    def _compared(self) -> Compared:
        return compared_tensors(
            self._graph, (op.name for group in self.op_graph.quantizable for op in group.ops)
        )

    def _wrap(self, graph_def: Any, *, fast_start: bool) -> TensorFlowModel:
        return TensorFlowModel(
            graph_def,
            inputs=self._model.input_names,
            outputs=self._model.output_names,
            fast_start=fast_start,
        )

    def _others(self) -> tuple[Op, ...]:
        grouped = {op.name for group in self._grouping.described for op in group.ops}
        return tuple(
            Op(node.name, node.op)
            for node in self._graph
            if node.name not in grouped and node.op != "Const"
        )

    @staticmethod
    def _refuse_quantized(model: TensorFlowModel) -> None:
        for node in model.graph_def.node:
            if node.op.lstrip("_").startswith(("Quantized", "FusedQuantized")):
                raise ModelError(
                    f"{model.source} is already quantized (node '{node.name}' is a {node.op}); "
                    "give the fp32 model it was made from."
                )
