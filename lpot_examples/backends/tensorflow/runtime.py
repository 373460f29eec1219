"""TensorFlow imported late and quietly, and the session options used here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

# TensorFlow imports it as its last act, and with it Keras, scikit-learn, SciPy and Matplotlib.
_KERAS = "keras.src.optimizers"


@cache
def import_tensorflow() -> Any:
    """Import TensorFlow with its start-up messages silenced, and without Keras.

    A user's own ``TF_CPP_MIN_LOG_LEVEL`` is respected. The C++ runtime writes a few lines before
    it reads that variable, so standard error is held back during the import itself. Keras is left
    to those who use it: ``tensorflow.keras`` imports it then.

    Returns:
        The ``tensorflow`` module.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    quiet = os.environ["TF_CPP_MIN_LOG_LEVEL"] != "0"
    with _StderrHeld() if quiet else nullcontext(), _keras_left_out():
        import tensorflow as tf
    if quiet:
        tf.get_logger().setLevel("ERROR")
    return tf


@contextmanager
def _keras_left_out() -> Iterator[None]:
    """Let the import of what TensorFlow wants of Keras fail, which TensorFlow allows for."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules[_KERAS] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_KERAS]


class _StderrHeld:
    """Hold back file descriptor 2; what was written is shown only if the block raises."""

    def __enter__(self) -> None:
        import tempfile

        sys.stderr.flush()
        self._held = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self._saved = os.dup(2)
        os.dup2(self._held.fileno(), 2)

    def __exit__(self, kind: object, *_: object) -> None:
        sys.stderr.flush()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        if kind is not None:
            self._held.seek(0)
            os.write(2, self._held.read())
        self._held.close()


def session_config(
    *, threads: int | None = None, fast_start: bool = False, nchw: bool = False
) -> Any:
    """Options for a ``tf.compat.v1.Session``.

    Args:
        threads: Threads inside one op; None uses every core this process may run on.
        fast_start: Skip every graph optimizer but operator fusion. A session then starts several
            times sooner and an int8 graph runs as fast, because it is already fused; meant for
            trials.
        nchw: Let TensorFlow convert ops of the layout NCHW, most of which have no CPU kernel.

    Returns:
        A ``ConfigProto``.
    """
    tf = import_tensorflow()
    cores = threads or len(os.sched_getaffinity(0))
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=cores,
        inter_op_parallelism_threads=1,
        device_count={"GPU": 0},
    )
    rewrite = config.graph_options.rewrite_options
    if fast_start:
        rewrite.optimizers.extend(["layout", "remap"] if nchw else ["remap"])
        rewrite.meta_optimizer_iterations = 1
    if nchw:
        rewrite.cpu_layout_conversion = rewrite.NCHW_TO_NHWC
        rewrite.min_graph_nodes = -1
    return config
