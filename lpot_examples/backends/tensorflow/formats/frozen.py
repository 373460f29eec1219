"""Frozen graphs: one file, weights and all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lpot_examples.backends.tensorflow.graphdef import read_graph_def
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.validate import check_graph


def load_frozen(
    path: Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
    fast_start: bool = False,
) -> TensorFlowModel:
    """Read a frozen ``.pb`` file.

    Args:
        path: The file.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        threads: Threads inside one op; None uses every core.
        fast_start: See `runtime.session_config`.

    Raises:
        ModelError: If the file is missing, is no frozen graph, is damaged, or lacks the names.
    """
    graph_def = read_graph_def(path)
    check_graph(graph_def, str(path))
    return TensorFlowModel(
        graph_def,
        inputs=inputs,
        outputs=outputs,
        threads=threads,
        fast_start=fast_start,
        source=str(path),
        checked=True,
    )
