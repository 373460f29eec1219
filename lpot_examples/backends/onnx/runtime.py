"""Sessions of ONNX Runtime, and what its errors say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from lpot_examples.errors import ModelError
from lpot_examples.host import available_cores

LEVELS = onnxruntime.GraphOptimizationLevel

# Only errors: warnings of the runtime are about its own optimizations.
_ERRORS = 3


def session_options(*, threads: int | None = None) -> Any:
    """Return the options of every session here.

    Args:
        threads: Threads inside one op; None uses every core. The number is always given: without
            it the runtime would also pin threads to cores by itself.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or len(available_cores())
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    # Threads of a session spin for milliseconds after a run; whatever runs next would suffer.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def open_session(
    model: bytes | Path,
    options: Any,
    *,
    source: str,
    disabled: Sequence[str] = (),
) -> Any:
    """Open a session.

    Args:
        model: The network's file or content.
        options: See `session_options`.
        source: Where it came from, for messages.
        disabled: Names of the runtime's optimizers that shall not run.

    Raises:
        ModelError: If ONNX Runtime cannot run the network.
    """
    try:
        return onnxruntime.InferenceSession(
            str(model) if isinstance(model, Path) else model,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(disabled),
        )
    except Exception as error:  # its errors have no common base
        if not is_runtime_error(error):
            raise
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {source}: {said(error)}."
        ) from error


def is_runtime_error(error: Exception) -> bool:
    """Tell whether an exception is one of ONNX Runtime's own."""
    return type(error).__module__.startswith("onnxruntime.")


def said(error: Exception) -> str:
    """Return what an error of ONNX Runtime says, on one line, without where in its code."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"/\S*?(\w+\.(?:cc|h)):\d+ \S+ ", "", text)
    return text[:300].rstrip(". ")
