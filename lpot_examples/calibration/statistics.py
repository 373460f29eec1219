"""The statistics of a network's tensors, and their file form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.calibration.channels import ChannelStatistics
from lpot_examples.calibration.histogram import Histogram
from lpot_examples.calibration.ranges import ALGORITHMS, Range


@dataclass(frozen=True)
class Statistics:
    """Histograms by tensor name, for one number of calibration samples.

    Attributes:
        tensors: Tensor name to histogram.
        samples: How many samples they were collected from.
        channels: Tensor name to the statistics of its channels, where they were observed.
    """

    tensors: Mapping[str, Histogram]
    samples: int
    channels: Mapping[str, ChannelStatistics] = field(default_factory=dict)
    _ranges: dict[tuple[str, str], Range] = field(default_factory=dict, compare=False, repr=False)

    def range(self, tensor: str, algorithm: str) -> Range:
        """Return (low, high) for a tensor; computed once per algorithm.

        Args:
            tensor: Name of a tensor that was observed.
            algorithm: A key of `ranges.ALGORITHMS`.
        """
        key = (tensor, algorithm)
        if key not in self._ranges:
            self._ranges[key] = ALGORITHMS[algorithm](self.tensors[tensor])
        return self._ranges[key]

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file, whole or not at all."""
        names = sorted(self.tensors)
        scalars = [
            (h.minimum, h.maximum, h.limit, float(h.seen))
            for h in (self.tensors[name] for name in names)
        ]
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(
                file,
                names=np.array(names),
                scalars=np.array(scalars, np.float64).reshape(-1, 4),
                counts=np.array([self.tensors[name].counts for name in names]),
                samples=np.int64(self.samples),
                channel_names=np.array(sorted(self.channels), dtype=np.str_),
                channel_samples=np.array(
                    [self.channels[name].samples for name in sorted(self.channels)], np.int64
                ),
                **self._channel_arrays(),
            )
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Undo `save`."""
        with np.load(path, allow_pickle=False) as data:
            tensors = {
                str(name): Histogram(row[0], row[1], row[2], counts.astype(np.int64), int(row[3]))
                for name, row, counts in zip(
                    data["names"], data["scalars"], data["counts"], strict=True
                )
            }
            channels = {
                str(name): _channels(data[f"channels_{index}"], int(samples))
                for index, (name, samples) in enumerate(
                    zip(data["channel_names"], data["channel_samples"], strict=True)
                )
            }
            return cls(tensors, int(data["samples"]), channels)

    def _channel_arrays(self) -> dict[str, Any]:
        found = (self.channels[name] for name in sorted(self.channels))
        return {
            f"channels_{index}": np.stack([one.minimum, one.maximum, one.total])
            for index, one in enumerate(found)
        }


def _channels(rows: NDArray[np.float64], samples: int) -> ChannelStatistics:
    minimum, maximum, total = rows
    return ChannelStatistics(minimum, maximum, total, samples)
