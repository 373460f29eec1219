"""Trials as TensorBoard scalars, and the weights of both models as histograms.

TensorFlow's own summary functions need the package ``tensorboard``; its event writer does not.
Whoever looks at the records installs TensorBoard, and the run needs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.trackers.tracker import Tracker, final_figures

Weights = Callable[[Path], Iterable[tuple[str, NDArray[Any]]]]
"""Yields name and values of every weight in a model's file."""

_BINS = 64


class TensorBoardTracker(Tracker):
    """Writes event files; see `Tracker`.

    Args:
        folder: Where event files go; each session of a run adds one.
        groups: How many fusion groups can be int8.
        source: The fp32 model's file, or None.
        weights: Reads a model's weights, or None to leave histograms out.
    """

    name = "TensorBoard"

    def __init__(
        self, folder: Path, groups: int, *, source: Path | None, weights: Weights | None
    ) -> None:
        super().__init__(groups)
        self._folder = folder
        self._source = source
        self._weights = weights
        self._writer: Any = None

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Write scalars."""
        from tensorflow.core.framework import summary_pb2

        value = summary_pb2.Summary.Value
        values = [value(tag=f"trial/{n}", simple_value=number) for n, number in figures.items()]
        self._write(summary_pb2.Summary(value=values), step)

    def finished(self, report: Mapping[str, Any], model: Path, files: Sequence[Path]) -> None:
        """Write the final figures, and histograms of the weights of both models."""
        from tensorflow.core.framework import summary_pb2

        value = summary_pb2.Summary.Value
        figures = final_figures(report)
        values = [value(tag=name, simple_value=number) for name, number in figures.items()]
        self._write(summary_pb2.Summary(value=values), 0)
        if self._weights is None:
            return
        for kind, path in (("fp32", self._source), ("int8", model)):
            for name, array in self._weights(path) if path is not None else ():
                one = value(tag=f"weights/{kind}/{name}", histo=histogram(array))
                self._write(summary_pb2.Summary(value=[one]), 0)

    def ended(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, summary: Any, step: int) -> None:
        if self._writer is None:
            import tensorflow as tf

            with tf.Graph().as_default():  # this writer refuses to be made in eager mode
                self._writer = tf.compat.v1.summary.FileWriter(str(self._folder))
        self._writer.add_summary(summary, step)
        self._writer.flush()


def histogram(values: NDArray[Any]) -> Any:
    """Return a ``HistogramProto`` of 64 equal bins.

    Args:
        values: Any shape, finite, not empty.
    """
    from tensorflow.core.framework import summary_pb2

    flat = values.astype(np.float64).ravel()
    counts, edges = np.histogram(flat, bins=_BINS)
    return summary_pb2.HistogramProto(
        min=flat.min(),
        max=flat.max(),
        num=len(flat),
        sum=flat.sum(),
        sum_squares=float(flat @ flat),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )
