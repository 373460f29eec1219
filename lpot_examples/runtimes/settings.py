"""What to write in one's own program so that a runtime runs a network as it was measured here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_CALLS: Mapping[str, Callable[[int], str]] = {
    "tensorflow": lambda threads: (
        f"tf.compat.v1.ConfigProto(intra_op_parallelism_threads={threads}, "
        "inter_op_parallelism_threads=1)"
    ),
    "onnxruntime": lambda threads: (
        f"SessionOptions with intra_op_num_threads = {threads}, inter_op_num_threads = 1, "
        'add_session_config_entry("session.force_spinning_stop", "1")'
    ),
    "openvino": lambda threads: (
        'compile_model(…, "CPU", {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, '
        f'"INFERENCE_NUM_THREADS": {threads}, "ENABLE_HYPER_THREADING": True, '
        '"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})'
    ),
}


def settings(runtime: str, *, threads: int) -> str:
    """Return the settings of a runtime's programming interface.

    Args:
        runtime: Its name in `RUNTIMES`.
        threads: Threads of a process.
    """
    return _CALLS[runtime](threads)
