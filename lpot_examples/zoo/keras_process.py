"""Building a network of ``keras.applications`` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from lpot_examples import child
from lpot_examples.errors import ModelError
from lpot_examples.zoo.entry import ZooModel

_MODULE = "lpot_examples.backends.tensorflow.keras_application"

# It takes seconds; a Keras that wants other weights than these may wait for a network.
_TIMEOUT = 1800.0


def build_keras(model: ZooModel, weights: Path, target: Path) -> None:
    """Write a Keras network with its weights as a frozen graph.

    Args:
        model: One with an ``application``.
        weights: The downloaded file.
        target: The ``.pb`` file.

    Raises:
        ModelError: If the process fails; with its last messages.
    """
    with tempfile.TemporaryFile() as stderr:
        process = child.start(
            _MODULE,
            model.application,
            str(weights),
            model.inputs[0],
            model.outputs[0],
            str(target),
            str(os.getpid()),
            stderr=stderr,
            environment={"KERAS_BACKEND": "tensorflow"},
            stdin=subprocess.DEVNULL,
            stdout=stderr,
        )
        try:
            code = process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise ModelError(
                f"building keras.applications.{model.application} took longer than "
                f"{_TIMEOUT / 60:.0f} minutes.{child.last_messages(stderr)}"
            ) from error
        finally:
            process.kill()
            process.wait()
        if code != 0:
            raise ModelError(
                f"keras.applications.{model.application} could not be built from {weights.name}: "
                f"the process {child.how_it_ended(code)}.{child.last_messages(stderr)}"
            )
