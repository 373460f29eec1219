"""Makes our int8 graph: what a search tries first.

Everything that may be is int8, but for the groups that are clearly faster in fp32 on this host, as
measured, in a calibration that needs no search.
"""

from __future__ import annotations

from collections import Counter

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, host_info
from lpot_examples.search.allocation import allocate
from peers.task import Task, run

_BATCH = 8

# As in the default strategy: a smaller advantage of fp32 is noise.
_MARGIN = 0.05


def make(task: Task) -> None:
    """Write the int8 graph for the instruction set of this machine."""
    isa = INSTRUCTION_SETS[host_info().isa]
    model = load_model(task.fp32, inputs=task.inputs, outputs=task.outputs)
    with task.stage("analyse"):
        backend = TensorFlowBackend(model, isa)
    batches = ({model.input_names[0]: images} for images in task.batches(_BATCH))
    images = len(task.calibration())
    with task.stage("calibrate"):
        statistics = backend.calibrate(batches, sizes=[images])[images]
    config = TuningConfig(equalization=0.5, bias_correction=True, samples=images)
    with task.stage("time every op"):
        sample = {model.input_names[0]: task.calibration()[:1]}
        costs = backend.latencies(config, statistics, sample)
        config = config.with_fp32(costs.groups - allocate(costs.favouring_int8(_MARGIN)))
    with task.stage("emit"):
        emitted = backend.emit(config, statistics)
    emitted.save(task.target)
    ops = Counter(node.op for node in emitted.graph_def.node)
    task.facts = {
        "isa": isa.name,
        "groups": len(backend.op_graph.groups),
        "int8 groups": len(backend.op_graph.quantizable),
        "boundaries": {op: ops[op] for op in ("QuantizeV2", "Dequantize")},
        "fp32 groups": len(config.fp32),
        "config": config.to_dict(),
    }


if __name__ == "__main__":
    run(make)
