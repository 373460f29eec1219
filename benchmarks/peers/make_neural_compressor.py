"""Makes Neural Compressor's int8 graph with its default static quantization."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from peers.task import CALIBRATION, Task, run

_BATCH = 8


class Loader:
    """Calibration data as Neural Compressor takes them: batches of (images, labels)."""

    batch_size = _BATCH

    def __init__(self, task: Task) -> None:
        self._task = task

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield the batches."""
        for images in self._task.batches(_BATCH):
            yield images, [0] * len(images)

    def __len__(self) -> int:
        """The number of batches."""
        return CALIBRATION // _BATCH


def make(task: Task) -> None:
    """Write the int8 graph."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # it makes legacy ops, which exist in oneDNN alone
    with task.stage("import"):
        from neural_compressor.tensorflow import Model, StaticQuantConfig, quantize_model

    model = Model(str(task.fp32))
    model.input_tensor_names = list(task.inputs)
    model.output_tensor_names = list(task.outputs)
    with task.stage("quantize"):
        made = quantize_model(
            model, StaticQuantConfig(), Loader(task), calib_iteration=CALIBRATION // _BATCH
        )
    graph_def = made.graph_def
    temporary = task.target.with_suffix(".tmp")
    temporary.write_bytes(graph_def.SerializeToString())
    temporary.replace(task.target)
    ops = Counter(node.op for node in graph_def.node)
    task.facts = {
        "boundaries": {op: ops[op] for op in ("QuantizeV2", "Dequantize")},
        "quantized ops": {op: n for op, n in sorted(ops.items()) if "Quantized" in op},
    }


if __name__ == "__main__":
    run(make)
