"""The values of variables in a checkpoint's files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lpot_examples.backends.tensorflow.formats.detect import checkpoint_files
from lpot_examples.backends.tensorflow.graphdef import Array
from lpot_examples.backends.tensorflow.model import first_line
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

_SHARD = re.compile(r"(?P<number>\d{5})-of-(?P<count>\d{5})")


class Weights:
    """The values in a checkpoint.

    Args:
        prefix: Path without the suffixes .index and .data-….
        source: What to call it in messages.

    Raises:
        ModelError: If files are missing or damaged.
    """

    def __init__(self, prefix: Path, source: str) -> None:
        tf = import_tensorflow()
        self._source = source
        _check_shards(prefix, source)
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            self.shapes: Mapping[str, list[int]] = self._reader.get_variable_to_shape_map()
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            raise ModelError(
                f"{source} is damaged: {prefix.name}.index cannot be read "
                f"({first_line(error)}). Copy or download the checkpoint again."
            ) from error

    def value(self, name: str) -> Array:
        """Return the tensor of a name in the checkpoint.

        Raises:
            ModelError: If it cannot be read.
        """
        tf = import_tensorflow()
        try:
            return np.asarray(self._reader.get_tensor(name))
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            raise ModelError(
                f"{self._source} is damaged: the value of '{name}' cannot be read "
                f"({first_line(error)}). Copy or download the checkpoint again."
            ) from error


def _check_shards(prefix: Path, source: str) -> None:
    files = checkpoint_files(prefix)
    if not any(path.suffix == ".index" for path in files):
        if not files or not any(".data-" in path.name for path in files):
            if prefix.is_file():
                return  # one file, as before 2017
            raise ModelError(
                f"{source} has no weights: {prefix.name}.index and {prefix.name}.data-… are "
                "required beside the graph."
            )
        raise ModelError(f"{source} is not complete: {prefix.name}.index is missing.")
    shards = [match for path in files if (match := _SHARD.search(path.suffix))]
    count = int(shards[0]["count"]) if shards else 1
    there = {int(match["number"]) for match in shards}
    missing = [number for number in range(count) if number not in there]
    if missing:
        raise ModelError(
            f"{source} is not complete: {prefix.name}.data-{missing[0]:05d}-of-{count:05d} is "
            f"missing ({count - len(missing)} of {count} data files are there)."
        )
