"""Statistics kept on disk, found again by what they were computed from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lpot_examples.calibration.feed import Array
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import OutputError

Batch = dict[str, Array]


class StatisticsCache:
    """A folder of statistics.

    Args:
        folder: Made when something is first stored.
        model_key: Hash of the network and of everything about the pass but the data.
    """

    def __init__(self, folder: Path, model_key: str) -> None:
        self._folder = folder
        self._model_key = model_key

    def might_hold(self) -> bool:
        """Tell whether the network was calibrated before, with whatever data.

        Only then is it worth reading the data once more to learn its hash.
        """
        return any(self._folder.glob(f"{self._model_key}-*.npz"))

    def load(self, data_key: str, sizes: Sequence[int]) -> dict[int, Statistics] | None:
        """Return the statistics for data of that hash, or None."""
        paths = {size: self._path(data_key, size) for size in sizes}
        if not all(path.exists() for path in paths.values()):
            return None
        try:
            return {size: Statistics.load(path) for size, path in paths.items()}
        except (ValueError, KeyError, OSError, EOFError, BadZipFile, zlib.error):
            return None  # damaged: calibrated anew, and overwritten

    def store(self, data_key: str, statistics: dict[int, Statistics]) -> None:
        """Keep statistics.

        Raises:
            OutputError: If they cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for size, found in statistics.items():
                found.save(self._path(data_key, size))
        except OSError as error:
            for unfinished in self._folder.glob(f".{self._model_key}-*.{os.getpid()}.tmp"):
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    unfinished.unlink()
            raise OutputError(
                f"cannot keep calibration statistics in {self._folder}: {error.strerror}. Make "
                "room or choose another workspace."
            ) from error

    def _path(self, data_key: str, size: int) -> Path:
        return self._folder / f"{self._model_key}-{data_key}-{size}.npz"


class DataHash:
    """A hash of batches, taken while they stream by."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def through(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """Yield the batches, hashing each."""
        for batch in batches:
            for name, array in sorted(batch.items()):
                self._hash.update(f"{name}{array.dtype}{array.shape}".encode())
                self._hash.update(np.ascontiguousarray(array).tobytes())
            yield batch

    @property
    def key(self) -> str:
        """The hash of what has gone through."""
        return self._hash.hexdigest()[:16]
