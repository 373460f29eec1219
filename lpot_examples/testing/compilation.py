"""The whole compiler in one object, for tests that start from a bare ``GraphDef``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.tensorflow.calibrate import collect
from lpot_examples.backends.tensorflow.emit import Emitted, Emitter
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.groups import Grouping, find_groups
from lpot_examples.backends.tensorflow.passes import PassReport, clean
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.sources import observed_tensors
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, InstructionSet, host_info


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """A network that went through passes, grouping and calibration.

    Attributes:
        graph: The cleaned graph.
        graph_def: The cleaned graph's ``GraphDef``.
        report: What the passes did.
        shapes: Its static shapes.
        grouping: Its fusion groups.
        statistics: Of every observed tensor.
        emitter: Makes int8 graphs of it.
    """

    graph: Graph
    graph_def: Any
    report: PassReport
    shapes: Shapes
    grouping: Grouping
    statistics: Statistics
    emitter: Emitter

    def emit(self, config: TuningConfig | None = None) -> Emitted:
        """Build the graph of a configuration; everything in int8 by default."""
        return self.emitter.emit(config or TuningConfig(), self.statistics)


def compile_graph(
    graph_def: Any,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    batches: Sequence[dict[str, Any]],
    isa: InstructionSet | None = None,
) -> Compilation:
    """Take a graph up to the point where configurations can be emitted.

    Args:
        graph_def: A frozen fp32 graph; not changed.
        inputs: Input node names.
        outputs: Output tensor names.
        batches: Calibration batches: arrays by input name.
        isa: What to emit for; this machine, as oneDNN sees it, by default.
    """
    graph = Graph(graph_def, inputs=inputs, outputs=outputs)
    report = clean(graph)
    cleaned = graph.to_graph_def()
    shapes = Shapes(cleaned)
    grouping = find_groups(graph, shapes)
    observed = observed_tensors(graph, grouping.compute.values())
    statistics = Statistics({}, 0)
    if observed:
        by_channel = {*observed, *(group.source for group in grouping.compute.values())}
        statistics = collect(
            cleaned, observed, batches, sizes=[1 << 30], channel_tensors=sorted(by_channel)
        )[1 << 30]
    target = isa or INSTRUCTION_SETS[host_info().isa]
    return Compilation(
        graph=graph,
        graph_def=cleaned,
        report=report,
        shapes=shapes,
        grouping=grouping,
        statistics=statistics,
        emitter=Emitter(graph, grouping, shapes, target),
    )
