"""The ONNX backend as the tuner sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from lpot_examples.backends.onnx.calibrate import collect
from lpot_examples.backends.onnx.clean import OPSET, clean, named
from lpot_examples.backends.onnx.compared import compared_tensors
from lpot_examples.backends.onnx.dynamic import DynamicEmitter
from lpot_examples.backends.onnx.emit import Emitter
from lpot_examples.backends.onnx.explain import decisions
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup, find_groups
from lpot_examples.backends.onnx.kernels import QUANTIZED
from lpot_examples.backends.onnx.model import OnnxModel, is_large, load_model
from lpot_examples.backends.onnx.profile import measure
from lpot_examples.backends.onnx.proto import Array, opset
from lpot_examples.calibration.feed import InputSpec
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EmitError, ModelError
from lpot_examples.graph import LatencyMap, Op, OpGraph, TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, InstructionSet


class OnnxBackend:
    """An fp32 ONNX network and everything derived from it.

    Args:
        model: The network as given, with its weights in memory; never changed.
        isa: The instruction set to emit int8 kernels for.
        dynamic: Whether ranges are taken while the network runs, of matrix products only.

    Raises:
        ModelError: If the network is quantized already, cannot be run, or holds nothing that an
            int8 kernel could run.
    """

    engine = "lpot"
    suffix = ".onnx"

    def __init__(self, model: OnnxModel, isa: InstructionSet, *, dynamic: bool = False) -> None:
        self._model = model
        self._dynamic = dynamic
        _refuse_quantized(model)
        self._graph = Graph(clean(model.proto, outputs=model.output_names, source=model.source))
        self._grouping = find_groups(self._graph, dynamic=dynamic)
        self._static = Emitter(self._graph, self._grouping, isa)
        self._at_run_time = DynamicEmitter(self._graph, self._grouping, isa)
        self.op_graph = OpGraph(self._grouping.described, self._others())
        require_quantizable(self.op_graph, model.source)

    @cached_property
    def op_types(self) -> Mapping[str, str]:
        """Type by name of every op of the network as given, local functions inlined."""
        given = {node.name: node.op_type for node in named(self._model.proto).graph.node}
        found = {op.name: op.type for group in self.op_graph.groups for op in group.ops}
        return given | found

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the network was prepared."""
        version = opset(self._model.proto)
        if version >= OPSET:
            return ()
        return (
            f"the network is of opset {version}; the int8 one is of opset {OPSET}, the first with "
            "weight scales per channel.",
        )

    @property
    def input_spec(self) -> InputSpec:
        """Shape and dtype by input name."""
        return {name: self._model.input_spec(name) for name in self._model.input_names}

    @property
    def graph(self) -> Graph:
        """The cleaned fp32 network."""
        return self._graph

    @property
    def groups(self) -> Mapping[str, ComputeGroup]:
        """The groups that can run in int8, by name."""
        return self._grouping.compute

    @property
    def observed(self) -> list[str]:
        """The tensors whose ranges a configuration may need."""
        return self._static.observed

    @cached_property
    def channel_axes(self) -> Mapping[str, int]:
        """Those whose channels are observed, and the axis of these."""
        axes: dict[str, int] = {}
        for group in self._grouping.compute.values():
            if group.op != "MatMul":
                axes.setdefault(group.source, group.source_axis)
            if group.op == "Conv":
                axes[group.output] = 1
        return axes

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
        return collect(
            self._graph.proto,
            self.observed,
            batches,
            sizes=sizes,
            axes=self.channel_axes,
            progress=progress,
        )

    def emit(self, config: TuningConfig, statistics: Statistics) -> OnnxModel:
        """Return the int8 network of a configuration.

        Raises:
            EmitError: If it does not fit one file, which is what results are.
        """
        if self._dynamic:
            proto = self._at_run_time.emit(config)
        else:
            proto = self._static.emit(config, statistics).proto
        if is_large(proto):
            raise EmitError(
                f"with {len(config.fp32)} groups in fp32 the network takes "
                f"{proto.ByteSize() / 1e9:.1f} GB, and results must fit one file of 2 GB; let more "
                "groups be int8."
            )
        return self._wrap(proto)

    def latencies(
        self, config: TuningConfig, statistics: Statistics, batch: Mapping[str, Array]
    ) -> LatencyMap:
        """Time every op on this host in fp32, and in int8 where a configuration has it in int8.

        Args:
            config: Says which groups may be int8.
            statistics: Of a calibration.
            batch: One batch, by input name.
        """
        groups, plan = self._at_run_time.active(config), None
        if self._dynamic:
            int8 = self._at_run_time.emit(config)
        else:
            emitted = self._static.emit(config, statistics)
            int8, plan, groups = emitted.proto, emitted.plan, dict(emitted.plan.groups)
        return measure(self._graph, groups, int8=int8, plan=plan, batch=batch, spec=self.input_spec)

    def load(self, path: Path) -> OnnxModel:
        """Read a network with the inputs and outputs of this one."""
        return self.reader()(path)

    def reader(self, *, given: bool = False) -> Callable[[Path], OnnxModel]:
        """Return a function that reads such networks and can be pickled."""
        inputs, outputs = self._model.input_names, self._model.output_names
        return partial(load_model, inputs=inputs, outputs=outputs)

    def explain(
        self, config: TuningConfig, statistics: Statistics, reverted: Mapping[str, str]
    ) -> list[OpDecision]:
        """Return every op's precision and reason."""
        followers: frozenset[str] = frozenset()
        bits = self._at_run_time.bits(config)
        if not self._dynamic:
            emitted = self._static.emit(config, statistics)
            bits, followers = emitted.weight_bits, emitted.plan.followers
        return decisions(
            self._graph,
            self._grouping,
            weight_bits=bits,
            followers=followers,
            reverted=reverted,
            fragile=self._fragile(config, statistics, INSTRUCTION_SETS["avx2"]),
            dynamic=self._dynamic,
        )

    def exactness(self, config: TuningConfig, statistics: Statistics) -> dict[str, list[str]]:
        """Return by instruction set the groups whose kernels could saturate there."""
        return exactness_by(partial(self._fragile, config, statistics))

    def references(self, batches: Sequence[dict[str, Array]]) -> list[Reference]:
        """Return what the fp32 network gives on batches where int8 is compared with it."""
        fp32 = self._wrap(self._graph.proto)
        try:
            found = [fp32.run(self._compared, batch) for batch in batches]
        finally:
            fp32.close()
        return references_of(found, inner=self._compared != self._graph.outputs)

    def raw_outputs(
        self, model: Model, batch: dict[str, Array], reference: Reference
    ) -> list[Array]:
        """Return what a model gives on a batch where a reference was taken."""
        assert isinstance(model, OnnxModel)
        return without_shared(reference, model.run(self._compared, batch))

    @cached_property
    def _compared(self) -> tuple[str, ...]:
        names = (op.name for group in self.op_graph.quantizable for op in group.ops)
        return compared_tensors(self._graph, names)

    def _fragile(
        self, config: TuningConfig, statistics: Statistics, isa: InstructionSet
    ) -> frozenset[str]:
        if self._dynamic:
            return self._at_run_time.fragile(config, isa)
        return self._static.fragile(config, statistics, isa)

    def _wrap(self, proto: Any) -> OnnxModel:
        inputs, outputs = self._model.input_names, self._model.output_names
        return OnnxModel(proto, inputs=inputs, outputs=outputs)

    def _others(self) -> tuple[Op, ...]:
        grouped = {op.name for group in self._grouping.described for op in group.ops}
        return tuple(
            Op(name, node.op_type)
            for name, node in self._graph.nodes.items()
            if name not in grouped
        )


def _refuse_quantized(model: OnnxModel) -> None:
    for node in model.proto.graph.node:
        if node.op_type.startswith(QUANTIZED):
            raise ModelError(
                f"{model.source} is already quantized (node '{node.name or node.output[0]}' is a "
                f"{node.op_type}); give the fp32 model it was made from."
            )
