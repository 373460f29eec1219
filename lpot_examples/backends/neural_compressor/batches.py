"""Calibration batches on disk: Neural Compressor reads them anew for every network it makes."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lpot_examples.calibration.feed import Array, samples
from lpot_examples.errors import OutputError

Batch = dict[str, Array]


class BatchStore:
    """A folder with one ``.npz`` for each batch; memory holds one batch at a time.

    Args:
        folder: Made when something is stored.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = 0
        self._count = 0

    def add(self, batch: Batch) -> None:
        """Store a batch.

        Raises:
            OutputError: If it cannot be written.
        """
        path = self.folder / f"{self._count:06d}.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The inputs' names may be no names of files, so they are numbered.
            arrays = {f"array_{index}": array for index, array in enumerate(batch.values())}
            np.savez(path, allow_pickle=False, names=np.array(list(batch)), **arrays)
        except OSError as error:
            raise OutputError(
                f"cannot keep calibration data in {self.folder}: {error.strerror}. Make room, or "
                "choose another workspace."
            ) from error
        self._count += 1
        self.samples += samples(batch)

    def clear(self) -> None:
        """Remove everything."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
        self.samples = self._count = 0


def read_batches(folder: Path, limit: int) -> Iterator[Batch]:
    """Yield stored batches until ``limit`` samples have been given; the last one is cut to fit.

    Raises:
        OutputError: If a file is damaged.
    """
    given = 0
    for path in sorted(folder.glob("*.npz")):
        if given >= limit:
            return
        try:
            with np.load(path, allow_pickle=False) as data:
                names = [str(name) for name in data["names"]]
                batch = {name: data[f"array_{index}"] for index, name in enumerate(names)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise OutputError(f"the calibration data in {path} is damaged: {error}.") from error
        whole = samples(batch)
        size = min(whole, limit - given)
        given += size
        # What is not one entry per sample (a switch, a shared table) stays whole.
        yield {
            name: array[:size] if array.ndim and len(array) == whole else array
            for name, array in batch.items()
        }
