"""How each runtime loads a model and runs it with a given number of threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = list[Array]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A model ready to run.

    Attributes:
        run: From a batch to the outputs, in the order of their names in the frozen graph.
        facts: What the runtime says of itself.
    """

    run: Callable[[NDArray[np.float32]], Outputs]
    facts: dict[str, Any] = field(default_factory=dict)


def tensorflow(
    path: Path, *, inputs: Sequence[str], outputs: Sequence[str], threads: int, batch: int
) -> Opened:
    """Load a frozen graph with the session options of a shipped file; any batch size."""
    del batch
    from lpot_examples.backends.tensorflow.model import load_model
    from lpot_examples.host import host_info

    model = load_model(path, inputs=inputs, outputs=outputs, threads=threads)
    assert model.session is not None  # made now, so that it counts as loading
    host = host_info()
    facts = {"oneDNN ops": "on" if host.onednn else "off", "instruction set": host.isa}
    return Opened(run=lambda images: model.run(outputs, images), facts=facts)


def onnxruntime(
    path: Path, *, inputs: Sequence[str], outputs: Sequence[str], threads: int, batch: int
) -> Opened:
    """Load an ONNX file with all graph optimizations, the default; any batch size."""
    del batch
    import onnxruntime as ort

    from lpot_examples.host import host_info

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its threads must not go on spinning while the next model is timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [f"{name}:0" for name in outputs]
    feed = f"{inputs[0]}:0"
    # Its kernels are not oneDNN's, and ONEDNN_MAX_CPU_ISA does not limit them.
    facts = {"instruction set": host_info().cpu_isa}
    return Opened(run=lambda images: list(session.run(names, {feed: images})), facts=facts)


def openvino(
    path: Path, *, inputs: Sequence[str], outputs: Sequence[str], threads: int, batch: int
) -> Opened:
    """Compile a model for one batch size, which is faster than a free one, and low latency."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(path)
    shape = model.inputs[0].partial_shape
    shape[0] = batch
    model.reshape(shape)
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    compiled = core.compile_model(model, "CPU", config)
    request = compiled.create_infer_request()
    ports = [compiled.output(f"{name}:0") for name in outputs]
    feed = compiled.input(f"{inputs[0]}:0")

    def run(images: NDArray[np.float32]) -> Outputs:
        request.infer({feed: images}, share_inputs=True)
        return [request.get_tensor(port).data for port in ports]

    precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    facts = {"ops that are not int8": precision, "kernels of convolutions": _kernels(compiled)}
    return Opened(run=run, facts=facts)


def _kernels(compiled: Any) -> dict[str, int]:
    """Count the kernels that run a compiled model's convolutions; names tell instruction sets."""
    counts: Counter[str] = Counter()
    for op in compiled.get_runtime_model().get_ops():
        info = op.get_rt_info()
        if str(info["layerType"].value).startswith(("Convolution", "GroupConvolution")):
            counts[str(info["primitiveType"].value)] += 1
    return dict(counts.most_common())


RUNTIMES: Mapping[str, Callable[..., Opened]] = {
    "tensorflow": tensorflow,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
}
"""Loaders, by the name of the runtime's Python module."""

FIXED_BATCH = frozenset({"openvino"})
"""Runtimes whose loaders make a model for one batch size only."""
